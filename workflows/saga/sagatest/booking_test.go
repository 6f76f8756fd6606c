package sagatest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// booking is a saga with a row of every kind: it holds a room, has it paid, asks the hotel where that must grant it, charges, and sends
// the papers.
type booking struct {
	saga.Saga
	Slow    bool `json:"slow"`
	Parked  bool `json:"parked,omitempty"`
	Granted bool `json:"granted,omitempty"`
	// Notes are what tests of Definition spoil.
	Notes []string `json:"notes,omitempty"`
	count int
}

type hotel struct{}

func (hotel) call(context.Context, saga.Call[booking]) (saga.Outcome, error) {
	return saga.Outcome{}, nil
}

// Rows of the table.
const (
	hold = iota
	pay
	ask
	grant
	decide
	charge
	send
	arrive
)

// bookings returns a table of its own, to spoil.
func bookings() *saga.Flow[booking, hotel] {
	call := &saga.Operation[booking, hotel]{Run: hotel.call}
	look := &saga.Operation[booking, hotel]{Run: hotel.call, Within: time.Minute}
	slow := func(s *booking) bool { return s.Slow }
	return &saga.Flow[booking, hotel]{
		Name: "booking", Stream: "booking", Queue: "hotels", Own: ownBooking,
		TurnBack: &saga.TurnBackRule{Signal: "closed", Ending: func(json.RawMessage) (saga.Ending, error) {
			return saga.Ending{Outcome: saga.Rejected, Reason: "closed"}, nil
		}},
		Steps: []saga.Step[booking, hotel]{
			{Name: "hold", Kind: saga.Compensable, Do: call, Lookup: look, Undo: call, Done: "room.held", Refused: "room.full",
				Undone: []string{"room.released"}, Deadline: "HOLD", Status: "held", Held: func(s *booking) bool { return s.Parked }},
			{Name: "pay", Kind: saga.Compensable, Do: call, Lookup: look, Undo: call, Done: "pay.authorized", Refused: "pay.declined",
				Undone: []string{"pay.voided"}, Deadline: "PAY", Status: "paid", Pending: &saga.PendingRule{
					Event: "pay.pending", Status: "awaiting_pay", On: []string{"pay.succeeded", "pay.failed"}, For: "the payer",
					Deadline: "PAYER", Overdue: "pay_timeout"}},
			{Name: "ask", Kind: saga.Compensable, When: slow, Undo: &saga.Operation[booking, hotel]{}, Done: "hotel.asked", Undone: []string{"hotel.withdrawn"}},
			{Name: "grant", Kind: saga.Await, When: slow, Done: "hotel.granted", Data: func(_ *booking, f *saga.Fact) any { return said{f.ID} },
				Wait: &saga.WaitRule{
					On: []string{"hotel.yes"}, For: "the hotel", Since: "ask", Deadline: "HOTEL", Overdue: "hotel_timeout",
					AfterCancel: &saga.Trouble{Step: "stray", Text: "granted too late", AttentionKind: "the hotel has granted too late"}}},
			{Name: "decide", Kind: saga.Pivot, Status: "settling"},
			{Name: "charge", Kind: saga.Forward, Do: call, Lookup: look, Done: "pay.charged", Refused: "pay.charge_refused",
				Reversible: func(s *booking) bool { return !s.Granted }, StuckText: "stuck", FinalText: "stuck for good",
				RefusedText: "the charge is refused", RefusedError: "refused"},
			{Name: "send", Kind: saga.Forward, Do: call, Done: "papers.sent"},
			{Name: "arrive", Kind: saga.Await, When: slow, Done: "papers.arrived", Wait: &saga.WaitRule{
				On: []string{"mail.arrived"}, For: "the mail", Since: "grant", Deadline: "MAIL", Overdue: "late", MissingText: "the papers are lost",
				Trouble: []saga.Trouble{{On: "mail.lost", Text: "lost"}}}},
		},
		Completed: func(s *booking) any { return map[string]bool{"slow": s.Slow} },
	}
}

// said is the data of an event that a fact caused.
type said struct {
	By string `json:"by"`
}

func ownBooking(s *booking, r event.Record) error {
	switch r.Type {
	case "booking.accepted":
		return json.Unmarshal(r.Data, s)
	case "room.full":
		return json.Unmarshal(r.Data, s)
	case "hotel.granted":
		s.Granted = true
	}
	return nil
}

var begin = Start[booking]{
	Data: func(t *rapid.T) any { return map[string]bool{"slow": rapid.Bool().Draw(t, "slow")} },
	Answer: func(t *rapid.T, _ booking, step, eventType string) (data any, held bool) {
		if eventType == "room.full" {
			held = rapid.Bool().Draw(t, "parked")
			return map[string]any{"reason": "full", "parked": held}, held
		}
		return map[string]string{"reason": step}, false
	},
	Settles: map[string]string{"charge": "pay", "send": "hold"},
}

func TestBookings(t *testing.T) {
	Definition(t, bookings(), begin)
	Model(t, bookings(), begin)
}
