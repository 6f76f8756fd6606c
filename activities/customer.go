package activities

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/internal/customer"
	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// registerAttempts bounds how often a registration goes after a stream that keeps growing.
const registerAttempts = 10

// CustomerStepInput is what every step of a customer's saga gets.
type CustomerStepInput struct {
	State customer.State `json:"state"`
	// Published is the version up to which the broker has confirmed; for Publish.
	Published int64 `json:"published,omitempty"`
	// Entry is what to append; for Record.
	Entry event.Entry `json:"entry,omitzero"`
}

// CustomerStepResult is what every step of a customer's saga answers.
type CustomerStepResult struct {
	// State is what the whole stream tells; of Open. A customer's stream grows for as long as the customer stays, and what a
	// workflow is handed does not.
	State *customer.State `json:"state,omitempty"`
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
}

// Open reads a customer's stream.
func (c *Customers) Open(ctx context.Context, in CustomerStepInput) (CustomerStepResult, error) {
	tail, err := c.Log.Read(ctx, event.CustomerStream(in.State.CustomerID), in.State.Head.Version, 0)
	if err != nil {
		return CustomerStepResult{}, toTemporal(err)
	}
	state, err := in.State.Fold(tail)
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
	return CustomerStepResult{Tail: tail}, nil
}

// Publish publishes the customer's events that are not published yet, in order. It fails, retryably, when the broker has
// not confirmed all of them.
func (c *Customers) Publish(ctx context.Context, in CustomerStepInput) (CustomerStepResult, error) {
	records, err := c.Log.Read(ctx, event.CustomerStream(in.State.CustomerID), in.Published, 0)
	if err != nil || len(records) == 0 {
		return CustomerStepResult{Published: in.Published}, toTemporal(err)
	}
	n, err := c.Publisher.Publish(ctx, records)
	if err != nil {
		return CustomerStepResult{}, toTemporal(fault.Wrap(err, fault.Unavailable, "publish: %d of %d confirmed", n, len(records)))
	}
	newest := records[len(records)-1].Version
	result := CustomerStepResult{Published: newest}
	for _, r := range records {
		if r.Version > in.State.Head.Version {
			result.Tail = append(result.Tail, r)
		}
	}
	return result, nil
}

// Register writes a registration down, once an id, in the customer's stream. It reports what the stream tells then, and the
// record in the registration's slot: an earlier one, when the id was there already. Errors: those of the log.
func Register(ctx context.Context, log Log, r customer.Registration, at time.Time) (customer.State, event.Record, error) {
	stream := event.CustomerStream(r.CustomerID)
	state := customer.State{CustomerID: r.CustomerID}
	records, err := log.Read(ctx, stream, 0, 0)
	stored := func(records []event.Record) (event.Record, bool) {
		i := slices.IndexFunc(records, func(record event.Record) bool { return record.Key == customer.SlotProfile+r.ID })
		if i < 0 {
			return event.Record{}, false
		}
		return records[i], true
	}
	for range registerAttempts {
		if err != nil {
			return state, event.Record{}, err
		}
		if record, there := stored(records); there {
			return state, record, nil
		}
		if state, err = state.Fold(records); err != nil {
			return state, event.Record{}, err
		}
		_, tail, err := log.Append(ctx, stream, state.Head, []event.Entry{state.Registered(r, at)})
		switch {
		case err == nil, errors.Is(err, fault.KeyTaken):
			record, _ := stored(tail)
			state, err = state.Fold(tail)
			return state, record, err
		case !errors.Is(err, fault.Concurrency):
			return state, event.Record{}, fault.Wrap(err, fault.CodeOf(err), "register customer %s", r.CustomerID)
		}
		records = tail
	}
	return state, event.Record{}, fault.New(fault.Unavailable, "stream %s grows faster than it can be written", stream)
}
