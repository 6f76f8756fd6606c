package inbound

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// StartSaga starts a saga of a flow that a team has added.
type StartSaga struct {
	Origin
	Flow string
	// Data is valid; it is the event's.
	Data json.RawMessage
}

// TellSaga tells a saga of such a flow something, or asks it to cancel.
type TellSaga struct {
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
	for _, route := range r.byType {
		if route.flow.Info().Name == name {
			return route.flow
		}
	}
	return nil
}

// parse makes a command of an event for a flow.
func (r route) parse(e event.Event, o Origin) (Command, error) {
	info := r.flow.Info()
	if !event.ValidID(o.Subject) {
		return nil, fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/"+info.Subject, "%s", event.IDRule)})
	}
	switch r.in.Role {
	case saga.RoleStart:
		data, err := withoutSubject(e.Data, info.Subject)
		if err == nil {
			_, err = r.flow.ReadStart(o.Subject, data, "/data")
		}
		return StartSaga{o, info.Name, data}, err
	case saga.RoleCancel:
		var said remarks
		_, err := read(e, &said, false)
		return TellSaga{o, info.Name, sagaclient.Fact{
			Cancel: &saga.Cancellation{ID: o.Key, Cause: o.EventID, Reason: remark(said.Reason, maxText)}, CorrelationID: o.CorrelationID,
		}}, err
	}
	fact, err := r.in.ReadFact(o.Subject, o.Key, o.EventID, e.Data)
	return TellSaga{o, info.Name, sagaclient.Fact{Fact: fact, CorrelationID: o.CorrelationID}}, err
}

// withoutSubject is the data of an event without the field that has the ID: that is not part of what a saga is started with.
func withoutSubject(data json.RawMessage, subject string) (json.RawMessage, error) {
	if len(data) == 0 {
		return json.RawMessage("{}"), nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return nil, fault.New(fault.Malformed, "the data of the event is no JSON object")
	}
	delete(fields, subject)
	rest, err := json.Marshal(fields)
	return rest, fault.Wrap(err, fault.Internal, "write the data of an event")
}

// sagas are the sagas of a flow.
func (x *Executor) sagas(flow string) (sagaclient.Sagas, error) {
	sagas, ok := x.Flows[flow]
	if !ok {
		return nil, fault.New(fault.Internal, "there is no flow %s", flow)
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

func (x *Executor) tellSaga(ctx context.Context, c TellSaga) error {
	sagas, err := x.sagas(c.Flow)
	if err != nil {
		return err
	}
	return sagas.Tell(ctx, c.Subject, c.Fact)
}

// saga says what a command for a flow would come to, as far as the log tells.
func (p *Previewer) saga(ctx context.Context, flow string, o Origin, starts bool) (Preview, error) {
	f := p.Routes.flow(flow)
	if f == nil {
		return Preview{}, fault.New(fault.Internal, "there is no flow %s", flow)
	}
	records, err := p.Log.Read(ctx, f.StreamOf(o.Subject), 0, 0)
	if err != nil {
		return Preview{}, err
	}
	name := flow + " " + o.Subject
	if len(records) == 0 {
		if starts {
			return Preview{Outcome: OutcomeStart, Sentence: "would start " + name}, nil
		}
		return Preview{Outcome: OutcomeWait, Sentence: fmt.Sprintf("would wait for %s, which is not known", name)}, nil
	}
	v, err := f.View(records)
	if err != nil {
		return Preview{}, err
	}
	preview := Preview{From: string(v.Status), To: string(v.Status)}
	switch {
	case starts:
		preview.Outcome, preview.Sentence = OutcomeNothing, name+" exists: nothing would happen, unless its content was another one then"
	case v.Ended:
		preview.Outcome, preview.Sentence = OutcomeLate, fmt.Sprintf("%s has ended as %s: the event would be kept as a late one, unless it had its effect before", name, v.Status)
	default:
		preview.Outcome, preview.Sentence = OutcomeAsk, fmt.Sprintf("would tell %s, which is %s", name, v.Status)
	}
	return preview, nil
}
