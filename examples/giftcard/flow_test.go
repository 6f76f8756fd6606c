package giftcard

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/runtime/runtimetest"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

func init() {
	if err := Flow.Register(); err != nil {
		panic(err)
	}
}

// start is how random top-ups begin, and what the participants say.
var start = sagatest.Start[State]{
	Data: func(t *rapid.T) any {
		return struct {
			ID string `json:"topUpId"`
			TopUp
		}{"42", TopUp{CardID: "GIFT-1", Amount: rapid.SampledFrom([]int64{1, needsApproval}).Draw(t, "amount"), Currency: "EUR", Method: "tok_visa"}}
	},
	Answer: func(_ *rapid.T, s State, _, eventType string) (any, bool) {
		switch eventType {
		case "giftcard.lock_refused":
			return refusal{"over_limit"}, false
		case "giftcard.declined":
			return refusal{"payment_declined"}, false
		case "giftcard.authorized":
			return paid{"pay-1"}, false
		case "giftcard.captured":
			return s.TopUp.taken(), false
		case "giftcard.credited":
			return credited{s.TopUp.Amount}, false
		}
		return nil, false
	},
	Fact:    func(*rapid.T, string) any { return Approval{By: "ada"} },
	Settles: map[string]string{"capture": "authorize", "credit": "lock"},
}

func TestDefinition(t *testing.T) { sagatest.Definition(t, &Flow, start) }

func TestModel(t *testing.T) { sagatest.Model(t, &Flow, start) }

// world is the ledger of the cards and the gateway, for one saga.
func world(t testing.TB) sagatest.World[State, *Participants] {
	env := runtimetest.Env()
	p, err := New(env)
	if err != nil {
		t.Fatal(err)
	}
	return sagatest.World[State, *Participants]{Participants: p, Holds: func(s State) error { return holds(p, s) }}
}

// holds is what must be true of cards and money when a top-up has ended.
func holds(p *Participants, s State) error {
	ctx := context.Background()
	ledger := p.Cards.(Ledger)
	c, err := ledger.change(ctx, s.TopUp.CardID, s.ID, func(card) (string, string, movement, error) { return "", "", movement{}, nil })
	if err != nil {
		return err
	}
	paid, err := p.Payments.Lookup(ctx, payment.Payment{
		Flow: stream, OrderID: s.ID, Amount: s.TopUp.Amount, Currency: s.TopUp.Currency, Method: s.TopUp.Method,
	})
	if err != nil {
		return err
	}
	switch {
	case c.lockedBy != "":
		return errors.New("the card is still locked")
	case s.Status == saga.Completed && (c.balance != s.TopUp.Amount || paid.State != payment.Captured):
		return fmt.Errorf("the top-up is completed, the balance is %d, the payment is %s", c.balance, paid.State)
	case s.Status != saga.Completed && (c.balance != 0 || paid.State == payment.Authorized || paid.State == payment.Captured):
		return fmt.Errorf("the top-up is %s, the balance is %d, the payment is %s", s.Status, c.balance, paid.State)
	}
	return nil
}

// topUpOf is the data of the first event of a top-up.
func topUpOf(amount int64, method string) any {
	return map[string]any{"topUpId": "42", "cardId": "GIFT-1", "amount": amount, "currency": "EUR", "method": method}
}

// cells are the ways that top-ups go.
func cells() sagatest.Cells[State, *Participants] {
	approval := saga.Fact{Type: approved, ID: "e-1", Cause: "e-1", Data: []byte(`{"by":"ada"}`)}
	return sagatest.Cells[State, *Participants]{
		Flow: &Flow, NewWorld: world,
		Journeys: []sagatest.Journey{
			{Name: "small", Data: topUpOf(2500, "tok_visa"), End: saga.Completed},
			{
				Name: "large", Data: topUpOf(needsApproval, "tok_visa"), End: saga.Completed,
				Arrivals: []sagatest.Arrival{{Row: "approve", Payload: approval}},
			},
			{Name: "declined", Data: topUpOf(2500, "tok_declined"), End: saga.Rejected, Reason: "payment_declined"},
		},
	}
}

// TestMatrix strikes every step with every fault.
func TestMatrix(t *testing.T) {
	all := cells()
	all.Journeys = append(all.Journeys, sagatest.Journey{
		Name: "not approved", Data: topUpOf(needsApproval, "tok_visa"), End: saga.Failed, Reason: "not_approved",
	})
	sagatest.Matrix(t, all)
}

// TestHistories: runs that an earlier version has started go on with this one. SAGATEST_RECORD=1 records them again, on a Temporal server:
// bin/devstack exec --only temporal -- env SAGATEST_RECORD=1 go -C examples/giftcard test -run TestHistories .
func TestHistories(t *testing.T) {
	const dir = "testdata/histories"
	sagatest.Record(t, dir, cells())
	sagatest.Histories(t, dir, &Flow)
}

// The events that participants write are in the catalog, too.
func TestEveryTypeIsRegistered(t *testing.T) {
	for _, typ := range Flow.EventTypes() {
		if _, ok := event.Schema(typ.Name, 1); !ok {
			t.Errorf("%s has no schema", typ.Name)
		}
	}
}
