// Package dispute is the flow of what a payment provider takes back after it was recorded: a payment that its payer disputes, and a refund that fails
// after the provider had accepted it. Either needs attention until the provider, or an operator, ends it.
//
// While a dispute is open, all that is left of the payment is reserved in the refund ledger, so that nothing is refunded that the payer may get through
// the dispute. A dispute that is lost counts as a refund; one that is won releases its reservations.
//
// Only the step functions do I/O.
package dispute

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/text"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Workflow is the registered workflow type. It is part of histories: never rename it.
const Workflow = "DisputeSaga"

// Steps of the saga, in events and in the Temporal Web UI.
const (
	// StepBlock blocks refunds of the payment, StepUnblock ends that.
	StepBlock   = "block"
	StepUnblock = "unblock"
	// StepDispute is the dispute: the provider, or an operator, ends it.
	StepDispute = "dispute"
	// StepRefund asks the gateway about the refund that is said to have failed.
	StepRefund = "refund"
)

// StatusOpen is the status of a dispute that is open.
const StatusOpen saga.Status = "open"

// What a person may be asked to act on.
const (
	PaymentDisputed = "the payer disputes the payment"
	BlockStuck      = "refunds of the disputed payment cannot be blocked"
	UnblockStuck    = "refunds of the payment cannot be unblocked after its dispute"
	RefundFailed    = "a refund failed after the payment provider had accepted it"
	RefundUnknown   = "it is unknown whether the refund failed"
)

// Results of a dispute.
const (
	Won  = "won"
	Lost = "lost"
)

// Request is what a dispute is started with.
type Request struct {
	// OrderID is the order, or the saga of Flow, whose payment is disputed.
	OrderID string `json:"orderId" required:"true"`
	// Flow is the stream of the flow of the saga; empty for an order.
	Flow string `json:"flow,omitempty"`
	// RefundKey is the key that a failed refund had at the gateway; empty for a dispute of the payment.
	RefundKey string `json:"refundKey,omitempty"`
	// PaymentID is the provider's; Amount is what is disputed, in minor units, 0 if it is not known; Reason is the provider's code.
	PaymentID string `json:"paymentId,omitempty"`
	Amount    int64  `json:"amount,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// maxReason is how many characters a reason may have, and the texts that identify something.
const maxReason = 200

func (r *Request) check(p *saga.Problems) {
	p.Require(event.ValidID(r.OrderID), "/orderId", "%s", event.IDRule)
	p.Require(r.Amount >= 0 && r.Amount <= order.MaxAmount, "/amount", "%s", fault.RuleRange(0, order.MaxAmount))
	for _, t := range []struct{ at, value string }{
		{"/flow", r.Flow}, {"/refundKey", r.RefundKey}, {"/paymentId", r.PaymentID}, {"/reason", r.Reason},
	} {
		for _, rule := range text.Validate(t.value, maxReason) {
			p.Require(false, t.at, "%s", rule)
		}
	}
}

// Closing is how a dispute ends.
type Closing struct {
	// Result is won or lost.
	Result string `json:"result" required:"true"`
}

func (c *Closing) check(p *saga.Problems) {
	p.Require(slices.Contains([]string{Won, Lost}, c.Result), "/result", "must be %s or %s", Won, Lost)
}

// State is a dispute, computed from its events.
type State struct {
	saga.Saga
	Request Request `json:"request"`
	// Result is how the provider has ended the dispute; empty if it has not.
	Result string `json:"result,omitempty"`
}

type operation = saga.Operation[State, *Participants]

// Flow is the saga of a dispute.
var Flow = saga.Flow[State, *Participants]{
	Name: "dispute", Stream: "dispute", Subject: "disputeId", Workflow: Workflow, Queue: saga.QueueOrders,
	Start: saga.StartWith(func(s *State) *Request { return &s.Request }, (*Request).check),
	Same:  same,
	Inbound: []saga.Inbound{
		saga.Starts(event.Named(event.PaymentDisputed)), saga.Starts(event.Named(event.PaymentRefundFailed)),
		saga.FactFrom[Closing](event.Named(event.PaymentDisputeClosed), (*Closing).check),
	},
	Own: own, Completed: completed, LongStatuses: []saga.Status{StatusOpen},
	Summary: func(s *State) string { return "dispute of order " + s.Request.OrderID },
	Steps: []saga.Step[State, *Participants]{
		{Name: "decide", Kind: saga.Pivot, Status: StatusOpen},
		{
			Name: StepBlock, Kind: saga.Forward, When: blocks, Done: event.DisputeRefundsBlocked, StuckText: BlockStuck,
			Do: &operation{Run: (*Participants).Block, Summary: "block refunds of the payment"},
		},
		{
			Name: StepDispute, Kind: saga.Await, When: func(s *State) bool { return s.Request.RefundKey == "" }, Done: event.DisputeClosed,
			Wait: &saga.WaitRule{
				On: []string{event.PaymentDisputeClosed}, For: "the end of the dispute", Since: saga.SlotAccept, Deadline: order.AttentionAfter,
				Overdue: PaymentDisputed, MissingText: PaymentDisputed,
			},
			Data: func(_ *State, f *saga.Fact) any {
				c, _ := saga.DataOf[Closing](f)
				return c
			},
		},
		{
			Name: StepUnblock, Kind: saga.Forward, When: blocks, Done: event.DisputeRefundsUnblocked, StuckText: UnblockStuck,
			Do: &operation{Run: (*Participants).Unblock, Summary: "end the block of refunds"},
		},
		{
			Name: StepRefund, Kind: saga.Forward, When: func(s *State) bool { return s.Request.RefundKey != "" },
			Done: event.DisputeRefundMade, Refused: event.DisputeRefundFailed,
			Do:        &operation{Run: (*Participants).Refund, Queue: saga.QueuePayments, Summary: "ask the gateway about the refund", Remote: true},
			StuckText: RefundUnknown, RefusedText: RefundFailed, RefusedError: RefundFailed,
		},
	},
}

// blocks: payments of other flows have no refund ledger.
func blocks(s *State) bool { return s.Request.RefundKey == "" && s.Request.Flow == "" }

// same: a provider may report other amounts and reasons of the same dispute later.
func same(s *State, data json.RawMessage) bool {
	var r Request
	return json.Unmarshal(data, &r) == nil && r.OrderID == s.Request.OrderID && r.Flow == s.Request.Flow && r.RefundKey == s.Request.RefundKey
}

// own folds what only a dispute's events say.
func own(s *State, r event.Record) error {
	if r.Type != event.DisputeClosed {
		return nil
	}
	return event.DecodeInto(r.Event, func(c Closing) { s.Result = c.Result })
}

func completed(s *State) any {
	return struct {
		OrderID string `json:"orderId"`
		Result  string `json:"result,omitempty"`
	}{s.Request.OrderID, s.Result}
}

// lost reports whether the payer has the money: the provider, or an operator with a reference, has said so.
func (s *State) lost() bool {
	hand, byHand := s.Settled(StepDispute, false)
	return s.Result == Lost || byHand && hand.Action == saga.Substitute
}

// Participants are what the steps call.
type Participants struct {
	Orders Orders
	// Refunds is the log of the refund ledgers.
	Refunds event.StreamAppender
	Gateway payment.Gateway
}

// Orders are the orders. order.Reader has them. Errors: Unavailable, fault.ErrMissing for an order that is not found.
type Orders interface {
	Load(ctx context.Context, id string) (order.State, error)
}

// Validate reports which participants are missing.
func (p *Participants) Validate() error {
	if p == nil || p.Orders == nil || p.Refunds == nil || p.Gateway == nil {
		return fault.New(fault.Invalid, "the dispute flow requires orders, a refund ledger and a payment gateway")
	}
	return nil
}

type call = saga.Call[State]

// blocked is the data of dispute.refunds_blocked and dispute.refunds_unblocked.
type blocked struct {
	OrderID string `json:"orderId"`
	// Disputed is what the payer may get through the dispute, or has got; Rest is what else was left of the payment.
	Disputed int64  `json:"disputed"`
	Rest     int64  `json:"rest"`
	Currency string `json:"currency,omitempty"`
}

// keys are the keys of the reservations: what is disputed, and the rest.
func keys(id string) (disputed, rest string) {
	disputed = refunds.DisputePrefix + event.Escape(id)
	return disputed, disputed + "/rest"
}

// Block reserves what is left of the payment, so that no refund does.
func (p *Participants) Block(ctx context.Context, c call) (saga.Outcome, error) {
	of, err := p.Orders.Load(ctx, c.State.Request.OrderID)
	if err != nil {
		return saga.Outcome{}, err
	}
	total, currency := of.Order.TotalAmount, of.Order.Currency
	disputed := c.State.Request.Amount
	if disputed == 0 {
		disputed = total
	}
	d := blocked{OrderID: of.Order.ID, Currency: currency}
	first, rest := keys(c.ID)
	if d.Disputed, err = p.reserve(ctx, c, first, disputed, total, currency); err == nil {
		d.Rest, err = p.reserve(ctx, c, rest, total, total, currency)
	}
	return saga.Done(d), err
}

// reserve reserves up to an amount; nothing if nothing is left.
func (p *Participants) reserve(ctx context.Context, c call, key string, amount, total int64, currency string) (int64, error) {
	r, err := refunds.Reserve(ctx, p.Refunds, refunds.Claim{
		Reference: c.State.Request.OrderID, Key: key, Source: refunds.Captured, Amount: amount, Limit: total, Currency: currency,
	}, c.Now())
	if errors.Is(err, fault.EffectSettled) {
		return 0, nil
	}
	return r.Amount, err
}

// Unblock releases the reservations, but for what a lost dispute has cost.
func (p *Participants) Unblock(ctx context.Context, c call) (saga.Outcome, error) {
	of := c.State.Request.OrderID
	ledger, err := refunds.Load(ctx, p.Refunds, of)
	if err != nil {
		return saga.Outcome{}, err
	}
	first, rest := keys(c.ID)
	d := blocked{OrderID: of, Rest: ledger.ByKey[rest].Amount, Currency: ledger.ByKey[first].Currency}
	held, reserved := ledger.ByKey[first]
	switch {
	case reserved && c.State.lost():
		d.Disputed = held.Amount
		err = refunds.Refunded(ctx, p.Refunds, of, first, c.Now())
	default:
		err = refunds.Release(ctx, p.Refunds, of, first, c.Now())
	}
	if err == nil {
		err = refunds.Release(ctx, p.Refunds, of, rest, c.Now())
	}
	return saga.Done(d), err
}

// refusal is the data of dispute.refund_failed.
type refusal struct {
	OrderID string `json:"orderId"`
	Reason  string `json:"reason"`
	// Key is the key of the refund in the refund ledger, Amount what it had refunded.
	Key    string `json:"key,omitempty"`
	Amount int64  `json:"amount,omitempty"`
	Code   string `json:"code,omitempty"`
}

// made is the data of dispute.refund_made.
type made struct {
	OrderID string `json:"orderId"`
	Key     string `json:"key"`
}

// ReasonFailed is the reason of a failed refund.
const ReasonFailed = "refund_failed"

// Refund repeats the call of the gateway, with the key of the refund, which tells what has become of it. A refund that its own saga has not recorded yet,
// or has recorded as refused, is left to that.
func (p *Participants) Refund(ctx context.Context, c call) (saga.Outcome, error) {
	request := c.State.Request
	failed := refusal{OrderID: request.OrderID, Reason: ReasonFailed, Amount: request.Amount, Code: request.Reason}
	if request.Flow != "" {
		return saga.Refused(failed), nil // its books are elsewhere
	}
	of, err := p.Orders.Load(ctx, request.OrderID)
	if err != nil {
		return saga.Outcome{}, err
	}
	ledger, err := refunds.Load(ctx, p.Refunds, of.Order.ID)
	if err != nil {
		return saga.Outcome{}, err
	}
	pay := of.PaymentOf()
	n := slices.IndexFunc(ledger.Keys, func(key string) bool { return pay.Key(key) == request.RefundKey })
	if n < 0 {
		return saga.Refused(failed), nil
	}
	failed.Key = ledger.Keys[n]
	r := ledger.ByKey[failed.Key]
	failed.Amount = r.Amount
	switch {
	case r.Released:
		return saga.Done(made{of.Order.ID, failed.Key}), nil
	case !r.Refunded && refunds.OnRequest(failed.Key):
		return saga.Outcome{}, fault.New(fault.Unavailable, "the saga of refund %s has not recorded its outcome", failed.Key)
	}
	result, err := p.Gateway.Refund(ctx, request.RefundKey, pay, r.Amount)
	switch {
	case err != nil:
		return saga.Outcome{}, err
	case result.State == payment.RefundRefused:
		if result.Code != "" {
			failed.Code = result.Code
		}
		return saga.Refused(failed), nil
	}
	return saga.Done(made{of.Order.ID, failed.Key}), nil
}
