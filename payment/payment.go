// Package payment is the port to payment providers: what a gateway must do so that a saga can rely on it.
// Adapters are in the packages below it; paymenttest is the suite that each of them must pass.
//
// The package holds types and rules only, no I/O. It imports event, for the names of keys.
//
// # Contract
//
// One order has one payment. It has two slots: the Do slot (authorized, pending, refused or fenced) and the
// settle slot (captured or voided). Each is written once, and answers never change:
//
//   - Authorize after Void answers Undone, also when it never ran before: the void fenced it.
//   - Void after Capture, and Capture after Void, fail with EffectSettled.
//   - A refusal is recorded: asked again, it is the same refusal. A refused capture leaves the authorization
//     standing; it can be voided.
//   - Void of a pending payment fences it: the payment will never stand. A payer who has sent the money already
//     cannot be fenced: what comes all the same is not taken but has arrived, and is there to be given back.
//   - Another amount, currency, method or payment id for the same order is a Conflict.
//
// Three outcomes: a Result says what is (done, refused, undone), an error with fault.OutcomeUnknown or
// fault.Unavailable says that nobody knows: ask again with the same key, or Lookup. A refusal is never an
// error, and an unknown outcome is never a refusal.
//
// Threads: a Gateway may be used by any number of goroutines at once.
package payment

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// State says what is known of a payment.
type State string

const (
	// Absent means that the provider has never heard of the payment.
	Absent State = "absent"
	// Pending means that the payer was asked and has not answered.
	Pending State = "pending"
	// Authorized means that the money is set aside.
	Authorized State = "authorized"
	// Refused means that the payment was definitely refused; Code says why.
	Refused State = "refused"
	// Undone means that the payment was voided, or fenced before it happened: it will never stand.
	Undone State = "undone"
	// Captured means that the money is taken.
	Captured State = "captured"
	// CaptureRefused means that the provider definitely refused to take the authorized money; Code says why.
	CaptureRefused State = "capture_refused"
	// Refunded means that captured money was given back, in part or whole.
	Refunded State = "refunded"
)

// Payment names a payment to a gateway. Every call carries it whole, so that an adapter can find or repeat the
// creation of a payment whose outcome nobody knows.
type Payment struct {
	// OrderID is the order that is paid, or the saga of Flow.
	OrderID string `json:"orderId"`
	// Flow is the stream of the flow whose saga is paid, such as giftcard; empty for an order. Payments of different flows are different ones.
	Flow string `json:"flow,omitempty"`
	// ID is the provider's id, empty as long as it is not known.
	ID string `json:"paymentId,omitempty"`
	// Amount is in minor units of Currency, above zero.
	Amount int64 `json:"amount"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
	// Method is the payer's token, such as tok_visa.
	Method string `json:"method"`
}

// String names what is paid, for errors: order 42, giftcard 42.
func (p Payment) String() string {
	if p.Flow == "" {
		return "order " + p.OrderID
	}
	return p.Flow + " " + p.OrderID
}

// Key returns the idempotency key of a step on the payment: derived, never random.
func (p Payment) Key(step string) string {
	if p.Flow == "" {
		return event.Key(p.OrderID, step)
	}
	return event.DerivedID("key", p.Flow, event.Escape(p.OrderID), step)
}

// Result is a definite answer.
type Result struct {
	// State says what is.
	State State `json:"state"`
	// PaymentID is the provider's id of the payment.
	PaymentID string `json:"paymentId,omitempty"`
	// Code is the provider's word for a refusal, such as insufficient_funds.
	Code string `json:"code,omitempty"`
	// Asynchronous tells that a refusal came after the payment had been pending.
	Asynchronous bool `json:"asynchronous,omitempty"`
	// Arrived is money that came although the payment does not stand, less what was given back of it, in minor units.
	// Lookup says it.
	Arrived int64 `json:"arrived,omitempty"`
}

// Traits describe a gateway.
type Traits struct {
	// Name is the gateway's name in configuration and logs.
	Name string
	// AuthorizationLifetime is how long an authorization stands without a capture.
	AuthorizationLifetime time.Duration
	// Fast tells that calls take milliseconds, so that they may run inside a workflow task.
	Fast bool
}

// Gateway moves money. Errors of every method: Unavailable, OutcomeUnknown, EffectSettled, Invalid, Conflict.
type Gateway interface {
	// Traits describe the gateway.
	Traits() Traits
	// Authorize sets the money aside. States: Authorized, Pending, Refused, Undone; Captured when that happened
	// already, whatever was refunded since.
	Authorize(ctx context.Context, key string, p Payment) (Result, error)
	// Capture takes authorized money. States: Captured, CaptureRefused. EffectSettled after a Void; Invalid when
	// nothing is authorized: absent, pending or refused.
	Capture(ctx context.Context, key string, p Payment) (Result, error)
	// Void makes it so that no authorization stands, whether or not one was made, and keeps it so. States:
	// Undone, and Refused where a refusal stands. EffectSettled after a Capture.
	Void(ctx context.Context, key string, p Payment) (Result, error)
	// Refund gives back amount minor units of money that was captured or has arrived, once a key. State: Refunded.
	// Invalid when more would be given back than that, Conflict when the key was used for another amount.
	Refund(ctx context.Context, key string, p Payment, amount int64) (Result, error)
	// Lookup asks what is, and changes nothing.
	Lookup(ctx context.Context, p Payment) (Result, error)
}

// Settler is a gateway whose pending payments are settled from outside by the hints of the bus, because no
// provider stands behind it: the simulator.
type Settler interface {
	// Settle decides a pending payment, once; later calls change nothing. The success of a payment that was voided
	// while it was pending makes its money arrive. It does nothing to a payment that was never pending. Code is for a refusal. Of p it looks at the order's id, and at the payment's id if there is one:
	// another one is a Conflict.
	Settle(ctx context.Context, p Payment, succeeded bool, code string) error
}
