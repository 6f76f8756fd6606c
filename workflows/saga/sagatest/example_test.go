package sagatest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
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

// Airline is what the steps of a trip call, in memory: an effect happens once a key, and what is freed stays free.
type Airline struct {
	mu    sync.Mutex
	seats map[string]string
}

// set sets what has happened to the seats of a trip, unless something has that comes later.
func (a *Airline) set(trip, what string, unless ...string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seats == nil {
		a.seats = make(map[string]string)
	}
	if !slices.Contains(unless, a.seats[trip]) {
		a.seats[trip] = what
	}
	return a.seats[trip]
}

// Book books the seats, unless there are too few.
func (a *Airline) Book(_ context.Context, c saga.Call[Trip]) (saga.Outcome, error) {
	switch {
	case c.State.Seats > 9:
		return saga.Refused(map[string]string{"reason": "sold_out"}), nil
	case a.set(c.ID, "booked", "freed", "issued") == "freed":
		return saga.Fenced(), nil
	}
	return saga.Done(nil), nil
}

// Free makes sure that no seat is booked, now or later.
func (a *Airline) Free(_ context.Context, c saga.Call[Trip]) (saga.Outcome, error) {
	a.set(c.ID, "freed")
	return saga.Undone(nil), nil
}

// Issue issues the ticket.
func (a *Airline) Issue(_ context.Context, c saga.Call[Trip]) (saga.Outcome, error) {
	a.set(c.ID, "issued")
	return saga.Done(nil), nil
}

// Holds reports seats that were booked for a trip that does not take place, and trips without a ticket.
func (a *Airline) Holds(s Trip) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if has := a.seats[s.ID]; (has == "issued") != (s.Status == saga.Completed) || has == "booked" {
		return fmt.Errorf("the trip is %s, and its seats are %q", s.Status, has)
	}
	return nil
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

// cells are the ways that trips go, and the world in which they do.
var cells = sagatest.Cells[Trip, *Airline]{
	Flow: &Flow,
	NewWorld: func(testing.TB) sagatest.World[Trip, *Airline] {
		airline := &Airline{}
		return sagatest.World[Trip, *Airline]{Participants: airline, Holds: airline.Holds}
	},
	Journeys: []sagatest.Journey{
		{Name: "booked", Data: map[string]int{"seats": 2}, End: saga.Completed},
		{Name: "sold out", Data: map[string]int{"seats": 10}, End: saga.Rejected, Reason: "sold_out"},
	},
}

// TestTrip is the whole test of the flow that needs no server.
func TestTrip(t *testing.T) {
	sagatest.Definition(t, &Flow, start)
	sagatest.Model(t, &Flow, start)
	sagatest.Matrix(t, cells)
}

// A flow is tested with its table, with a Start that says how its sagas begin and what its participants answer, and with Cells that have its
// step functions and a world for them. TestTrip is the test.
func Example() {
	fmt.Println(Flow.Check(), len(cells.Journeys))
	// Output: <nil> 2
}

// Runs that were started before a change go on after it: their histories, recorded once with SAGATEST_RECORD=1, replay.
func ExampleHistories() {
	_ = func(t *testing.T) {
		sagatest.Record(t, "testdata/histories", cells)
		sagatest.Histories(t, "testdata/histories", &Flow)
	}
}
