package inbound

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// StartSaga starts a saga of a flow that a team has added.
type StartSaga struct {
	Origin
	Flow string
	// Data is valid; it is the event's.
	Data json.RawMessage
}

// SignalSaga passes a fact or a cancellation to a saga of such a flow.
type SignalSaga struct {
	Origin
	Flow string
	Fact sagaclient.Fact
}

// Routes say which events lead to the sagas of which flow. The zero value knows only the flows of this service.
type Routes struct{ byType map[string]route }

type route struct {
	flow saga.Definer
	in   saga.Inbound
}

// own are the routes to the flows of this service that have inbound events in their tables.
var own = NewRoutes(&refund.Flow, &returns.Flow, &dispute.Flow)

// of returns the route of a type.
func (r Routes) of(eventType string) (route, bool) {
	to, ok := r.byType[eventType]
	if !ok {
		to, ok = own.byType[eventType]
	}
	return to, ok
}

// NewRoutes makes the routes to flows.
func NewRoutes(flows ...saga.Definer) Routes {
	r := Routes{make(map[string]route)}
	for _, f := range flows {
		for _, in := range f.Info().Inbound {
			r.byType[in.Name] = route{f, in}
		}
	}
	return r
}

// flow returns the flow of a name.
func (r Routes) flow(name string) saga.Definer {
	for _, routes := range []map[string]route{r.byType, own.byType} {
		for _, route := range routes {
			if route.flow.Info().Name == name {
				return route.flow
			}
		}
	}
	return nil
}

// parse makes a command of an event for a flow.
func (r route) parse(e event.Event, o Origin) (Command, error) {
	info := r.flow.Info()
	if r.in.Role == saga.RoleStart && r.in.IDField != "" {
		return r.parseEach(e, o)
	}
	if !event.ValidID(o.Subject) {
		return nil, fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/"+info.Subject, "%s", event.IDRule)})
	}
	switch r.in.Role {
	case saga.RoleStart:
		data, err := r.withoutSubject(e)
		if err == nil {
			_, err = r.flow.ReadStart(o.Subject, data, "/data")
		}
		return StartSaga{o, info.Name, data}, err
	case saga.RoleCancel:
		var said remarks
		_, err := read(e, &said, false)
		return SignalSaga{o, info.Name, sagaclient.Fact{
			Cancel: &saga.Cancellation{ID: o.Key, Cause: o.EventID, Reason: remark(said.Reason, maxText)}, CorrelationID: o.CorrelationID,
		}}, err
	}
	fact, err := r.in.ReadFact(o.Subject, o.Key, o.EventID, e.Data)
	return SignalSaga{o, info.Name, sagaclient.Fact{Fact: fact, CorrelationID: o.CorrelationID}}, err
}

// parseEach makes a command of an event that starts a saga of its own: its ID is in the data, or derived from the identity of the event.
func (r route) parseEach(e event.Event, o Origin) (Command, error) {
	fields, err := objectOf(e)
	if err != nil {
		return nil, err
	}
	about := r.in.SubjectFields[0]
	if !event.ValidID(o.Subject) {
		return nil, fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/"+about, "%s", event.IDRule)})
	}
	id := event.DerivedID(r.flow.Info().Name, e.Type, o.Key, o.Subject)
	if raw, named := fields[r.in.IDField]; named && string(raw) != "null" {
		if err := json.Unmarshal(raw, &id); err != nil || !event.ValidID(id) {
			return nil, fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/"+r.in.IDField, "%s", event.IDRule)})
		}
	}
	delete(fields, r.in.IDField) // also null
	for _, name := range r.in.SubjectFields {
		delete(fields, name)
	}
	if fields[about], err = json.Marshal(o.Subject); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "write the subject of an event")
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "write the data of an event")
	}
	o.Subject = id
	_, err = r.flow.ReadStart(id, data, "/data")
	return StartSaga{o, r.flow.Info().Name, data}, err
}

// objectOf is the data of an event.
func objectOf(e event.Event) (fields map[string]json.RawMessage, err error) {
	if len(e.Data) == 0 {
		return map[string]json.RawMessage{}, nil
	}
	if err := json.Unmarshal(e.Data, &fields); err != nil || fields == nil {
		return nil, fault.New(fault.Malformed, "the event data must be a JSON object")
	}
	return fields, nil
}

// withoutSubject is the data of an event without the field that says which saga it is about: that is not part of what a saga is started with.
// Fields that could say so too, and do not, are.
func (r route) withoutSubject(e event.Event) (json.RawMessage, error) {
	fields, err := objectOf(e)
	if err != nil {
		return nil, err
	}
	delete(fields, r.flow.Info().Subject)
	for _, name := range r.in.SubjectFields {
		var text string
		if json.Unmarshal(fields[name], &text) == nil && text == e.Subject {
			delete(fields, name)
			break
		}
	}
	rest, err := json.Marshal(fields)
	return rest, fault.Wrap(err, fault.Internal, "write the data of an event")
}

// sagas are the sagas of a flow.
func (x *Executor) sagas(flow string) (sagaclient.Sagas, error) {
	sagas, ok := x.Flows[flow]
	if !ok {
		return nil, fault.New(fault.Internal, "flow %s does not exist", flow)
	}
	return sagas, nil
}

func (x *Executor) startSaga(ctx context.Context, c StartSaga) error {
	sagas, err := x.sagas(c.Flow)
	if err != nil {
		return err
	}
	_, _, err = sagas.Start(ctx, sagaclient.Request{
		ID: c.Subject, Body: c.Data, At: "/data", CorrelationID: c.CorrelationID, CausationID: c.EventID, CallerID: true,
	})
	return err
}

func (x *Executor) signalSaga(ctx context.Context, c SignalSaga) error {
	sagas, err := x.sagas(c.Flow)
	if err != nil {
		return err
	}
	return sagas.SendFact(ctx, c.Subject, c.Fact)
}

// starts previews an event that starts a saga.
func (p *Previewer) starts(ctx context.Context, c StartSaga) (Preview, error) {
	f, records, err := p.saga(ctx, c.Flow, c.Subject)
	if err != nil {
		return Preview{}, err
	}
	data, err := f.ReadStart(c.Subject, c.Data, "/data")
	if err != nil {
		return Preview{}, err
	}
	if len(records) == 0 {
		return Preview{Outcome: OutcomeStart, Sentence: fmt.Sprintf("would start %s %s", c.Flow, c.Subject)}, nil
	}
	v, err := f.View(records)
	if err != nil {
		return Preview{}, err
	}
	same, err := f.StartedWith(records, data)
	switch {
	case err != nil:
		return Preview{}, err
	case !same:
		return Preview{}, fault.New(fault.Conflict, "%s %s exists with different content", c.Flow, c.Subject)
	}
	return nothingOf(v, "exists with the same content"), nil
}

// previewSignal previews an event that brings a fact to a saga.
func (p *Previewer) previewSignal(ctx context.Context, c SignalSaga) (Preview, error) {
	f, records, err := p.saga(ctx, c.Flow, c.Subject)
	if err != nil {
		return Preview{}, err
	}
	if len(records) == 0 {
		return p.earlySaga(ctx, f, c)
	}
	fact := c.Fact.Fact
	if c.Fact.Cancel != nil {
		fact = f.Cancellation(c.Subject, *c.Fact.Cancel)
	}
	v, err := f.View(records)
	if err != nil {
		return Preview{}, err
	}
	answered, err := f.Answers(records, fact.Late())
	switch {
	case err != nil:
		return Preview{}, err
	case answered:
		return nothingOf(v, "has already handled this event"), nil
	case v.Ended:
		return p.lateSaga(ctx, f, v, fact)
	}
	return Preview{Outcome: OutcomeAsk, From: string(v.Status), To: string(v.Status), Sentence: fmt.Sprintf("would pass the event to %s %s, which is %s", c.Flow, c.Subject, v.Status)}, nil
}

// saga reads the stream of a saga.
func (p *Previewer) saga(ctx context.Context, flow, id string) (saga.Definer, []event.Record, error) {
	f := p.Routes.flow(flow)
	if f == nil {
		return nil, nil, fault.New(fault.Internal, "flow %s does not exist", flow)
	}
	records, err := p.Log.Read(ctx, f.StreamOf(id), 0, 0)
	return f, records, err
}

// earlySaga is for an event about a saga that is not known.
func (p *Previewer) earlySaga(ctx context.Context, f saga.Definer, c SignalSaga) (Preview, error) {
	preview := Preview{Outcome: OutcomeWait, Sentence: fmt.Sprintf("would wait for %s %s, which does not exist yet", c.Flow, c.Subject)}
	if c.Fact.Cancel == nil {
		return preview, nil
	}
	kept, err := p.Log.Read(ctx, f.EarlyStreamOf(c.Subject), 0, saga.MaxEarly)
	switch entry := f.Early(c.Subject, *c.Fact.Cancel, "", p.Clock()); {
	case hasKey(kept, entry.Key):
		preview.Sentence += "; the cancellation is already kept for it"
	case len(kept) < saga.MaxEarly:
		preview.Sentence += "; the cancellation would be kept for it"
	}
	return preview, err
}

// lateSaga is for an event about a saga that has ended.
func (p *Previewer) lateSaga(ctx context.Context, f saga.Definer, v saga.View, fact saga.Fact) (Preview, error) {
	entry := f.LateEntries(saga.LateInput{ID: v.ID, Status: v.Status, Events: []saga.LateEvent{fact.Late()}}, p.Clock())[0]
	kept, err := p.Log.Read(ctx, f.LateStreamOf(v.ID), 0, 0)
	if err != nil {
		return Preview{}, err
	}
	if hasKey(kept, entry.Key) {
		return nothingOf(v, "has ended, and this event is already recorded as a late event"), nil
	}
	return Preview{Outcome: OutcomeLate, From: string(v.Status), To: string(v.Status),
		Sentence: fmt.Sprintf("%s %s has ended as %s: the event would be recorded as a late event", v.Flow, v.ID, v.Status)}, nil
}

// nothingOf says that nothing would happen to a saga, and why.
func nothingOf(v saga.View, why string) Preview {
	return Preview{Outcome: OutcomeNothing, From: string(v.Status), To: string(v.Status),
		Sentence: fmt.Sprintf("%s %s %s: nothing would happen", v.Flow, v.ID, why)}
}
