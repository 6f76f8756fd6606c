package latepayment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of histories: never rename one.
const (
	// Workflow is the workflow type; Signal notifies a run of new events.
	Workflow = "LateSaga"
	Signal   = "late"
)

// Steps of the saga, in events and in the Temporal Web UI.
const (
	// StepJudge asks the gateway whether money has arrived.
	StepJudge = "judge"
	// StepRefund refunds it.
	StepRefund = "refund"
	// StepDispatch is the operator's work about dispatched goods.
	StepDispatch = "dispatch"
)

// The situations that need attention.
const (
	// LookupStuck: the gateway does not say whether money has arrived.
	LookupStuck = "it is unknown whether money arrived after the order had ended"
	// RefundStuck: the gateway does not refund it.
	RefundStuck = "the refund of money that arrived after the order had ended is stuck"
	// GoodsLeft: an operator must find the goods.
	GoodsLeft = "the goods were dispatched although the order had ended"
)

// operation is an operation of a step.
type operation = saga.Operation[State, *Participants]

// Flow is the saga that handles the late events of an order: it looks up late payments, refunds them, and requests attention for dispatched goods. It
// never ends: the next late event starts a run. Late events are in the log.
var Flow = saga.Flow[State, *Participants]{
	Name: "late-payment", Stream: "late", Events: "order", Subject: "orderId", Workflow: Workflow, Queue: saga.QueueOrders,
	Own: own, Clone: clone, Endless: true, Private: true, More: Signal, Next: next, Item: item, Bound: bound,
	Details: details, HowResolved: howResolved, StepState: stepState,
	// How the order ended is the reason why its events came late.
	ShownAs:      func(s *State) (saga.Status, string) { return "", string(s.OrderStatus) },
	NothingStuck: "nothing is stuck: the order has ended, and its late events are handled or in progress",
	Steps: []saga.Step[State, *Participants]{
		{
			Name: StepJudge, Kind: saga.Forward, Done: event.PaymentArrivedLate, StuckText: LookupStuck,
			Do: &operation{
				Run: (*Participants).judge, Name: "late.Judge", Queue: saga.QueuePayments, Summary: "ask the gateway whether money has arrived", Remote: true,
			},
		},
		{
			Name: StepRefund, Kind: saga.Forward, Done: event.PaymentRefunded, StuckText: RefundStuck,
			Do: &operation{
				Run: (*Participants).refund, Name: "late.Refund", Queue: saga.QueuePayments, Summary: "refund the late payment", Remote: true,
			},
		},
		{Name: StepDispatch, Kind: saga.Forward, Slot: SlotGoods, StuckText: GoodsLeft},
	},
}

// next: payments are handled one after the other, oldest first; dispatched goods need attention after them.
func next(s *State, _ time.Time) saga.Action {
	p, open := s.open()
	switch {
	case open:
		return saga.Action{Kind: saga.Do, Step: p.step(), Item: p.ID}
	case s.goodsOpen() && !s.More:
		return saga.Action{Kind: saga.Ask, Step: StepDispatch, For: "the goods were dispatched although the order had ended"}
	}
	return saga.Action{Kind: saga.Close}
}

// item is the oldest payment that is open, for its step.
func item(s *State, step string) (id string, open bool) {
	if step == StepDispatch {
		return "", s.goodsOpen()
	}
	p, open := s.open()
	return p.ID, open && p.step() == step
}

func bound(s *State) (again bool) {
	*s = s.Bounded()
	return s.Exhausted()
}

// stepState is how far a step is with everything that came.
func stepState(s *State, step string) saga.ViewState {
	open, done := s.More, len(s.Payments) > 0 || s.Settled.Count > 0
	switch step {
	case StepRefund:
		open, done = false, s.Arrived() > 0
	case StepDispatch:
		open, done = s.goodsOpen(), s.Goods
	}
	for _, p := range s.Payments {
		open = open || p.open() && p.step() == step
	}
	switch {
	case open:
		return saga.ViewPending
	case done:
		return saga.ViewDone
	}
	return saga.ViewSkipped
}

func howResolved(s *State) string {
	if s.HowDecided != "" {
		return s.HowDecided
	}
	return "the step succeeded"
}

// Participants are what the steps call.
type Participants struct {
	Gateway payment.Gateway
	// Refunds is the log of the ledgers of refunds.
	Refunds event.StreamAppender
	// Payment is the payment of an order that has ended, as a gateway knows it. Errors: Unavailable, also for an order that is not found.
	Payment func(ctx context.Context, orderID string) (payment.Payment, error)
}

// Validate reports which participants are missing.
func (p *Participants) Validate() error {
	if p == nil || p.Gateway == nil || p.Refunds == nil || p.Payment == nil {
		return errors.New("the late event flow requires a payment gateway, the refund ledger and the payments of orders")
	}
	return nil
}

// maxAsks bounds how often the gateway is asked about one payment: over about nine minutes, which is less than what reconcile
// considers a stall.
const maxAsks = 10

// judge asks the gateway whether money has arrived. A notification may be earlier than what its provider answers: that no
// money has arrived is recorded at once only for a payment that was captured, which the notification repeats, and for a
// gateway that is settled by the notification itself.
func (p *Participants) judge(ctx context.Context, c saga.Call[State]) (saga.Outcome, error) {
	m, pay, err := p.about(ctx, c)
	settler, settles := p.Gateway.(payment.Settler)
	if err == nil && settles {
		err = settler.Settle(ctx, pay, true, "")
	}
	if err != nil {
		return saga.Outcome{}, err
	}
	found, err := p.Gateway.Lookup(ctx, pay)
	if err != nil {
		return saga.Outcome{}, err
	}
	taken := found.State == payment.Captured || found.State == payment.Refunded
	if asked := c.Tries + 1; asked < maxAsks && found.Arrived == 0 && !settles && !taken {
		return saga.TryLater("", "the gateway to report the payment").Pause(saga.AskAgainAfter(asked)), nil
	}
	d := Money{EventID: m.Cause, PaymentID: found.PaymentID, Amount: c.State.Due(found.Arrived, pay.Amount), Currency: pay.Currency}
	if d.Amount == 0 {
		return saga.Done(d).As(event.PaymentNothingArrived), nil
	}
	return saga.Done(d), nil
}

// refund refunds the money that has arrived.
func (p *Participants) refund(ctx context.Context, c saga.Call[State]) (saga.Outcome, error) {
	m, pay, err := p.about(ctx, c)
	if err != nil {
		return saga.Outcome{}, err
	}
	key := "late/" + m.ID
	reserved, err := refunds.Reserve(ctx, p.Refunds, refunds.Claim{
		Reference: pay.OrderID, Key: key, Source: refunds.Arrived, Amount: m.Amount, Limit: c.State.Arrived(), Currency: pay.Currency,
	}, c.Now())
	switch {
	case err != nil:
	case reserved.Amount != m.Amount:
		err = fault.New(fault.Conflict, "%d of the %d that came late for order %s are reserved for other refunds",
			m.Amount-reserved.Amount, m.Amount, pay.OrderID)
	default:
		err = payment.Refund(ctx, p.Gateway, pay.Key(key), pay, reserved.Amount)
	}
	return saga.Done(Money{EventID: m.Cause, PaymentID: m.PaymentID, Amount: m.Amount, Currency: pay.Currency}), err
}

// about is the late payment that a step is about, and the order's payment as the gateway knows it.
func (p *Participants) about(ctx context.Context, c saga.Call[State]) (LatePayment, payment.Payment, error) {
	m := c.State.Payment(c.Item)
	pay, err := p.Payment(ctx, c.ID)
	pay.ID = m.PaymentID
	return m, pay, err
}

// maxShown is how many open payments are shown.
const maxShown = 20

// details shows the late events as Markdown.
func details(s *State, note string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Late events of order %s: **%s**\n\n", s.OrderID, note)
	if s.Settled.Count > 0 {
		fmt.Fprintf(&b, "- ✓ %d payments handled\n", s.Settled.Count)
	}
	for _, p := range s.Payments[:min(len(s.Payments), maxShown)] {
		text := "the gateway is asked"
		if p.Decided {
			text = fmt.Sprintf("%d to be refunded", p.Amount)
		}
		fmt.Fprintf(&b, "- ▶ payment %s: %s\n", p.Cause, text)
	}
	if s.Goods {
		mark, text := "▶", "an operator must decide"
		if s.GoodsSettled {
			mark, text = "✓", "resolved"
		}
		fmt.Fprintf(&b, "- %s dispatched goods: %s\n", mark, text)
	}
	return b.String()
}
