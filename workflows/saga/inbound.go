package saga

import (
	"cmp"
	"encoding/json"

	"github.com/ordersaga/ordersaga/event"
)

// Role says what an event from outside does.
type Role string

// The roles of events from outside.
const (
	// RoleStart starts a saga, with what the flow's Start reads in its data.
	RoleStart Role = "start"
	// RoleCancel requests a cancellation. It has an optional text "reason".
	RoleCancel Role = "cancel"
	// RoleFact is a fact for which a row waits: see WaitRule.On, WaitRule.Trouble and PendingRule.On.
	RoleFact Role = "fact"
)

// Inbound is a type of events from outside, and what they do. Of the type, Direction is set by the kit, and SubjectFields is by default
// the flow's Subject.
type Inbound struct {
	event.Type
	Role Role
	read func(raw json.RawMessage) (json.RawMessage, error)
}

// Starts is a type of events that start sagas. Events of a type with an IDField start one each: its ID is that field of the data, or derived from
// the identity of the event. What the event is about is part of what the saga is started with then, in the first of its SubjectFields.
func Starts(t event.Type) Inbound { return Inbound{Type: t, Role: RoleStart} }

// Cancels is a type of events that request cancellations.
func Cancels(t event.Type) Inbound { return Inbound{Type: t, Role: RoleCancel} }

// FactFrom is a type of events that bring facts to sagas. Their data is a D: see StartWith for what D may be; fields that it does not have
// are passed over. Step functions and rows get it with DataOf. Check, which may be nil, notes what is wrong with a value, and may change it.
func FactFrom[D any](t event.Type, check func(d *D, p *Problems)) Inbound {
	return Inbound{Type: t, Role: RoleFact, read: func(raw json.RawMessage) (json.RawMessage, error) { return read(raw, "/data", true, check) }}
}

// ReadFact reads what an event says, for a fact: its Data. Where a wait is fulfilled in parts, each event is one. ID is that of the saga, factID is derived from the event's source and ID, and cause
// is its ID. Errors: Malformed, and Invalid, which names every field that is wrong.
func (i Inbound) ReadFact(id, factID, cause string, raw json.RawMessage) (Fact, error) {
	var data json.RawMessage
	if i.read != nil {
		var err error
		if data, err = i.read(raw); err != nil {
			return Fact{}, err
		}
	}
	factID, cause = Tidy(SignalFact, factID, cause)
	return Fact{Type: i.Name, ID: factID, Cause: cause, Identity: Identity(i.Name, id, factID, string(data)), Part: factID, Data: data}, nil
}

// inboundTypes are the types of the events from outside.
func (f *Flow[S, P]) inboundTypes() []event.Type {
	types := make([]event.Type, len(f.Inbound))
	for i, in := range f.Inbound {
		t := in.Type
		t.Direction, t.Version, t.Fact = event.Inbound, cmp.Or(t.Version, 1), in.Role != RoleStart
		if t.SubjectFields == nil {
			t.SubjectFields = []string{f.subject()}
		}
		types[i] = t
	}
	return types
}
