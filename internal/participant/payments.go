package participant

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/payment"
)

// Payments is a payment service: a payment.Gateway.
type Payments struct {
	*client
	// lifetime is what the service has said about its authorizations.
	lifetime atomic.Int64
}

var _ payment.Gateway = (*Payments)(nil)

// NewPayments returns the gateway of a payment service. It does no I/O. The error is Invalid.
func NewPayments(c Config) (*Payments, error) {
	p, err := newClient(c)
	return &Payments{client: p}, err
}

// Describe asks the service for its traits. Unavailable if it does not answer, Invalid if it is no payment service of this contract.
func (p *Payments) Describe(ctx context.Context) error {
	t, err := p.describe(ctx)
	if err == nil {
		p.lifetime.Store(t.Lifetime)
	}
	return err
}

// Traits implements payment.Gateway. The lifetime of authorizations is 0 until Describe was successful.
func (p *Payments) Traits() payment.Traits {
	return payment.Traits{Name: p.cfg.Name + " service", AuthorizationLifetime: time.Duration(p.lifetime.Load()) * time.Second}
}

// PaymentKey is the key of a payment in the contract: a UUID.
func PaymentKey(p payment.Payment) string {
	return event.DerivedID("key", "payment", p.Flow, event.Escape(p.OrderID))
}

// RefundKey is the key of a refund in the contract. Keys of this service may contain what a path must not.
func RefundKey(key string) string { return event.DerivedID("key", "refund", key) }

// paymentBody is the body of every request about a payment.
type paymentBody struct {
	OrderID      string `json:"orderId"`
	Flow         string `json:"flow,omitempty"`
	Amount       int64  `json:"amount"`
	Currency     string `json:"currency"`
	Method       string `json:"method"`
	PaymentID    string `json:"paymentId,omitempty"`
	RefundAmount int64  `json:"refundAmount,omitempty"`
}

// check refuses a payment, and an amount to refund, that the contract does not allow. The error is Invalid.
func check(p payment.Payment, refund int64) error {
	wrong := fault.FieldsOf(p.Validate())
	if refund < 1 || refund > payment.MaxAmount {
		wrong = append(wrong, fault.Fieldf("/refundAmount", "must be from 1 to %d, in minor units", int64(payment.MaxAmount)))
	}
	return fault.NewInvalid("payment", wrong)
}

// results of the contract.
const (
	resultDone    = "done"
	resultRefused = "refused"
	resultUndone  = "undone"
	resultPending = "pending"
)

// paymentAnswer is the answer to a request about a payment: with a result for an effect, with a state for a look-up.
type paymentAnswer struct {
	Result       string `json:"result"`
	State        string `json:"state"`
	PaymentID    string `json:"paymentId"`
	Reason       string `json:"reason"`
	Asynchronous bool   `json:"asynchronous"`
	Captured     bool   `json:"captured"`
	Arrived      int64  `json:"arrived" unit:"in minor units"`
}

// complain adds what the contract does not allow. allowed are the results of the operation; none for a look-up.
func (a *paymentAnswer) complain(d *jsondoc.Doc, allowed ...string) {
	var named, because bool
	if len(allowed) == 0 {
		oneOf(d, "/state", a.State, "absent", "pending", "authorized", "refused", "undone", "captured", "capture_refused", "refunded")
		named = a.State == "pending" || a.State == "authorized" || a.State == "captured" || a.State == "refunded"
		because = a.State == "refused" || a.State == "capture_refused"
	} else {
		oneOf(d, "/result", a.Result, allowed...)
		named = a.Result == resultDone || a.Result == resultPending
		because = a.Result == resultRefused
	}
	d.Require(!named || a.PaymentID != "", "/paymentId", fault.RuleMissing)
	d.Require(len(a.PaymentID) <= maxText, "/paymentId", "must have at most %d bytes", maxText)
	d.Require(!because || a.Reason != "", "/reason", fault.RuleMissing)
	d.Require(len(a.Reason) <= maxText, "/reason", "must have at most %d bytes", maxText)
	d.Require(a.Arrived >= 0, "/arrived", "must not be negative")
}

func (a *paymentAnswer) result(s payment.State) payment.Result {
	return payment.Result{State: s, PaymentID: a.PaymentID, Code: a.Reason, Asynchronous: a.Asynchronous, Arrived: a.Arrived}
}

// effect sends a request that has an effect, and returns its result as states says.
func (p *Payments) effect(
	ctx context.Context, operation, suffix string, keys []string, pay payment.Payment, refund int64, states map[string]payment.State, problems map[string]fault.Code,
) (*paymentAnswer, payment.Result, error) {
	if err := check(pay, max(refund, 1)); err != nil {
		return nil, payment.Result{}, err
	}
	out, key := &paymentAnswer{}, PaymentKey(pay)
	err := p.call(ctx, request{
		operation: operation, path: "/payments/" + key + suffix, keys: append([]string{key}, keys...), problems: problems,
		complain: func(d *jsondoc.Doc) { out.complain(d, slices.Sorted(maps.Keys(states))...) },
		body:     paymentBody{pay.OrderID, pay.Flow, pay.Amount, pay.Currency, pay.Method, pay.ID, refund},
	}, out)
	if err != nil {
		return nil, payment.Result{}, err
	}
	result := out.result(states[out.Result])
	return out, result, nil
}

// Problems that are definite, by operation.
var (
	problemsOfDo   = map[string]fault.Code{codeConflict: fault.Conflict, codeInvalid: fault.Invalid}
	problemsOfUndo = map[string]fault.Code{codeConflict: fault.Conflict, codeSettled: fault.EffectSettled}
	problemsOfTake = map[string]fault.Code{codeConflict: fault.Conflict, codeSettled: fault.EffectSettled, codeInvalid: fault.Invalid}
)

// Authorize implements payment.Gateway.
func (p *Payments) Authorize(ctx context.Context, _ string, pay payment.Payment) (payment.Result, error) {
	out, result, err := p.effect(ctx, "authorize", "/authorization", nil, pay, 0, map[string]payment.State{
		resultDone: payment.Authorized, resultRefused: payment.Refused, resultUndone: payment.Undone, resultPending: payment.Pending,
	}, problemsOfDo)
	if err == nil && out.Result == resultDone && out.Captured {
		result.State = payment.Captured
	}
	return result, err
}

// Capture implements payment.Gateway.
func (p *Payments) Capture(ctx context.Context, _ string, pay payment.Payment) (payment.Result, error) {
	_, result, err := p.effect(ctx, "capture", "/capture", nil, pay, 0, map[string]payment.State{
		resultDone: payment.Captured, resultRefused: payment.CaptureRefused,
	}, problemsOfTake)
	return result, err
}

// Void implements payment.Gateway.
func (p *Payments) Void(ctx context.Context, _ string, pay payment.Payment) (payment.Result, error) {
	_, result, err := p.effect(ctx, "void", "/void", nil, pay, 0, map[string]payment.State{
		resultUndone: payment.Undone, resultRefused: payment.Refused,
	}, problemsOfUndo)
	return result, err
}

// Refund implements payment.Gateway.
func (p *Payments) Refund(ctx context.Context, key string, pay payment.Payment, amount int64) (payment.Result, error) {
	if amount < 1 {
		return payment.Result{}, check(pay, amount)
	}
	key = RefundKey(key)
	_, result, err := p.effect(ctx, "refund", "/refunds/"+key, []string{key}, pay, amount, map[string]payment.State{
		resultDone: payment.Refunded, resultRefused: payment.RefundRefused,
	}, problemsOfDo)
	return result, err
}

// Lookup implements payment.Gateway.
func (p *Payments) Lookup(ctx context.Context, pay payment.Payment) (payment.Result, error) {
	if !event.ValidID(pay.OrderID) {
		return payment.Result{}, fault.NewInvalid("payment", []fault.Field{fault.Fieldf("/orderId", "%s", event.IDRule)})
	}
	out, key := &paymentAnswer{}, PaymentKey(pay)
	if err := p.call(ctx, request{
		operation: "findPayment", path: "/payments/" + key, keys: []string{key}, complain: func(d *jsondoc.Doc) { out.complain(d) },
	}, out); err != nil {
		return payment.Result{}, err
	}
	if pay.ID != "" && out.PaymentID != "" && out.PaymentID != pay.ID {
		return payment.Result{}, fault.New(fault.Conflict, "the payment of %s has a different ID", pay)
	}
	return out.result(payment.State(out.State)), nil
}
