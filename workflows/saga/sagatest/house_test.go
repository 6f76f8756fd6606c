package sagatest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// stay is a saga with real step functions: it holds a room, has it paid, asks the owner where that must agree, charges and sends the key.
type stay struct {
	saga.Saga
	Method string `json:"method"`
	Busy   bool   `json:"busy,omitempty"`
	Asks   bool   `json:"asks,omitempty"`
	Agreed bool   `json:"agreed,omitempty"`
}

// house is the participant of stays: each effect has a slot. Its fields are mistakes.
type house struct {
	mu    sync.Mutex
	slots map[string]string
	count map[string]int
	// paid reports that the guest has paid.
	paid bool

	noKey, noFence, stuckUndo, noRefund, surprised, countsUndos bool
}

func newHouse() *house { return &house{slots: make(map[string]string), count: make(map[string]int)} }

// take takes the slot of an effect, once.
func (h *house) take(key, effect string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.noKey {
		h.count[key]++
		h.slots[key] = effect
		return effect
	}
	if h.slots[key] == "" {
		h.slots[key] = effect
		h.count[key]++
		return effect
	}
	if h.surprised {
		return "refused"
	}
	return h.slots[key]
}

// undo has an effect undone, and keeps it so.
func (h *house) undo(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.countsUndos {
		h.count[key+"/undo"]++
	}
	if h.slots[key] == "" && h.noFence {
		return
	}
	h.slots[key], h.count[key] = "undone", 0
}

func (h *house) find(key string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.slots[key]
}

func (h *house) Hold(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	if c.State.Busy && c.Hint == "" && !c.Last && h.find(c.Key) == "" {
		return saga.TryLater("again", "a room"), nil
	}
	return outcome(h.take(c.Key, "done"), c), nil
}

func outcome(slot string, c saga.Call[stay]) saga.Outcome {
	switch slot {
	case "undone":
		return saga.Fenced()
	case "refused":
		return saga.Refused(map[string]string{"reason": "declined"})
	case "pending":
		if c.Pending {
			return saga.NotFound()
		}
		return saga.Pending(nil)
	case "":
		return saga.NotFound()
	}
	return saga.Done(nil)
}

func (h *house) Release(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	if h.stuckUndo {
		return saga.Outcome{}, errors.New("the room cannot be released")
	}
	h.undo(c.Key)
	return saga.Undone(nil), nil
}

func (h *house) Pay(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	slot := map[string]string{"cash": "done", "none": "refused", "transfer": "pending"}[c.State.Method]
	return outcome(h.take(c.Key, slot), c), nil
}

func (h *house) FindPayment(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	h.mu.Lock()
	if h.slots[c.Key] == "pending" && h.paid {
		h.slots[c.Key] = "done"
	}
	slot := h.slots[c.Key]
	h.mu.Unlock()
	if slot == "undone" {
		return saga.NotFound(), nil
	}
	return outcome(slot, c), nil
}

func (h *house) PayBack(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	if !h.noRefund {
		h.undo(c.Key)
	}
	return saga.Undone(nil), nil
}

func (h *house) Charge(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	h.take(c.Key, "done")
	return saga.Done(nil), nil
}

func (h *house) FindCharge(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	if h.find(c.Key) == "" {
		return saga.NotFound(), nil
	}
	return saga.Done(nil), nil
}

func (h *house) SendKey(_ context.Context, c saga.Call[stay]) (saga.Outcome, error) {
	h.take(c.Key, "done")
	return saga.Done(nil), nil
}

// stays returns the table of stays.
func stays() *saga.Flow[stay, *house] {
	op := func(run saga.StepFunc[stay, *house]) *saga.Operation[stay, *house] {
		return &saga.Operation[stay, *house]{Run: run}
	}
	find := func(run saga.StepFunc[stay, *house]) *saga.Operation[stay, *house] {
		return &saga.Operation[stay, *house]{Run: run, Within: time.Minute}
	}
	asks := func(s *stay) bool { return s.Asks }
	return &saga.Flow[stay, *house]{
		Name: "stay", Stream: "stay", Queue: "stays",
		Own: func(s *stay, r event.Record) error {
			switch r.Type {
			case "stay.accepted":
				return json.Unmarshal(r.Data, s)
			case "owner.agreed":
				s.Agreed = true
			}
			return nil
		},
		Steps: []saga.Step[stay, *house]{
			{Name: "hold", Kind: saga.Compensable, Do: op((*house).Hold), Undo: op((*house).Release), Deadline: "HOLD",
				Done: "room.held", Undone: []string{"room.released"}},
			{Name: "pay", Kind: saga.Compensable, Do: op((*house).Pay), Lookup: find((*house).FindPayment), Undo: op((*house).PayBack), Deadline: "PAY",
				Done: "stay.paid", Refused: "stay.declined", Undone: []string{"stay.paid_back"},
				Pending: &saga.PendingRule{Event: "stay.pending", Status: "awaiting_payment", On: []string{"bank.paid"}, For: "the guest",
					Deadline: "GUEST", Overdue: "guest_timeout"}},
			{Name: "ask", Kind: saga.Compensable, When: asks, Undo: &saga.Operation[stay, *house]{}, Done: "owner.asked", Undone: []string{"owner.withdrawn"}},
			{Name: "agree", Kind: saga.Await, When: asks, Done: "owner.agreed", Wait: &saga.WaitRule{
				On: []string{"owner.yes"}, For: "the owner", Since: "ask", Deadline: "OWNER", Overdue: "owner_timeout",
				AfterCancel: &saga.Trouble{Step: "stray", Text: "agreed too late", AttentionKind: "the owner has agreed too late"}}},
			{Name: "decide", Kind: saga.Pivot, Status: "settling"},
			{Name: "charge", Kind: saga.Forward, Do: op((*house).Charge), Lookup: find((*house).FindCharge), Done: "stay.charged",
				Reversible: func(s *stay) bool { return !s.Agreed }, FinalText: "stuck for good"},
			{Name: "key", Kind: saga.Forward, Do: op((*house).SendKey), Done: "key.sent"},
			{Name: "arrive", Kind: saga.Await, When: asks, Done: "guest.arrived", Wait: &saga.WaitRule{
				On: []string{"guest.here"}, For: "the guest", Since: "agree", Deadline: "ARRIVAL", Overdue: "late", MissingText: "the guest is missing"}},
		},
	}
}

// stayCells are the cells of stays in a house with mistakes.
func stayCells(spoil func(h *house)) Cells[stay, *house] {
	fact := func(row, eventType string) Arrival {
		return Arrival{Row: row, Payload: saga.Fact{Type: eventType, ID: eventType, Cause: eventType}}
	}
	return Cells[stay, *house]{
		Flow: stays(),
		NewWorld: func(testing.TB) World[stay, *house] {
			h := newHouse()
			if spoil != nil {
				spoil(h)
			}
			return World[stay, *house]{Participants: h, Holds: h.holds, Before: func(a Arrival) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.paid = h.paid || a.Row == "pay"
			}}
		},
		Journeys: []Journey{
			{Name: "paid", Data: map[string]any{"method": "cash"}, End: saga.Completed},
			{Name: "busy", Data: map[string]any{"method": "cash", "busy": true}, End: saga.Completed},
			{Name: "declined", Data: map[string]any{"method": "none"}, End: saga.Rejected, Reason: "declined"},
			{Name: "transfer", Data: map[string]any{"method": "transfer"}, End: saga.Completed, Arrivals: []Arrival{fact("pay", "bank.paid")}},
			{Name: "asked", Data: map[string]any{"method": "cash", "asks": true}, End: saga.Completed,
				Arrivals: []Arrival{fact("agree", "owner.yes"), fact("arrive", "guest.here")}},
		},
	}
}

// holds reports what is wrong with the house.
func (h *house) holds(s stay) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, n := range h.count {
		if n > 1 {
			return fmt.Errorf("%s happened %d times", key, n)
		}
	}
	has := func(step string) bool { return h.slots[s.ID+"/"+step] == "done" }
	if s.Status == saga.Completed {
		for _, step := range []string{"hold", "pay", "charge", "key"} {
			if _, byHand := s.Settled(step, false); !has(step) && !byHand {
				return fmt.Errorf("%s is missing", step)
			}
		}
		return nil
	}
	for _, step := range []string{"hold", "pay", "key"} {
		if has(step) {
			return fmt.Errorf("%s is left", step)
		}
	}
	return nil
}

func TestStays(t *testing.T) {
	Definition(t, stays(), Start[stay]{})
	c := stayCells(nil)
	c.Once = os.Getenv("ORDERSAGA_WHOLE_MATRIX") == ""
	Matrix(t, c)
}
