package simulator

import (
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// typeUnavailable is the type of the interim fact that an outage began.
const typeUnavailable = "charge.unavailable"

// The keys of a payment's stream.
const (
	keyAuthorize      = "authorize"
	keyPending        = "authorize/pending"
	keyUnavailable    = "authorize/unavailable"
	keySettle         = "settle"
	keyCaptureRefused = "capture/refused"
	keyCaptureDelayed = "capture/delayed"
	keyArrive         = "arrive"
	refundPrefix      = "refund/"
)

// Charge is the data of every record.
type Charge struct {
	OrderID string `json:"orderId"`
	// Flow is that of the payment; empty for an order.
	Flow      string `json:"flow,omitempty"`
	PaymentID string `json:"paymentId"`
	// Amount is in minor units of Currency: of the payment, and for charge.refunded what was given back.
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Method   string `json:"method"`
	// Code is why something was refused.
	Code string `json:"code,omitempty"`
	// Asynchronous tells that a refusal came after the payment had been pending.
	Asynchronous bool `json:"asynchronous,omitempty"`
	// Key is the key of a refund.
	Key string `json:"key,omitempty"`
}

// paymentID derives the payment's ID from what is paid.
func paymentID(p payment.Payment) string {
	if p.Flow == "" {
		return "sim_" + event.DerivedID("simulator", p.OrderID)
	}
	return "sim_" + event.DerivedID("simulator", p.Flow, p.OrderID)
}

// ledgerOf is the name of the stream of a payment.
func ledgerOf(p payment.Payment) string {
	if p.Flow == "" {
		return event.PaymentStream(p.OrderID)
	}
	return event.FlowPaymentStream(p.Flow, p.OrderID)
}

func (c Charge) ledger() string { return ledgerOf(payment.Payment{OrderID: c.OrderID, Flow: c.Flow}) }

// book is what the records of a payment add up to.
type book struct {
	head event.Head
	// terms are what the first record says about the payment; zero when there is none.
	terms Charge
	// do and settle are the types that stand in the two slots; refusal is the data of a charge.refused.
	do, settle string
	refusal    Charge
	pending    bool
	// downSince is when the outage began; zero when there was none.
	downSince time.Time
	// captureCode is the code of a refused capture; empty when there was none.
	captureCode string
	// delayed reports that a capture timed out.
	delayed bool
	// arrived is what came although the payment had been voided.
	arrived int64
	// refunds are the amounts given back, by key; refunded is their sum.
	refunds  map[string]int64
	refunded int64
}

// fold takes in records that follow the book's head. The error is Corrupt, or Unavailable for a record that is newer than this
// code.
func (b book) fold(records []event.Record) (book, error) {
	for _, r := range records {
		c, err := event.Decode[Charge](r.Event)
		if fault.CodeOf(err) == fault.Unavailable {
			return b, fault.Wrap(err, fault.Unavailable, "version %d of stream %s", r.Version, r.Stream)
		}
		if err != nil {
			return b, fault.Wrap(err, fault.Corrupt, "version %d of stream %s", r.Version, r.Stream)
		}
		if b.head.Version == 0 {
			b.terms = c
		}
		b.head = r.HeadOf()
		switch r.Type {
		case event.ChargeAuthorized, event.ChargeFenced:
			b.do = r.Type
		case event.ChargeRefused:
			b.do, b.refusal = r.Type, c
		case event.ChargePending:
			b.pending = true
		case typeUnavailable:
			b.downSince = r.Time
		case event.ChargeCaptured, event.ChargeVoided:
			b.settle = r.Type
		case event.ChargeCaptureRefused:
			b.captureCode = c.Code
		case event.ChargeCaptureDelayed:
			b.delayed = true
		case event.ChargeArrived:
			b.arrived = c.Amount
		case event.ChargeRefunded:
			b.addRefund(strings.TrimPrefix(r.Key, refundPrefix), c.Amount)
		}
	}
	return b, nil
}

// addRefund copies the map: books are remembered, and shared by goroutines.
func (b *book) addRefund(key string, amount int64) {
	refunds := make(map[string]int64, len(b.refunds)+1)
	for k, v := range b.refunds {
		refunds[k] = v
	}
	refunds[key] = amount
	b.refunds = refunds
	b.refunded += amount
}

// undone reports whether the payment will never stand.
func (b book) undone() bool { return b.do == event.ChargeFenced || b.settle == event.ChargeVoided }

// taken is what may be given back, refunds not counted.
func (b book) taken() int64 {
	if b.settle == event.ChargeCaptured {
		return b.terms.Amount
	}
	return b.arrived
}

// landing reports whether a capture that timed out is still to happen.
func (b book) landing() bool { return b.delayed && b.settle == "" }

// result says what is.
func (b book) result() payment.Result {
	r := payment.Result{State: payment.Absent, PaymentID: b.terms.PaymentID}
	if b.arrived > 0 {
		r.Arrived = b.arrived - b.refunded
	}
	switch {
	case b.settle == event.ChargeCaptured && b.refunded > 0:
		r.State = payment.Refunded
	case b.settle == event.ChargeCaptured:
		r.State = payment.Captured
	case b.undone():
		r.State = payment.Undone
	case b.do == event.ChargeRefused:
		r.State, r.Code, r.Asynchronous = payment.Refused, b.refusal.Code, b.refusal.Asynchronous
	case b.captureCode != "":
		r.State, r.Code = payment.CaptureRefused, b.captureCode
	case b.do == event.ChargeAuthorized:
		r.State = payment.Authorized
	case b.pending:
		r.State = payment.Pending
	default:
		r.PaymentID = ""
	}
	return r
}

// agree fails with Conflict when p is not the payment that the book is about.
func (b book) agree(p payment.Payment) error {
	if p.ID != "" && p.ID != paymentID(p) {
		return fault.New(fault.Conflict, "the payment of %s has another id", p)
	}
	if b.head.Version == 0 {
		return nil
	}
	if b.terms.Amount != p.Amount || b.terms.Currency != p.Currency || b.terms.Method != p.Method {
		return fault.New(fault.Conflict, "the payment of %s was asked for with another amount, currency or method", p)
	}
	return nil
}
