package simulator

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// behaviour is what a method does besides approving.
type behaviour struct {
	// refuses is the code of a refusal.
	refuses string
	// timesOut, down and pending apply to the authorization.
	timesOut, down, pending bool
	// The others apply to later calls.
	captureStuck, captureLate, voidStuck, refundStuck, refundLate bool
	// captureRefused and refundRefused are the codes of a refused capture and of refused refunds.
	captureRefused, refundRefused string
}

// behaviours has all methods; see the package comment.
var behaviours = map[string]behaviour{
	"tok_visa":               {},
	"tok_declined":           {refuses: "card_declined"},
	"tok_insufficient_funds": {refuses: "insufficient_funds"},
	"tok_timeout":            {timesOut: true},
	"tok_unavailable":        {down: true},
	"tok_pending":            {pending: true},
	"tok_void_stuck":         {voidStuck: true},
	"tok_refund_stuck":       {refundStuck: true},
	"tok_refund_refused":     {refundRefused: "refund_declined"},
	"tok_refund_late":        {refundLate: true},
	"tok_late_refund_stuck":  {pending: true, refundStuck: true},
	"tok_capture_stuck":      {captureStuck: true},
	"tok_capture_refused":    {captureRefused: "capture_declined"},
	"tok_capture_late":       {captureLate: true},
}

// behaviourOf returns the behaviour of a method; an unknown one refuses.
func behaviourOf(method string) behaviour {
	if b, ok := behaviours[method]; ok {
		return b
	}
	return behaviour{refuses: "unknown_method"}
}

// move is a decision: a record to write, or none, and the result.
type move struct {
	entry *event.Entry
	// result is returned if there is no entry. After an append it is derived from the new book.
	result *payment.Result
	// err is returned although the entry was written.
	err error
}

// say returns a result without writing.
func say(r payment.Result) (move, error) { return move{result: &r}, nil }

// write writes a record.
func (s *Simulator) write(key, kind string, c Charge) move {
	e := event.New(c.ledger(), key, kind, c.OrderID, s.cfg.Clock(), c)
	return move{entry: &e}
}

func chargeOf(p payment.Payment) Charge {
	return Charge{
		OrderID: p.OrderID, Flow: p.Flow, PaymentID: paymentID(p), Amount: p.Amount, Currency: p.Currency, Method: p.Method,
	}
}

func (s *Simulator) authorize(p payment.Payment, b book) (move, error) {
	does, charge := behaviourOf(p.Method), chargeOf(p)
	switch {
	case b.settle == event.ChargeCaptured:
		return say(payment.Result{State: payment.Captured, PaymentID: charge.PaymentID})
	case b.do == event.ChargeAuthorized && !b.undone():
		return say(payment.Result{State: payment.Authorized, PaymentID: charge.PaymentID})
	case b.do != "" || b.pending:
		return say(b.result())
	case does.refuses != "":
		charge.Code = does.refuses
		return s.write(keyAuthorize, event.ChargeRefused, charge), nil
	case does.pending:
		return s.write(keyPending, event.ChargePending, charge), nil
	case does.down && b.downSince.IsZero():
		m := s.write(keyUnavailable, typeUnavailable, charge)
		m.err = fault.New(fault.Unavailable, "the simulator is unavailable")
		return m, nil
	case does.down && s.cfg.Clock().Sub(b.downSince).Abs() < s.cfg.Outage:
		// Abs, because a process whose clock is ahead may have recorded the outage.
		return move{}, fault.New(fault.Unavailable, "the simulator has been unavailable since %s", b.downSince.Format(time.RFC3339))
	}
	m := s.write(keyAuthorize, event.ChargeAuthorized, charge)
	if does.timesOut {
		m.err = fault.New(fault.OutcomeUnknown, "the simulator timed out")
	}
	return m, nil
}

func (s *Simulator) capture(p payment.Payment, b book) (move, error) {
	does, charge := behaviourOf(p.Method), chargeOf(p)
	switch {
	case b.settle == event.ChargeCaptured:
		return say(payment.Result{State: payment.Captured, PaymentID: charge.PaymentID})
	case b.captureCode != "":
		return say(payment.Result{State: payment.CaptureRefused, PaymentID: charge.PaymentID, Code: b.captureCode})
	case b.undone():
		return move{}, fault.New(fault.EffectSettled, "the payment of %s was voided", p)
	case b.do != event.ChargeAuthorized:
		return move{}, fault.New(fault.Invalid, "the payment of %s is %s, not authorized", p, b.result().State)
	case does.captureStuck:
		return move{}, fault.New(fault.Unavailable, "the simulator does not capture this method")
	case does.captureLate && b.delayed:
		return move{}, fault.New(fault.OutcomeUnknown, "the simulator timed out")
	case does.captureLate:
		m := s.write(keyCaptureDelayed, event.ChargeCaptureDelayed, charge)
		m.err = fault.New(fault.OutcomeUnknown, "the simulator timed out")
		return m, nil
	case does.captureRefused != "":
		charge.Code = does.captureRefused
		return s.write(keyCaptureRefused, event.ChargeCaptureRefused, charge), nil
	}
	return s.write(keySettle, event.ChargeCaptured, charge), nil
}

func (s *Simulator) void(p payment.Payment, b book) (move, error) {
	charge := chargeOf(p)
	switch {
	case b.settle == event.ChargeCaptured:
		return move{}, fault.New(fault.EffectSettled, "the payment of %s was captured", p)
	case b.undone(), b.do == event.ChargeRefused:
		return say(b.result())
	case behaviourOf(p.Method).voidStuck:
		return move{}, fault.New(fault.Unavailable, "the simulator does not void this method")
	case b.do == event.ChargeAuthorized:
		return s.write(keySettle, event.ChargeVoided, charge), nil
	}
	return s.write(keyAuthorize, event.ChargeFenced, charge), nil
}

func (s *Simulator) refund(key string, p payment.Payment, amount int64, b book) (move, error) {
	charge := chargeOf(p)
	charge.Amount, charge.Key = amount, key
	does := behaviourOf(p.Method)
	before, again := b.refunds[key]
	switch {
	case again && before.amount != amount:
		return move{}, fault.New(fault.Conflict, "the key was already used for a refund of %d", before.amount)
	case before.made:
		return say(payment.Result{State: payment.Refunded, PaymentID: charge.PaymentID})
	case before.code != "":
		return say(payment.Result{State: payment.RefundRefused, PaymentID: charge.PaymentID, Code: before.code})
	case b.taken() == 0:
		return move{}, fault.New(fault.Invalid, "the payment of %s is %s, not captured", p, b.result().State)
	case amount > b.taken()-b.refunded:
		return move{}, fault.New(fault.Invalid, "only %d of the payment of %s can still be refunded", b.taken()-b.refunded, p)
	case does.refundStuck:
		return move{}, fault.New(fault.Unavailable, "the simulator does not refund this method")
	case does.refundRefused != "":
		charge.Code = does.refundRefused
		return s.write(refundPrefix+key, event.ChargeRefundRefused, charge), nil
	case does.refundLate:
		slot, kind := refundPrefix+key, event.ChargeRefunded
		if !again {
			slot, kind = slot+refundDelayed, event.ChargeRefundDelayed
		}
		m := s.write(slot, kind, charge)
		m.err = fault.New(fault.OutcomeUnknown, "the simulator timed out")
		return m, nil
	}
	return s.write(refundPrefix+key, event.ChargeRefunded, charge), nil
}

// executeCapture executes a capture that timed out, unless the payment was voided meanwhile.
func (s *Simulator) executeCapture(b book) move {
	if b.captureDue() {
		return s.write(keySettle, event.ChargeCaptured, b.terms)
	}
	r := b.result()
	return move{result: &r}
}

// settle decides a pending payment. If it was voided meanwhile, the money arrives nevertheless: a transfer cannot be fenced.
func (s *Simulator) settle(b book, succeeded bool, code string) move {
	if succeeded && b.pending && b.do == event.ChargeFenced && b.arrived == 0 {
		return s.write(keyArrive, event.ChargeArrived, b.terms)
	}
	if !b.pending || b.do != "" {
		r := b.result()
		return move{result: &r}
	}
	charge := b.terms
	if succeeded {
		return s.write(keyAuthorize, event.ChargeAuthorized, charge)
	}
	charge.Code, charge.Asynchronous = code, true
	if code == "" {
		charge.Code = "payment_failed"
	}
	return s.write(keyAuthorize, event.ChargeRefused, charge)
}
