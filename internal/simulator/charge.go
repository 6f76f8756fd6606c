package simulator

import (
	"maps"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// typeUnavailable is the type of the record of the start of an outage.
const typeUnavailable = "charge.unavailable"

// Keys of a payment's stream.
const (
	keyAuthorize      = "authorize"
	keyPending        = "authorize/pending"
	keyUnavailable    = "authorize/unavailable"
	keySettle         = "settle"
	keyCaptureRefused = "capture/refused"
	keyCaptureDelayed = "capture/delayed"
	keyArrive         = "arrive"
	refundPrefix      = "refund/"
	refundDelayed     = "/delayed"
)

// Charge is the data of every record.
type Charge struct {
	OrderID string `json:"orderId"`
	// Flow is the flow of the payment; empty for an order.
	Flow      string `json:"flow,omitempty"`
	PaymentID string `json:"paymentId"`
	// Amount is in minor units of Currency: of the payment, or the refunded amount for charge.refunded.
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Method   string `json:"method"`
	// Code is the reason of a refusal.
	Code string `json:"code,omitempty"`
	// Asynchronous is set for a refusal of a pending payment.
	Asynchronous bool `json:"asynchronous,omitempty"`
	// Key is the key of a refund.
	Key string `json:"key,omitempty"`
}

// paymentID derives the payment ID from the order or saga.
func paymentID(p payment.Payment) string {
	if p.Flow == "" {
		return "sim_" + event.DerivedID("simulator", p.OrderID)
	}
	return "sim_" + event.DerivedID("simulator", p.Flow, p.OrderID)
}

// ledgerOf returns the stream name of a payment.
func ledgerOf(p payment.Payment) string {
	if p.Flow == "" {
		return event.PaymentStream(p.OrderID)
	}
	return event.FlowPaymentStream(p.Flow, p.OrderID)
}

func (c Charge) ledger() string { return ledgerOf(payment.Payment{OrderID: c.OrderID, Flow: c.Flow}) }

// book is the fold of a payment's records.
type book struct {
	head event.Head
	// terms are the data of the first record; zero if there is none.
	terms Charge
	// do and settle are the types of the records in the two slots; refusal is the data of a charge.refused.
	do, settle string
	refusal    Charge
	pending    bool
	// downSince is the start of the outage; zero if there was none.
	downSince time.Time
	// captureCode is the code of a refused capture; empty if there was none.
	captureCode string
	// delayed is set if a capture timed out.
	delayed bool
	// arrived is the money that arrived after the payment was voided.
	arrived int64
	// refunds are the requested refunds by key; refunded is the sum of those that were made.
	refunds  map[string]refund
	refunded int64
}

// refund is a requested refund: made, refused with a code, or delayed.
type refund struct {
	amount int64
	made   bool
	code   string
}

// fold applies records that follow the head. The error is Corrupt, or Unavailable for a record of a newer version.
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
			b.addRefund(c.Key, refund{amount: c.Amount, made: true})
			b.refunded += c.Amount
		case event.ChargeRefundRefused:
			b.addRefund(c.Key, refund{amount: c.Amount, code: c.Code})
		case event.ChargeRefundDelayed:
			b.addRefund(c.Key, refund{amount: c.Amount})
		}
	}
	return b, nil
}

// addRefund copies the map, because books are cached and shared by goroutines.
func (b *book) addRefund(key string, r refund) {
	refunds := make(map[string]refund, len(b.refunds)+1)
	maps.Copy(refunds, b.refunds)
	refunds[key] = r
	b.refunds = refunds
}

// undone reports whether the payment was voided or fenced.
func (b book) undone() bool { return b.do == event.ChargeFenced || b.settle == event.ChargeVoided }

// taken returns the money that was captured or has arrived, before refunds.
func (b book) taken() int64 {
	if b.settle == event.ChargeCaptured {
		return b.terms.Amount
	}
	return b.arrived
}

// captureDue reports whether a capture timed out and will still happen.
func (b book) captureDue() bool { return b.delayed && b.settle == "" }

// result returns the state of the payment.
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

// check returns Conflict if p differs from the payment of the book.
func (b book) check(p payment.Payment) error {
	if p.ID != "" && p.ID != paymentID(p) {
		return fault.New(fault.Conflict, "the payment of %s has a different ID", p)
	}
	if b.head.Version == 0 {
		return nil
	}
	if b.terms.Amount != p.Amount || b.terms.Currency != p.Currency || b.terms.Method != p.Method {
		return fault.New(fault.Conflict, "the payment of %s already exists with a different amount, currency or method", p)
	}
	return nil
}
