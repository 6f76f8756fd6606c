// Package giftcard is a flow of a team's own: a saga that tops up a gift card. It locks the card, sets the money aside, waits for an approval
// where the amount is large, takes the money and raises the balance. When a step is refused, nothing is left of the others.
package giftcard

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/runtime"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// State is a top-up as its events tell it: the kit's part, and what this flow adds.
type State struct {
	saga.Saga
	TopUp     TopUp  `json:"topUp"`
	PaymentID string `json:"paymentId,omitempty"`
}

// Settings that bound the waits of the flow: environment variables of these names change the defaults.
const (
	lockDeadline      saga.Deadline = "GIFTCARD_LOCK_DEADLINE"
	authorizeDeadline saga.Deadline = "GIFTCARD_AUTHORIZE_DEADLINE"
	approvalDeadline  saga.Deadline = "GIFTCARD_APPROVAL_DEADLINE"
)

// stream begins the names of streams and workflow IDs.
const stream = "giftcard"

// statusAuthorized is the status while an approval is waited for.
const statusAuthorized saga.Status = "authorized"

// Events from outside.
const (
	requested = "giftcard.topup_requested"
	cancelled = "giftcard.topup_cancellation_requested"
	approved  = "giftcard.topup_approved"
)

//go:embed schemas
var schemaFiles embed.FS

type operation = saga.Operation[State, *Participants]

// Flow is the saga, in business order. What follows from the order (what is attempted next, what is compensated and when) is the kit's.
var Flow = saga.Flow[State, *Participants]{
	Name: "giftcard-topup", Stream: stream, Subject: "topUpId", Queue: saga.QueueOrders,
	Start:        saga.StartWith(func(s *State) *TopUp { return &s.TopUp }, (*TopUp).check),
	LongStatuses: []saga.Status{statusAuthorized},
	Own:          own, Types: types, Schemas: schemas(), Summary: summary,
	Defaults: map[saga.Deadline]time.Duration{lockDeadline: time.Minute, authorizeDeadline: 2 * time.Minute, approvalDeadline: 24 * time.Hour},
	Inbound: []saga.Inbound{
		saga.Starts(event.Type{Name: requested, Aliases: []string{"GiftCardTopUpRequested"}, Meaning: "A shop asks to top up a gift card."}),
		saga.Cancels(event.Type{Name: cancelled, Meaning: "A shop asks to cancel a top-up."}),
		saga.FactFrom[Approval](event.Type{Name: approved, Meaning: "A large top-up is approved."}, (*Approval).check),
	},
	Steps: []saga.Step[State, *Participants]{
		{
			Name: "lock", Kind: saga.Compensable, Status: "locked", Deadline: lockDeadline,
			Do:     &operation{Run: (*Participants).Lock, Summary: "lock the card"},
			Lookup: &operation{Run: (*Participants).FindLock, Summary: "ask whether the card is locked", Within: time.Minute},
			Undo:   &operation{Run: (*Participants).Unlock, Summary: "undo: unlock the card"},
			Done:   "giftcard.locked", Refused: "giftcard.lock_refused", Undone: []string{"giftcard.unlocked"},
		},
		{
			Name: "authorize", Kind: saga.Compensable, Status: statusAuthorized, Deadline: authorizeDeadline,
			Do:     &operation{Run: (*Participants).Authorize, Queue: saga.QueuePayments, Remote: true, Summary: "authorize the payment"},
			Lookup: &operation{Run: (*Participants).FindPayment, Queue: saga.QueuePayments, Remote: true, Summary: "ask the gateway about the payment", Within: time.Minute},
			Undo:   &operation{Run: (*Participants).Void, Queue: saga.QueuePayments, Remote: true, Summary: "undo: void the payment"},
			Done:   "giftcard.authorized", Refused: "giftcard.declined", Undone: []string{"giftcard.voided"},
		},
		{
			Name: "approve", Kind: saga.Await, When: large, Done: "giftcard.approved", Data: approval,
			Wait: &saga.WaitRule{On: []string{approved}, For: "the approval of a large top-up", Since: "authorize", Deadline: approvalDeadline, Overdue: "not_approved"},
		},
		{Name: "decide", Kind: saga.Pivot, Status: "settling"},
		{
			Name: "capture", Kind: saga.Forward, Done: "giftcard.captured", StuckText: "the capture is stuck",
			Do: &operation{Run: (*Participants).Capture, Queue: saga.QueuePayments, Remote: true, Summary: "capture the payment"},
		},
		{
			Name: "credit", Kind: saga.Forward, Done: "giftcard.credited", StuckText: "the credit is stuck",
			Do: &operation{Run: (*Participants).Credit, Summary: "raise the balance"},
		},
	},
}

// own folds what only a top-up's events say.
func own(s *State, r event.Record) error {
	if r.Type != "giftcard.authorized" {
		return nil
	}
	return event.DecodeInto(r.Event, func(d paid) { s.PaymentID = d.PaymentID })
}

func large(s *State) bool { return s.TopUp.Amount >= needsApproval }

func summary(s *State) string { return "top up card " + s.TopUp.CardID + " by " + s.TopUp.price() }

// approval is the data of giftcard.approved, but for what the kit adds.
func approval(_ *State, f *saga.Fact) any {
	a, _ := saga.DataOf[Approval](f)
	return a
}

// Participants are what the steps call: the cards and the payment gateway.
type Participants struct {
	Cards    Cards
	Payments payment.Gateway
}

// New makes the participants in the running service.
func New(e runtime.Env) (*Participants, error) {
	return &Participants{Cards: Ledger{e.Log, e.Clock}, Payments: e.Payments}, nil
}

// Cards are the cards. Every call may come any number of times, and late: a lock of a top-up that was unlocked stays undone.
type Cards interface {
	Lock(ctx context.Context, cardID, topUpID string, amount int64, currency string) (Lock, error)
	Find(ctx context.Context, cardID, topUpID string) (Lock, error)
	Unlock(ctx context.Context, cardID, topUpID string) error
	// Credit raises the balance by what was locked for, and unlocks the card. It returns the balance.
	Credit(ctx context.Context, cardID, topUpID string) (balance int64, err error)
}

type call = saga.Call[State]

// Lock locks the card. While another top-up has it, it is tried again.
func (p *Participants) Lock(ctx context.Context, c call) (saga.Outcome, error) {
	lock, err := p.Cards.Lock(ctx, c.State.TopUp.CardID, c.ID, c.State.TopUp.Amount, c.State.TopUp.Currency)
	switch {
	case err != nil:
		return saga.Outcome{}, err
	case lock.Busy && !c.Last:
		return saga.TryLater("", "another top-up of the card"), nil
	case lock.Busy:
		return saga.Refused(refusal{"card_busy"}), nil
	}
	return lock.outcome(), nil
}

// FindLock asks whether a lock whose outcome is not known holds.
func (p *Participants) FindLock(ctx context.Context, c call) (saga.Outcome, error) {
	lock, err := p.Cards.Find(ctx, c.State.TopUp.CardID, c.ID)
	if err != nil || !lock.Held && lock.Refused == "" {
		return saga.NotFound(), err
	}
	return lock.outcome(), nil
}

// Unlock makes it so that the card is not locked for this top-up, and never will be.
func (p *Participants) Unlock(ctx context.Context, c call) (saga.Outcome, error) {
	return saga.Undone(nil), p.Cards.Unlock(ctx, c.State.TopUp.CardID, c.ID)
}

// pay is the payment of a top-up. It is no order's.
func pay(c call) payment.Payment {
	t := c.State.TopUp
	return payment.Payment{Flow: stream, OrderID: c.ID, ID: c.State.PaymentID, Amount: t.Amount, Currency: t.Currency, Method: t.Method, CreatedAt: c.State.CreatedAt}
}

// Authorize sets the money aside.
func (p *Participants) Authorize(ctx context.Context, c call) (saga.Outcome, error) {
	result, err := p.Payments.Authorize(ctx, pay(c).Key("authorize"), pay(c))
	return authorization(result, err)
}

// FindPayment asks what became of an authorization whose outcome is not known.
func (p *Participants) FindPayment(ctx context.Context, c call) (saga.Outcome, error) {
	result, err := p.Payments.Lookup(ctx, pay(c))
	if err == nil && (result.State == payment.Absent || result.State == payment.Undone) {
		return saga.NotFound(), nil
	}
	return authorization(result, err)
}

// authorization is the outcome of an authorization. A payer who must act first is not waited for: the top-up is refused.
func authorization(r payment.Result, err error) (saga.Outcome, error) {
	switch {
	case err != nil:
		return saga.Outcome{}, err
	case r.State == payment.Authorized:
		return saga.Done(paid{r.PaymentID}), nil
	case r.State == payment.Undone:
		return saga.Fenced(), nil
	case r.State == payment.Pending:
		return saga.Refused(refusal{"payment_pending"}), nil
	}
	return saga.Refused(refusal{"payment_declined"}), nil
}

// Void makes it so that no authorization stands, and keeps it so.
func (p *Participants) Void(ctx context.Context, c call) (saga.Outcome, error) {
	_, err := p.Payments.Void(ctx, pay(c).Key("void"), pay(c))
	return saga.Undone(nil), err
}

// Capture takes the money.
func (p *Participants) Capture(ctx context.Context, c call) (saga.Outcome, error) {
	result, err := p.Payments.Capture(ctx, pay(c).Key("capture"), pay(c))
	if err == nil && result.State != payment.Captured {
		err = errCapture // people must look: the money was set aside, and is not given
	}
	return saga.Done(c.State.TopUp.taken()), err
}

// Credit raises the balance.
func (p *Participants) Credit(ctx context.Context, c call) (saga.Outcome, error) {
	balance, err := p.Cards.Credit(ctx, c.State.TopUp.CardID, c.ID)
	return saga.Done(credited{balance}), err
}

// schemas has the schemas of the flow's own events.
func schemas() fs.FS {
	files, err := fs.Sub(schemaFiles, "schemas")
	if err != nil {
		panic(err)
	}
	return files
}
