package onboarding

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// StepInput is what every step of a customer's saga gets.
type StepInput struct {
	State State `json:"state"`
	// Published is the version up to which the broker has confirmed; for Publish.
	Published int64 `json:"published,omitempty"`
	// Entry is what to append; for Record.
	Entry event.Entry `json:"entry,omitzero"`
}

// StepResult is what every step of a customer's saga answers.
type StepResult struct {
	// State is what the whole stream tells; of Open, and of Record when the tail does not fit. A customer's stream grows for as
	// long as the customer stays, and what a workflow is handed does not.
	State *State `json:"state,omitempty"`
	// Tail are the records behind the input's head, as they stand in the log.
	Tail []event.Record `json:"tail,omitempty"`
	// Published is the version up to which the broker has confirmed; of Publish.
	Published int64 `json:"published,omitempty"`
	// Welcome is the saga that welcomes the customer, by the setting of the worker that opened the run; nil when customers are not
	// welcomed; of Open.
	Welcome *saga.Child `json:"welcome,omitempty"`
}

// Activities are the activities of the customers' saga.
type Activities struct {
	*activities.Recorder
	// Welcome is the saga that welcomes a customer; nil when customers are not welcomed.
	Welcome func(customerID string) saga.Child
}

// Open reads a customer's stream.
func (c *Activities) Open(ctx context.Context, in StepInput) (StepResult, error) {
	state, err := Load(ctx, c.Log, in.State)
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	result := StepResult{State: &state}
	if c.Welcome != nil {
		welcome := c.Welcome(in.State.CustomerID)
		result.Welcome = &welcome
	}
	return result, nil
}

// Record appends an event that the run has decided on. Losing a race is no error: what stands there is the answer.
func (c *Activities) Record(ctx context.Context, in StepInput) (StepResult, error) {
	_, tail, err := c.Log.Append(ctx, event.CustomerStream(in.State.CustomerID), in.State.Head, []event.Entry{in.Entry})
	if err != nil && !activities.Lost(err) {
		return StepResult{}, activities.ToTemporal(err)
	}
	if activities.Fits(tail) {
		return StepResult{Tail: tail}, nil
	}
	state, err := in.State.Fold(tail)
	return StepResult{State: &state}, activities.ToTemporal(err)
}

// Publish publishes the next page of the customer's events that are not published yet, in order, up to the input's head. It
// fails, retryably, when the broker has not confirmed any of them.
func (c *Activities) Publish(ctx context.Context, in StepInput) (StepResult, error) {
	published, err := c.Recorder.Publish(ctx, saga.PublishInput{
		Stream: event.CustomerStream(in.State.CustomerID), After: in.Published, Through: in.State.Head.Version, Pages: 1,
	})
	return StepResult{Published: published.Published}, err
}

// Load folds a customer's stream after a state, page by page.
func Load(ctx context.Context, log event.StreamReader, before State) (State, error) {
	return event.FoldPages(ctx, log, event.CustomerStream(before.CustomerID), before.Head.Version, before, State.Fold)
}

// Register writes a registration down, once an id, in the customer's stream. It reports what the stream tells then, and the
// record in the registration's slot: an earlier one, when the id was there already. Errors: those of the log.
func Register(ctx context.Context, log activities.Log, r Registration, at time.Time) (State, event.Record, error) {
	var stored event.Record
	fold := func(s State, page []event.Record) (State, error) {
		if i := slices.IndexFunc(page, func(record event.Record) bool { return record.Key == SlotProfile+r.ID }); i >= 0 {
			stored = page[i]
		}
		return s.Fold(page)
	}
	state, err := event.AppendUntil(ctx, log, event.CustomerStream(r.CustomerID), State{CustomerID: r.CustomerID}, fold,
		func(s State) ([]event.Entry, error) {
			if stored.Version > 0 {
				return nil, nil
			}
			return []event.Entry{s.Registered(r, at)}, nil
		})
	return state, stored, fault.Wrap(err, fault.CodeOf(err), "register customer %s", r.CustomerID)
}

// Workflow is the workflow type, and its function.
func (*Activities) Workflow() (name string, run any) { return Workflow, Run }

// Activities are the activities by their registered names.
func (c *Activities) Activities() map[string]any {
	return map[string]any{NameOpen: c.Open, NameRecord: c.Record, NamePublish: c.Publish}
}

// Check reports what is wrong with the flow.
func (*Activities) Check() error {
	_, err := Calls()
	return err
}
