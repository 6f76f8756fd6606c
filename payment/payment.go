// Package payment is the port to payment providers: the contract that a gateway must fulfil. Adapters are in packages below it; paymenttest is the
// contract suite that each of them must pass.
//
// The package has only types and rules, no I/O. It imports event, for the names of keys, and internal/fault.
//
// # Contract
//
// One order has one payment. It has two slots: the Do slot (authorized, pending, refused or fenced) and the settle slot (captured or voided). Each
// is written once, and results never change:
//
//   - Authorize after Void returns Undone, also if it was never called before: the void fenced it.
//   - Void after Capture, and Capture after Void, fail with EffectSettled.
//   - A refusal is recorded: a repeated call returns the same refusal, for a refund one with the same key. After a refused capture the authorization is still valid; it can be
//     voided.
//   - Void of a pending payment fences it: it can never be authorized. A transfer that the payer has already sent cannot be fenced: such money
//     is not captured but has arrived, and must be refunded.
//   - A different amount, currency, method or payment ID for the same order is a Conflict.
//
// Three outcomes: a Result is definite (done, refused, undone); an error with fault.OutcomeUnknown or fault.Unavailable means that the outcome is
// unknown: repeat the call with the same key, or call Lookup. A refusal is never an error, and an unknown outcome is never a refusal.
//
// Concurrency: a Gateway is safe for concurrent use.
package payment

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// State is the state of a payment.
type State string

const (
	// Absent means that the provider does not know the payment.
	Absent State = "absent"
	// Pending means that the payment waits for its payer.
	Pending State = "pending"
	// Authorized means that the money is reserved.
	Authorized State = "authorized"
	// Refused means that the payment was refused permanently; Code says why.
	Refused State = "refused"
	// Undone means that the payment was voided, or fenced before it happened: it can never be authorized.
	Undone State = "undone"
	// Captured means that the money was taken.
	Captured State = "captured"
	// CaptureRefused means that the provider permanently refused the capture; Code says why.
	CaptureRefused State = "capture_refused"
	// Refunded means that captured money was refunded, partly or completely.
	Refunded State = "refunded"
	// RefundRefused means that the provider permanently refused a refund; Code says why.
	RefundRefused State = "refund_refused"
)

// Payment identifies a payment to a gateway. Every call has all its fields, so that an adapter can find or repeat the creation of a payment with an
// unknown outcome.
type Payment struct {
	// OrderID is the order, or the saga of Flow.
	OrderID string `json:"orderId"`
	// Flow is the stream of the flow of the saga, such as giftcard; empty for an order. Payments of different flows are different.
	Flow string `json:"flow,omitempty"`
	// ID is the ID of the provider, empty if unknown.
	ID string `json:"paymentId,omitempty"`
	// Amount is in minor units of Currency, above zero.
	Amount int64 `json:"amount"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
	// Method is the payer's token, such as tok_visa.
	Method string `json:"method"`
	// CreatedAt is when the saga began, zero if unknown. No call for the payment was made before. A provider that forgets idempotency keys decides
	// by it whether a key is still known.
	CreatedAt time.Time `json:"createdAt,omitzero"`
}

// MaxAmount is the largest amount: the largest integer that is exact in JSON.
const MaxAmount = 1<<53 - 1

// Validate reports every field that no gateway accepts. The error is Invalid.
func (p Payment) Validate() error {
	var wrong []fault.Field
	if !event.ValidID(p.OrderID) {
		wrong = append(wrong, fault.Fieldf("/orderId", "%s", event.IDRule))
	}
	if p.Amount < 1 || p.Amount > MaxAmount {
		wrong = append(wrong, fault.Fieldf("/amount", "must be from 1 to %d, in minor units", int64(MaxAmount)))
	}
	if !isCurrency(p.Currency) {
		wrong = append(wrong, fault.Fieldf("/currency", "must be three capital letters"))
	}
	if !event.ValidID(p.Method) {
		wrong = append(wrong, fault.Fieldf("/method", "%s", event.IDRule))
	}
	return fault.NewInvalid("payment", wrong)
}

func isCurrency(code string) bool {
	for _, c := range []byte(code) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(code) == 3
}

// String returns a name for errors: order 42, giftcard 42.
func (p Payment) String() string {
	if p.Flow == "" {
		return "order " + p.OrderID
	}
	return p.Flow + " " + p.OrderID
}

// Key returns the idempotency key of a step of the payment. It is derived, never random.
func (p Payment) Key(step string) string {
	if p.Flow == "" {
		return event.Key(p.OrderID, step)
	}
	return event.DerivedID("key", p.Flow, event.Escape(p.OrderID), step)
}

// Result is a definite result.
type Result struct {
	State State `json:"state"`
	// PaymentID is the ID of the provider.
	PaymentID string `json:"paymentId,omitempty"`
	// Code is the provider's code of a refusal, such as insufficient_funds.
	Code string `json:"code,omitempty"`
	// Asynchronous is set for a refusal of a pending payment.
	Asynchronous bool `json:"asynchronous,omitempty"`
	// Arrived is money that arrived for a payment that is undone, minus its refunds, in minor units. Only Lookup returns it.
	Arrived int64 `json:"arrived,omitempty"`
}

// Traits are the properties of a gateway.
type Traits struct {
	// Name is the name of the gateway in configuration and logs.
	Name string
	// AuthorizationLifetime is how long an authorization is valid without a capture.
	AuthorizationLifetime time.Duration
	// KeyLifetime is how long the provider remembers idempotency keys; 0 means forever. Afterwards, a payment whose ID is unknown cannot be looked up
	// reliably.
	KeyLifetime time.Duration
	// Fast means that calls take milliseconds: they run inside workflow tasks like those of the stores, and are not measured.
	Fast bool
}

// Gateway moves money. Errors of every method: Unavailable, OutcomeUnknown, EffectSettled, Invalid, Conflict.
type Gateway interface {
	// Traits returns the properties of the gateway.
	Traits() Traits
	// Authorize reserves the money. States: Authorized, Pending, Refused, Undone; Captured if it was captured, whatever was refunded
	// since.
	Authorize(ctx context.Context, key string, p Payment) (Result, error)
	// Capture takes authorized money. States: Captured, CaptureRefused. EffectSettled after a Void; Invalid if the payment is absent,
	// pending or refused.
	Capture(ctx context.Context, key string, p Payment) (Result, error)
	// Void undoes the authorization, whether or not it happened, and prevents a later one. States: Undone; Refused if the payment was
	// refused. EffectSettled after a Capture.
	Void(ctx context.Context, key string, p Payment) (Result, error)
	// Refund refunds amount minor units of captured or arrived money, once per key. States: Refunded, RefundRefused. Invalid if more would be
	// refunded than there was, Conflict if the key was used with a different amount.
	Refund(ctx context.Context, key string, p Payment, amount int64) (Result, error)
	// Lookup returns the state and changes nothing.
	Lookup(ctx context.Context, p Payment) (Result, error)
}

// Refund refunds money for a caller to whom a refusal is an error. Errors: those of Gateway.Refund; EffectSettled if the provider refused it.
func Refund(ctx context.Context, g Gateway, key string, p Payment, amount int64) error {
	result, err := g.Refund(ctx, key, p, amount)
	if err == nil && result.State != Refunded {
		err = fault.New(fault.EffectSettled, "the gateway refused the refund: %s", result.Code)
	}
	return err
}

// Settler is a gateway whose pending payments are decided by payment notifications from the bus, because it has no real provider: the
// simulator.
type Settler interface {
	// Settle decides a pending payment, once; later calls change nothing. If the payment was voided while it was pending, its success
	// makes its money arrive. It does nothing for a payment that was never pending. code is for a refusal. Of p it checks only the
	// order ID, and the payment ID if there is one: a different one is a Conflict.
	Settle(ctx context.Context, p Payment, succeeded bool, code string) error
}

// Authenticator is a gateway whose pending payments may wait for an action of the payer, such as 3-D Secure.
type Authenticator interface {
	// ClientSecret returns what the payer's device needs for the action, empty if none is required. It is a secret: it must be stored and logged
	// nowhere. Errors: those of Lookup.
	ClientSecret(ctx context.Context, p Payment) (string, error)
}
