package runtime_test

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/runtime"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Booking is the state of a saga: the kit's part, and what sagas of this flow are started with.
type Booking struct {
	saga.Saga
	Wish Wish `json:"wish"`
}

// Wish is the input of POST /v1/sagas/booking, and the data of the event hotel.booking_requested.
type Wish struct {
	Room   string `json:"room" required:"true"`
	Nights int64  `json:"nights" required:"true"`
}

// Check notes what is wrong with a wish. The sender gets all of it, each with its place: /input/nights, or /data/nights of an event.
func (w *Wish) Check(p *saga.Problems) {
	p.Require(w.Nights >= 1 && w.Nights <= 30, "/nights", "must be from 1 to 30")
}

// Hotel is what the steps call.
type Hotel struct{ logger *slog.Logger }

// Hold holds the room. It may be called any number of times: the saga's ID makes the calls one.
func (h *Hotel) Hold(ctx context.Context, c saga.Call[Booking]) (saga.Outcome, error) {
	h.logger.LogAttrs(ctx, slog.LevelInfo, "hold", slog.String("saga_id", c.ID), slog.String("room", c.State.Wish.Room))
	return saga.Done(nil), nil
}

// Release makes it so that the room is not held, whether or not it was, and keeps it so.
func (h *Hotel) Release(context.Context, saga.Call[Booking]) (saga.Outcome, error) {
	return saga.Undone(nil), nil
}

// Confirm comes after the pivot: it is tried until it succeeds.
func (h *Hotel) Confirm(context.Context, saga.Call[Booking]) (saga.Outcome, error) {
	return saga.Done(nil), nil
}

type operation = saga.Operation[Booking, *Hotel]

var bookings = saga.Flow[Booking, *Hotel]{
	Name: "booking", Stream: "hotel", Subject: "bookingId", Queue: saga.QueueOrders,
	Start:   saga.StartWith(func(s *Booking) *Wish { return &s.Wish }, (*Wish).Check),
	Inbound: []saga.Inbound{saga.Starts(event.Type{Name: "hotel.booking_requested", Meaning: "A guest asks for a room."})},
	Types: []event.Type{
		{Name: "hotel.held", Meaning: "The room is held."}, {Name: "hotel.full", Meaning: "There is no room."},
		{Name: "hotel.released", Meaning: "The room is not held any more."}, {Name: "hotel.confirmed", Meaning: "The guest may come."},
	},
	Schemas:  os.DirFS("schemas"), // hotel.held/1.json and so on; a real flow embeds them
	Defaults: map[saga.Deadline]time.Duration{"HOTEL_HOLD_DEADLINE": time.Minute},
	Steps: []saga.Step[Booking, *Hotel]{
		{
			Name: "hold", Kind: saga.Compensable, Status: "held", Deadline: "HOTEL_HOLD_DEADLINE",
			Do: &operation{Run: (*Hotel).Hold}, Undo: &operation{Run: (*Hotel).Release},
			Done: "hotel.held", Refused: "hotel.full", Undone: []string{"hotel.released"},
		},
		{Name: "decide", Kind: saga.Pivot, Status: "settling"},
		{Name: "confirm", Kind: saga.Forward, Do: &operation{Run: (*Hotel).Confirm}, Done: "hotel.confirmed", StuckText: "the confirmation is stuck"},
	},
}

// A binary with a flow of one's own.
func Example() {
	runtime.Version = "1.0.0"
	runtime.Main(runtime.Add(&bookings, func(e runtime.Env) (*Hotel, error) { return &Hotel{e.Logger}, nil }))
}
