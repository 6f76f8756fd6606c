package onboarding

import (
	"context"
	"fmt"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of histories: never rename one.
const (
	// Workflow is the workflow type; Signal notifies a run of new events.
	Workflow = "CustomerSaga"
	Signal   = "customer"
)

// StepWelcome starts the welcome message. It is the only step: the registration is in the log before the saga starts.
const StepWelcome = "welcome"

// Flow is a customer's onboarding, and what changes about them later. It never ends: the next profile starts a run that publishes it.
var Flow = saga.Flow[State, *Participants]{
	Name: "onboarding", Stream: "customer", Subject: "customerId", Workflow: Workflow, Queue: saga.QueueOrders,
	Own: own, Endless: true, NoAttention: true, More: Signal, Details: details,
	Summary:      func(s *State) string { return "customer " + s.ID + ": registration and profile" },
	Customer:     func(s *State) string { return s.ID },
	NothingStuck: "nothing is stuck: a step of an onboarding is tried until it succeeds",
	Steps: []saga.Step[State, *Participants]{{
		Name: StepWelcome, Kind: saga.Forward, Slot: SlotOnboarded, Done: event.CustomerOnboarded,
		Do: &saga.Operation[State, *Participants]{Run: (*Participants).welcome, Name: "customer.Welcome", Summary: "start the welcome message"},
	}},
}

// Participants are what the steps call.
type Participants struct {
	// Welcome starts the welcome message of a customer, once, however often it is called; nil when there are no welcome messages.
	Welcome func(ctx context.Context, customerID string) error
}

// welcome starts a separate saga that sends the welcome message. It outlives this one.
func (p *Participants) welcome(ctx context.Context, c saga.Call[State]) (saga.Outcome, error) {
	if p.Welcome != nil {
		if err := p.Welcome(ctx, c.ID); err != nil {
			return saga.Outcome{}, err
		}
	}
	return saga.Done(Onboarded{Welcome: p.Welcome != nil}), nil
}

func details(s *State, note string) string {
	return fmt.Sprintf("Customer %s at version %d: **%s**\n", s.CustomerID, s.Head.Version, note)
}
