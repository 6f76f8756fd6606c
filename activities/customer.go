package activities

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
)

// registerAttempts bounds how often a registration goes after a stream that keeps growing.
const registerAttempts = 10

// CustomerStepInput is what every step of a customer's saga gets.
type CustomerStepInput struct {
	State onboarding.State `json:"state"`
	// Published is the version up to which the broker has confirmed; for Publish.
	Published int64 `json:"published,omitempty"`
	// Entry is what to append; for Record.
	Entry event.Entry `json:"entry,omitzero"`
}

// CustomerStepResult is what every step of a customer's saga answers.
type CustomerStepResult struct {
	// State is what the whole stream tells; of Open, and of Record when the tail does not fit. A customer's stream grows for as
	// long as the customer stays, and what a workflow is handed does not.
	State *onboarding.State `json:"state,omitempty"`
	// Tail are the records behind the input's head, as they stand in the log.
	Tail []event.Record `json:"tail,omitempty"`
	// Published is the version up to which the broker has confirmed; of Publish.
	Published int64 `json:"published,omitempty"`
	// Welcome tells that customers are welcomed: the setting of the worker that opened the run; of Open.
	Welcome bool `json:"welcome,omitempty"`
}

// Customers are the activities of the customers' saga.
type Customers struct {
	Log       Log
	Publisher Publisher
	// Welcome tells that customers are welcomed.
	Welcome bool

	sent sentVersions
}

// Open reads a customer's stream.
func (c *Customers) Open(ctx context.Context, in CustomerStepInput) (CustomerStepResult, error) {
	state, err := loadCustomer(ctx, c.Log, in.State)
	if err != nil {
		return CustomerStepResult{}, toTemporal(err)
	}
	return CustomerStepResult{State: &state, Welcome: c.Welcome}, nil
}

// Record appends an event that the run has decided on. Losing a race is no error: what stands there is the answer.
func (c *Customers) Record(ctx context.Context, in CustomerStepInput) (CustomerStepResult, error) {
	_, tail, err := c.Log.Append(ctx, event.CustomerStream(in.State.CustomerID), in.State.Head, []event.Entry{in.Entry})
	if err != nil && !lost(err) {
		return CustomerStepResult{}, toTemporal(err)
	}
	if fits(tail) {
		return CustomerStepResult{Tail: tail}, nil
	}
	state, err := in.State.Fold(tail)
	return CustomerStepResult{State: &state}, toTemporal(err)
}

// Publish publishes the next page of the customer's events that are not published yet, in order, up to the input's head. It
// fails, retryably, when the broker has not confirmed any of them.
func (c *Customers) Publish(ctx context.Context, in CustomerStepInput) (CustomerStepResult, error) {
	p := &publication{log: c.Log, publisher: c.Publisher, sent: &c.sent}
	published, err := p.run(ctx, PublishInput{
		Stream: event.CustomerStream(in.State.CustomerID), After: in.Published, Through: in.State.Head.Version, Pages: 1,
	})
	return CustomerStepResult{Published: published}, toTemporal(err)
}

// loadCustomer folds a customer's stream behind a state, page by page.
func loadCustomer(ctx context.Context, log event.StreamReader, before onboarding.State) (onboarding.State, error) {
	return event.FoldPages(ctx, log, event.CustomerStream(before.CustomerID), before.Head.Version, before, onboarding.State.Fold)
}

// Register writes a registration down, once an id, in the customer's stream. It reports what the stream tells then, and the
// record in the registration's slot: an earlier one, when the id was there already. Errors: those of the log.
func Register(ctx context.Context, log Log, r onboarding.Registration, at time.Time) (onboarding.State, event.Record, error) {
	stream := event.CustomerStream(r.CustomerID)
	state := onboarding.State{CustomerID: r.CustomerID}
	var stored event.Record
	is := func(record event.Record) bool { return record.Key == onboarding.SlotProfile+r.ID }
	for range registerAttempts {
		known := false
		var err error
		state, err = event.FoldPages(ctx, log, stream, state.Head.Version, state, func(s onboarding.State, page []event.Record) (onboarding.State, error) {
			if i := slices.IndexFunc(page, is); i >= 0 {
				stored, known = page[i], true
			}
			return s.Fold(page)
		})
		if err != nil || known {
			return state, stored, err
		}
		_, tail, err := log.Append(ctx, stream, state.Head, []event.Entry{state.Registered(r, at)})
		switch {
		case err == nil, errors.Is(err, fault.KeyTaken):
			if i := slices.IndexFunc(tail, is); i >= 0 {
				stored = tail[i]
			}
			state, err = state.Fold(tail)
			return state, stored, err
		case !errors.Is(err, fault.Concurrency):
			return state, event.Record{}, fault.Wrap(err, fault.CodeOf(err), "register customer %s", r.CustomerID)
		}
	}
	return state, event.Record{}, fault.New(fault.Unavailable, "stream %s grows faster than it can be written", stream)
}
