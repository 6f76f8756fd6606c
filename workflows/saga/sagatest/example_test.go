package sagatest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// Trip is the state of a saga that books a seat and issues the ticket.
type Trip struct {
	saga.Saga
	// Seats is how many there are; Kept reports that a refusal has kept some of them.
	Seats int  `json:"seats"`
	Kept  bool `json:"kept,omitempty"`
}

// Airline is what the steps of a trip call.
type Airline struct{}

func (*Airline) Book(context.Context, saga.Call[Trip]) (saga.Outcome, error) {
	return saga.Done(nil), nil
}
func (*Airline) Free(context.Context, saga.Call[Trip]) (saga.Outcome, error) {
	return saga.Undone(nil), nil
}
func (*Airline) Issue(context.Context, saga.Call[Trip]) (saga.Outcome, error) {
	return saga.Done(nil), nil
}

type operation = saga.Operation[Trip, *Airline]

// Flow is the trip's table.
var Flow = saga.Flow[Trip, *Airline]{
	Name: "trip", Stream: "trip", Queue: "trips",
	Own: func(s *Trip, r event.Record) error {
		switch r.Type {
		case "trip.accepted", "seats.refused":
			return json.Unmarshal(r.Data, s)
		}
		return nil
	},
	Steps: []saga.Step[Trip, *Airline]{
		{
			Name: "book", Kind: saga.Compensable, Do: &operation{Run: (*Airline).Book}, Undo: &operation{Run: (*Airline).Free},
			Done: "seats.booked", Refused: "seats.refused", Undone: []string{"seats.freed"}, Deadline: "BOOK_DEADLINE",
			Held: func(s *Trip) bool { return s.Kept },
		},
		{Name: "decide", Kind: saga.Pivot, Status: "settling"},
		{Name: "issue", Kind: saga.Forward, Do: &operation{Run: (*Airline).Issue}, Done: "ticket.issued"},
	},
}

// start is how trips begin in the test, and what the airline says.
var start = sagatest.Start[Trip]{
	Data: func(t *rapid.T) any { return map[string]int{"seats": rapid.IntRange(1, 9).Draw(t, "seats")} },
	Answer: func(t *rapid.T, s Trip, _, eventType string) (data any, held bool) {
		if eventType != "seats.refused" {
			return nil, false
		}
		kept := s.Seats > 1 && rapid.Bool().Draw(t, "kept")
		return map[string]any{"reason": "sold_out", "kept": kept}, kept
	},
	// A seat with a ticket cannot be freed.
	Settles: map[string]string{"issue": "book"},
}

// TestTrip is the whole test of the flow that needs no server.
func TestTrip(t *testing.T) {
	sagatest.Definition(t, &Flow, start)
	sagatest.Model(t, &Flow, start)
}

// A flow is tested with its table, and with a Start that says how its sagas begin and what its participants answer. TestTrip is the test.
func Example() {
	fmt.Println(Flow.Check())
	// Output: <nil>
}
