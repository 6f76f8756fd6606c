package sagatest

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	lines  []string
	failed bool
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return "recorder" }

func (r *recorder) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *recorder) Log(args ...any) { r.Logf("%s", fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.Logf(format, args...)
	r.Fail()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.FailNow()
}

func (r *recorder) Fail() { r.failed = true }

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Failed() bool { return r.failed }

// verdict runs a test that may fail, and returns why it did; "" if it passed.
func verdict(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "0s"} {
		before := flag.Lookup(name).Value.String()
		require.NoError(t, flag.Set(name, value))
		t.Cleanup(func() { require.NoError(t, flag.Set(name, before)) })
	}
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	if !r.failed {
		return ""
	}
	return strings.Join(r.lines, "\n")
}

// Each of these mistakes in a table is noticed.
func TestModelNoticesAWrongTable(t *testing.T) {
	never := func(*booking) bool { return false }
	always := func(*booking) bool { return true }
	for name, spoil := range map[string]func(f *saga.Flow[booking, hotel]){
		"no compensation":                 func(f *saga.Flow[booking, hotel]) { f.Steps[pay].Undo = nil },
		"the pivot before a compensation": func(f *saga.Flow[booking, hotel]) { swap(f, grant, decide) },
		"a payment after the pivot":       func(f *saga.Flow[booking, hotel]) { swap(f, pay, decide) },
		"two forward steps swapped":       func(f *saga.Flow[booking, hotel]) { swap(f, charge, send) },
		"a wait before its question":      func(f *saga.Flow[booking, hotel]) { swap(f, ask, grant) },
		"nothing is ever held":            func(f *saga.Flow[booking, hotel]) { f.Steps[hold].Held = never },
		"no Held":                         func(f *saga.Flow[booking, hotel]) { f.Steps[hold].Held = nil },
		"something is always held":        func(f *saga.Flow[booking, hotel]) { f.Steps[hold].Held = always },
		"always reversible":               func(f *saga.Flow[booking, hotel]) { f.Steps[charge].Reversible = always },
		"the status stays":                func(f *saga.Flow[booking, hotel]) { f.KeepsStatus = func(*booking, saga.Status) bool { return true } },
		"a fold without the refusal":      func(f *saga.Flow[booking, hotel]) { f.Own = without("room.full") },
		"a fold without the grant":        func(f *saga.Flow[booking, hotel]) { f.Own = without("hotel.granted") },
		"a fold that forgets slots":       func(f *saga.Flow[booking, hotel]) { f.Own = forgetting("room.held") },
		"a fold that forgets undos":       func(f *saga.Flow[booking, hotel]) { f.Own = forgetting("pay.voided") },
		"a fold that cannot read":         func(f *saga.Flow[booking, hotel]) { f.Own = failing("pay.charged") },
		"a fold that decides":             func(f *saga.Flow[booking, hotel]) { f.Own = deciding("hotel.asked") },
		"a fold that ends":                func(f *saga.Flow[booking, hotel]) { f.Own = ending("pay.charged") },
		"a wait that listens to nothing":  func(f *saga.Flow[booking, hotel]) { f.Steps[grant].Wait.On = nil },
		"a slot of the kit":               func(f *saga.Flow[booking, hotel]) { f.Steps[send].Slot = "end" },
	} {
		t.Run(name, func(t *testing.T) {
			f := bookings()
			spoil(f)
			why := verdict(t, func(t testing.TB) { Model(t, f, begin) })
			require.NotEmpty(t, why, "the mutant survives")
			t.Log(why)
		})
	}
}

func swap(f *saga.Flow[booking, hotel], a, b int) { f.Steps[a], f.Steps[b] = f.Steps[b], f.Steps[a] }

// on is the fold of bookings with something else for an event of a type.
func on(eventType string, fold func(s *booking) error) func(s *booking, r event.Record) error {
	return func(s *booking, r event.Record) error {
		if r.Type == eventType {
			return fold(s)
		}
		return ownBooking(s, r)
	}
}

func without(eventType string) func(*booking, event.Record) error {
	return on(eventType, func(*booking) error { return nil })
}

func failing(eventType string) func(*booking, event.Record) error {
	return on(eventType, func(*booking) error { return fmt.Errorf("no") })
}

func forgetting(eventType string) func(*booking, event.Record) error {
	return on(eventType, func(s *booking) error {
		s.Slots = s.Slots[:len(s.Slots)-1]
		return nil
	})
}

func deciding(eventType string) func(*booking, event.Record) error {
	return on(eventType, func(s *booking) error {
		s.Decision = saga.GoForward
		return nil
	})
}

func ending(eventType string) func(*booking, event.Record) error {
	return on(eventType, func(s *booking) error {
		s.Ended = true
		return nil
	})
}

// wrong decides by the table, but for one mistake.
type wrong struct {
	*saga.Flow[booking, hotel]
	// state, facts and action spoil what goes into Decide, and what comes out of it.
	state  func(s *booking)
	facts  func(s *booking, f *saga.Facts)
	action func(s *booking, a saga.Action) saga.Action
}

func (w wrong) Decide(s booking, facts saga.Facts, now time.Time, timing saga.Timing) saga.Action {
	s.Slots = slices.Clone(s.Slots)
	if w.state != nil {
		w.state(&s)
	}
	if w.facts != nil {
		w.facts(&s, &facts)
	}
	a := w.Flow.Decide(s, facts, now, timing)
	if w.action != nil {
		a = w.action(&s, a)
	}
	return a
}

func (w wrong) Decisions(s booking, facts saga.Facts, now time.Time, timing saga.Timing) []event.Entry {
	if a := w.Decide(s, facts, now, timing); a.Kind == saga.Record {
		return []event.Entry{a.Entry}
	}
	return nil
}

func (w wrong) WithDecisions(_ saga.StepInput[booking], entries []event.Entry, _ time.Time) ([]event.Entry, error) {
	return entries, nil
}

// taken has the state say that a slot is taken.
func taken(slot, eventType string) func(s *booking) {
	return func(s *booking) { s.Slots = append(s.Slots, saga.Slot{Key: slot, Type: eventType}) }
}

// Each of these mistakes of what decides is noticed.
func TestModelNoticesAWrongDecision(t *testing.T) {
	for name, mutant := range map[string]wrong{
		"forgets to compensate":       {state: taken("undo/pay", "pay.voided")},
		"forgets to compensate a row": {state: taken("undo/ask", "hotel.withdrawn")},
		"forgets a forward step":      {state: taken("send", "papers.sent")},
		"forgets a wait":              {state: taken("arrive", "papers.arrived")},
		"waits for no answer":         {state: taken("grant", "hotel.granted")},
		"compensates what is recorded only": {state: func(s *booking) {
			for _, row := range []string{"hold", "pay"} {
				if !s.Has(row) {
					taken("undo/"+row, "x")(s)
				}
			}
		}},
		"compensates what was refused": {state: func(s *booking) { s.Parked = true }},
		"compensates oldest first": {action: func(s *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Undo && !s.Has("undo/hold") {
				a.Step = "hold"
			}
			return a
		}},
		"ends without a person": {state: func(s *booking) {
			if s.HappenedAfterCancel {
				taken("stray", "booking.step_skipped")(s)
			}
		}},
		"never refuses a cancellation": {facts: func(s *booking, f *saga.Facts) {
			if s.Decision != "" {
				f.Cancellations = nil
			}
		}},
		"cancels after the pivot": {state: func(s *booking) {
			if s.Decision == saga.GoForward && !s.Has("charge") {
				s.Decision = ""
			}
		}},
		"compensates a completed saga": {state: func(s *booking) {
			if s.Has("send") && !s.Ended {
				s.Decision = saga.GoBack
			}
		}},
		"does not follow a person": {facts: func(_ *booking, f *saga.Facts) { f.Resolutions = nil }},
		"asks no person":           {facts: func(_ *booking, f *saga.Facts) { f.Stuck = nil }, action: noAttention},
		"tries again after the compensation": {action: func(s *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Undo && s.Has("undo/pay") {
				return saga.Action{Kind: saga.Do, Step: "pay"}
			}
			return a
		}},
		"repeats what is done": {action: func(s *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Do && a.Step == "send" {
				a.Step = "charge"
			}
			return a
		}},
		"passes a row over": {action: func(s *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Do && a.Step == "hold" {
				a.Step = "pay"
			}
			return a
		}},
		"goes on after the end": {state: func(s *booking) { s.Ended = false }},
		"closes too early": {action: func(s *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Record && a.Entry.Key == saga.SlotEnd {
				return saga.Action{Kind: saga.Close}
			}
			return a
		}},
		"waits without an end": {action: func(_ *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Wait {
				a.Until = time.Time{}
			}
			return a
		}},
		"gives no reason": {action: func(_ *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Record && a.Entry.Key == saga.SlotEnd {
				a.Entry.Data = []byte(`{"outcome":"failed"}`)
			}
			return a
		}},
		"turns back for nothing": {action: func(_ *booking, a saga.Action) saga.Action {
			if a.Kind == saga.Record && a.Entry.Type == "booking.settling" {
				a.Entry.Type = "booking.compensating"
			}
			return a
		}},
	} {
		t.Run(name, func(t *testing.T) {
			table := bookings()
			mutant.Flow = table
			why := verdict(t, func(t testing.TB) { model(t, table, mutant, begin) })
			require.NotEmpty(t, why, "the mutant survives")
			t.Log(why)
		})
	}
}

// noAttention has no person asked.
func noAttention(_ *booking, a saga.Action) saga.Action {
	if a.Kind == saga.Record && a.Entry.Type == "booking.needs_attention" {
		return saga.Action{Kind: saga.Record, Entry: event.Entry{Key: "nothing", Event: a.Entry.Event}}
	}
	return a
}

// Decisions by another table, with two rows swapped, are not those of the table.
func TestModelNoticesAnotherOrder(t *testing.T) {
	other := bookings()
	swap(other, hold, pay)
	require.NotEmpty(t, verdict(t, func(t testing.TB) { model(t, bookings(), other, begin) }))
}

func TestModelPassesTheWrapperWithoutAMistake(t *testing.T) {
	table := bookings()
	require.Empty(t, verdict(t, func(t testing.TB) { model(t, table, wrong{Flow: table}, begin) }))
}

// Each of these mistakes in a definition is noticed.
func TestDefinitionNotices(t *testing.T) {
	calls := 0
	for name, c := range map[string]struct {
		spoil func(f *saga.Flow[booking, hotel])
		want  string
	}{
		"no name":  {func(f *saga.Flow[booking, hotel]) { f.Name = "" }, "a flow must have a Name"},
		"no table": {func(f *saga.Flow[booking, hotel]) { f.Steps = nil }, "has no table"},
		"a type that is not in the catalog": {
			func(f *saga.Flow[booking, hotel]) { f.Steps[send].Done = event.InventoryCommitted }, "is not in the event catalog"},
		"a hook that counts": {func(f *saga.Flow[booking, hotel]) {
			f.Completed = func(*booking) any { calls++; return map[string]int{"calls": calls} }
		}, ""},
		"a hook that changes the state": {func(f *saga.Flow[booking, hotel]) {
			f.Steps[ask].Data = func(s *booking, _ *saga.Fact) any { s.Parked = true; return nil }
		}, "a hook changes the state"},
		"a state that does not survive JSON": {func(f *saga.Flow[booking, hotel]) {
			f.Own = func(s *booking, r event.Record) error { s.count++; return ownBooking(s, r) }
			f.Completed = func(s *booking) any { return map[string]int{"count": s.count} }
		}, "does not survive JSON"},
		"a fold that shares": {func(f *saga.Flow[booking, hotel]) {
			f.Own = func(s *booking, r event.Record) error {
				if s.Notes == nil {
					s.Notes = make([]string, 1, 2)
				}
				s.Notes[0] = r.Type
				return ownBooking(s, r)
			}
		}, "changes the state before it"},
		"a row that comes and goes": {func(f *saga.Flow[booking, hotel]) {
			f.Steps[arrive].When = func(s *booking) bool { return s.Slow && !s.Has("send") }
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := bookings()
			c.spoil(f)
			why := verdict(t, func(t testing.TB) { Definition(t, f, begin) })
			require.NotEmpty(t, why, "the mutant survives")
			require.Contains(t, why, c.want)
		})
	}
}
