package sagaclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Request is a request to start a saga.
type Request struct {
	ID string
	// Body is what it is started with, as its sender wrote it; At is where that is in what was sent, such as /data, for errors.
	Body json.RawMessage
	At   string
	// CorrelationID and CausationID are for the saga's first event.
	CorrelationID, CausationID string
	// Fresh reports that the ID was made for this request, CallerID that the caller chose it.
	Fresh, CallerID bool
}

// Fact is a fact about a saga, or a request to cancel it.
type Fact struct {
	saga.Fact
	// Cancel is set when it is a request to cancel, instead of Fact.
	Cancel *saga.Cancellation
	// CorrelationID is that of the event which brought it.
	CorrelationID string
}

// Sagas are the sagas of a flow, whatever its types are. It is safe for concurrent use. Errors: Unavailable when Temporal or the log does
// not answer, and those that a method names.
type Sagas interface {
	Info() saga.Info
	// Start starts a saga and returns what it is then; replayed is true when it was there already, with the same content. Errors: Malformed,
	// Invalid with every field that is wrong; Conflict when it was there with other content.
	Start(ctx context.Context, r Request) (v saga.View, replayed bool, err error)
	// SendFact sends a fact to a saga. A fact that comes after its end is kept in a stream of its own, a cancellation that comes before
	// its beginning, too. Errors: OrderUnknown for a saga that is not known yet.
	SendFact(ctx context.Context, id string, f Fact) error
	// Cancel requests a cancellation and waits for the answer. Errors: NotFound.
	Cancel(ctx context.Context, id string, c saga.Cancellation) (saga.CancelAnswer, error)
	// Resolve passes on an operator's decision and waits for the answer. Errors: NotFound.
	Resolve(ctx context.Context, id string, r saga.Resolution, key string) (saga.Resolution, saga.ResolveAnswer, error)
	// View is a saga as the log, or Temporal before the log, knows it. Errors: NotFound.
	View(ctx context.Context, id string) (saga.View, error)
}

// TableClient starts, signals, cancels and finds the sagas of a flow by what its table says.
type TableClient[S, P any] struct {
	*flowClient[S, P]
	log   activities.Log
	clock func() time.Time
}

// NewTableClient returns a client for the sagas of a flow. It does no I/O.
func NewTableClient[S, P any](c Config, flow *saga.Flow[S, P], log activities.Log, clock func() time.Time) *TableClient[S, P] {
	rule := startRule[S]{
		State: func(data json.RawMessage) (S, error) { return flow.Begun("", data) },
		Summary: func(s *S) string {
			if flow.Summary != nil {
				return flow.Summary(s)
			}
			return flow.Name + " " + flow.Kit(s).ID
		},
		Attributes: flow.AttributesOf,
		LogKey:     "saga_id",
	}
	if flow.Start != nil {
		rule.Data = func(s *S) any { return flow.Started(s) }
		rule.Details = func(s *S) string {
			var indented bytes.Buffer
			_ = json.Indent(&indented, flow.Started(s), "", "  ")
			id := flow.Kit(s).ID
			return "```json\n" + indented.String() + "\n```\n\nEvents: stream `" + flow.StreamOf(id) + "`, or `/v1/sagas/" + flow.Name + "/" + id + "/events`.\n"
		}
	}
	return &TableClient[S, P]{newFlowClient(c, flow, rule), log, clock}
}

// Info describes the flow.
func (c *flowClient[S, P]) Info() saga.Info { return c.flow.Info() }

// Start implements Sagas.
func (c *TableClient[S, P]) Start(ctx context.Context, r Request) (saga.View, bool, error) {
	if !event.ValidID(r.ID) {
		return saga.View{}, false, fault.NewInvalid(c.flow.Name, []fault.Field{fault.Fieldf(r.At+"/"+c.flow.Info().Subject, "%s", event.IDRule)})
	}
	data, err := c.flow.ReadStart(r.ID, r.Body, r.At)
	if err != nil {
		return saga.View{}, false, err
	}
	in := saga.Input{ID: r.ID, Data: data, CorrelationID: r.CorrelationID, CausationID: r.CausationID, CallerID: r.CallerID}
	replayed, err := c.start(ctx, in, r.Fresh, nil)
	if err != nil {
		return saga.View{}, false, err
	}
	if replayed {
		v, err := c.View(ctx, r.ID)
		return v, true, err
	}
	v, err := c.begunView(in, c.clock())
	return v, false, err
}

// begunView is a saga that has no event yet.
func (c *flowClient[S, P]) begunView(in saga.Input, at time.Time) (saga.View, error) {
	s, err := c.begun(in)
	if err != nil {
		return saga.View{}, err
	}
	k := c.flow.Kit(&s)
	k.CreatedAt, k.UpdatedAt, k.CorrelationID = at.UTC().Truncate(event.TimeResolution), at.UTC().Truncate(event.TimeResolution), in.CorrelationID
	v := c.flow.ViewOf(&s)
	v.Input = in.Data
	return v, nil
}

// View is a saga as the log, or Temporal before the log, knows it. Sagas of endless flows begin with their first event. Errors: NotFound.
func (c *flowClient[S, P]) View(ctx context.Context, id string) (saga.View, error) {
	s, err := c.state(ctx, id)
	if err != nil {
		return saga.View{}, err
	}
	if c.flow.Kit(&s).Opened() {
		return c.flow.ViewOf(&s), nil
	}
	if c.flow.Endless {
		return saga.View{}, c.notFound(id)
	}
	found, err := c.find(ctx, id)
	if err != nil {
		return saga.View{}, err
	}
	return c.begunView(found.input, found.startedAt)
}

// SendFact implements Sagas.
func (c *TableClient[S, P]) SendFact(ctx context.Context, id string, f Fact) error {
	err := c.sendFact(ctx, id, f)
	if f.Cancel == nil || !errors.Is(err, fault.OrderUnknown) || c.flow.EarlyStreamOf(id) == "" {
		return err
	}
	kept, added, keepErr := activities.KeepEarly(ctx, c.log, c.flow, id, *f.Cancel, f.CorrelationID, c.clock())
	switch {
	case keepErr != nil:
		return keepErr
	case !kept:
		c.logger.LogAttrs(ctx, slog.LevelWarn, "a cancellation of an unknown saga was not kept: the limit is reached",
			slog.String("event_id", f.Cancel.Cause), c.logID(id), slog.Int("limit", saga.MaxEarly))
		return err
	case added:
		// The saga may have come meanwhile, and have looked before this was kept.
		err = c.sendFact(ctx, id, f)
	}
	if errors.Is(err, fault.OrderUnknown) {
		return fault.New(fault.OrderUnknown, "%s is not known; %s", c.name(id), deadletter.EarlySagaNote)
	}
	return err
}

func (c *TableClient[S, P]) sendFact(ctx context.Context, id string, f Fact) error {
	name, payload, fact := saga.SignalFact, any(f.Fact), f.Fact
	if f.Cancel != nil {
		name, payload, fact = saga.SignalCancel, *f.Cancel, c.flow.Cancellation(id, *f.Cancel)
	}
	ended, err := c.Signal(ctx, id, name, payload)
	if err != nil || ended == nil {
		return err
	}
	if c.flow.Answered(&ended.State, fact.Late()) {
		return nil
	}
	in := saga.LateInput{ID: id, Status: c.flow.Kit(&ended.State).Status, CorrelationID: f.CorrelationID, Events: []saga.LateEvent{fact.Late()}}
	return activities.KeepLate(ctx, c.log, c.flow, in, c.clock())
}
