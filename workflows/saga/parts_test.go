package saga_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// load is a saga that waits for boxes.
type load struct {
	saga.Saga
	Want  int      `json:"want"`
	There []string `json:"there,omitempty"`
	Lost  []string `json:"lost,omitempty"`
	Paid  []string `json:"paid,omitempty"`
}

type dock struct{}

func (dock) step(context.Context, saga.Call[load]) (saga.Outcome, error) { return saga.Done(nil), nil }

// box is what an event says: the name of a box.
type box struct {
	Box string `json:"box"`
}

func loads() *saga.Flow[load, dock] {
	step := &saga.Operation[load, dock]{Run: dock.step}
	tell := func(s *load, f *saga.Fact) saga.PartResult {
		b, err := saga.DataOf[box](f)
		result := saga.PartResult{Meaning: saga.PartEvent, Part: b.Box, What: "there", Type: "load.box_there", Data: b}
		switch {
		case err != nil || b.Box == "bad":
			return saga.PartResult{Meaning: saga.PartUnusable}
		case slices.Contains(s.There, b.Box), f.Type == "box.lost" && slices.Contains(s.Lost, b.Box):
			return saga.PartResult{}
		case f.Type == "box.lost":
			result.What, result.Type = "lost", "load.box_lost"
		case len(s.There)+len(s.Paid)+1 >= s.Want:
			result.Meaning = saga.PartLast
		}
		return result
	}
	remember := func(list *[]string) func(b box) {
		return func(b box) { *list = append(slices.Clone(*list), b.Box) }
	}
	return &saga.Flow[load, dock]{
		Name: "load", Stream: "load", Queue: "loads",
		Own: func(s *load, r event.Record) error {
			switch r.Type {
			case "load.accepted":
				return event.DecodeInto(r.Event, func(d struct{ Want int }) { s.Want = d.Want })
			case "load.box_there", "load.arrived":
				return event.DecodeInto(r.Event, remember(&s.There))
			case "load.box_lost":
				return event.DecodeInto(r.Event, remember(&s.Lost))
			case "load.paid":
				s.Paid = append(slices.Clone(s.Paid), r.Key[len("pay/"):])
			}
			return nil
		},
		Steps: []saga.Step[load, dock]{
			{Name: "ask", Kind: saga.Compensable, Done: "load.asked", Undo: &saga.Operation[load, dock]{}, Undone: []string{"load.not_asked"}},
			{Name: "decide", Kind: saga.Pivot},
			{Name: "weigh", Kind: saga.Forward, Do: step, Done: "load.weighed"},
			{
				Name: "arrive", Kind: saga.Await, Done: "load.arrived",
				Data: func(_ *load, f *saga.Fact) any { b, _ := saga.DataOf[box](f); return b },
				Wait: &saga.WaitRule{On: []string{"box.there"}, For: "boxes", Since: "ask", Deadline: "D", Overdue: "late", MissingText: "boxes are missing",
					Trouble: []saga.Trouble{{On: "box.lost", Text: "lost"}}},
				Parts: &saga.PartsRule[load, dock]{
					Slot: "box", On: []string{"box.there", "box.lost"}, Interpret: tell,
					Over: func(s *load) bool { return len(s.There)+len(s.Paid) >= s.Want },
					Missing: func(s *load) (string, string) {
						for _, b := range s.Lost {
							if !slices.Contains(s.There, b) && !s.Has("attention/decided/"+b) && !slices.Contains(s.Paid, b) {
								return b, "box " + b + " is lost"
							}
						}
						return "", ""
					},
					Settled: func(s *load, b string) bool { return slices.Contains(s.There, b) || slices.Contains(s.Paid, b) },
				},
			},
		},
	}
}

type loading struct {
	t       require.TestingT
	f       *saga.Flow[load, dock]
	s       load
	facts   saga.Facts
	records []event.Record
	now     time.Time
}

func newLoading(t require.TestingT, want int) *loading {
	w := &loading{t: t, f: loads(), now: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)}
	require.NoError(t, w.f.Check())
	w.append(event.New("load-1", saga.SlotAccept, "load.accepted", "1", w.now, map[string]any{"want": want}))
	return w
}

func (w *loading) append(entries ...event.Entry) {
	for _, e := range entries {
		require.False(w.t, slices.ContainsFunc(w.records, func(r event.Record) bool { return r.Key == e.Key }), "%s is taken", e.Key)
		r := event.Record{Stream: "load-1", Version: w.s.Head.Version + 1, Entry: e}
		s, err := w.f.Fold(w.s, []event.Record{r})
		require.NoError(w.t, err)
		w.s, w.records = s, append(w.records, r)
	}
}

// run goes on until the saga waits or has ended.
func (w *loading) run() saga.Action {
	timing := func(saga.Deadline) time.Duration { return time.Hour }
	for {
		a := w.f.Decide(w.s, w.facts, w.now, timing)
		switch a.Kind {
		case saga.Record:
			w.append(a.Entry)
		case saga.Do:
			entries, err := w.f.Entries(saga.StepInput[load]{State: w.s, Item: a.Item}, a.Step, saga.Done(nil), w.now)
			require.NoError(w.t, err)
			w.append(entries...)
		default:
			return a
		}
	}
}

func (w *loading) hear(eventType, name, id string) {
	w.facts.AddFact(saga.Fact{Type: eventType, ID: id, Cause: id, Identity: event.DerivedID(id), Part: name, Data: []byte(fmt.Sprintf(`{"box":%q}`, name))})
}

func (w *loading) types() (types []string) {
	for _, r := range w.records {
		types = append(types, r.Type)
	}
	return types
}

func TestPartsInAnyOrderAndAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.IntRange(1, 6).Draw(t, "boxes")
		w := newLoading(t, want)
		come := make(map[string]bool)
		for n := 0; len(come) < want; n++ {
			name := fmt.Sprintf("b%d", rapid.IntRange(1, want).Draw(t, "box"))
			if kind := rapid.SampledFrom([]string{"box.there", "box.lost"}).Draw(t, "type"); kind == "box.there" {
				come[name] = true
				w.hear(kind, name, fmt.Sprintf("e%d", n))
			} else {
				w.hear(kind, name, fmt.Sprintf("e%d", n))
			}
			if rapid.Bool().Draw(t, "run") {
				w.run()
			}
			if w.s.Ended && len(come) < want {
				t.Fatalf("the saga ends with %d of %d: %v", len(come), want, w.types())
			}
		}
		w.run()
		if w.s.Status != saga.Completed || w.s.Attention.Open {
			t.Fatalf("the saga is %s: %v", w.s.Status, w.types())
		}
		if len(w.s.Causes) > 2*want+1 {
			t.Fatalf("%d causes", len(w.s.Causes))
		}
	})
}

func TestAPartIsRecordedAsSoonAsTheSagaGoesForward(t *testing.T) {
	w := newLoading(t, 3)
	w.hear("box.there", "a", "e1")
	w.hear("box.lost", "b", "e2")
	require.Equal(t, saga.Wait, w.run().Kind)
	require.Equal(t, []string{
		"load.accepted", "load.asked", "load.settling", "load.box_there", "load.box_lost", "load.weighed", "load.needs_attention",
	}, w.types())
	require.Equal(t, "b", w.s.Attention.Item)
	require.Equal(t, "e1", w.records[3].CausationID)
	require.True(t, w.s.Caused(event.DerivedID("e1")))
	w.hear("box.there", "b", "e3")
	w.hear("box.there", "c", "e4")
	w.run()
	require.Equal(t, []string{"load.box_there", "load.attention_resolved", "load.arrived", "load.completed"}, w.types()[7:])
}

func TestASkippedPartLeavesTheOthersAwaited(t *testing.T) {
	w := newLoading(t, 2)
	w.hear("box.lost", "b", "e1")
	w.run()
	_, allowed := w.f.AttentionKind(&w.s)
	require.Equal(t, []saga.ResolutionAction{saga.Skip, saga.Substitute}, allowed)
	w.facts.Resolutions = []saga.Resolution{{ID: "r1", Action: saga.Skip, Note: "why", By: "ada"}}
	a := w.f.Decide(w.s, w.facts, w.now, func(saga.Deadline) time.Duration { return time.Hour })
	require.Equal(t, "attention/1/decided", a.Entry.Key)
	w.append(a.Entry)
	require.True(t, w.s.Recorded("r1"))
	require.Empty(t, w.s.ByHand, "the step is not settled")
	require.False(t, w.s.Has("arrive"))
}

func TestCheckOfParts(t *testing.T) {
	for want, change := range map[string]func(f *saga.Flow[load, dock]){
		"one wait of a flow is fulfilled in parts": func(f *saga.Flow[load, dock]) {
			again := f.Steps[3]
			again.Name = "again"
			f.Steps = append(f.Steps, again)
		},
		"only a wait after the pivot is fulfilled in parts":   func(f *saga.Flow[load, dock]) { f.Steps[2].Parts = f.Steps[3].Parts },
		"parts have On, Interpret, Over, Missing and Settled": func(f *saga.Flow[load, dock]) { f.Steps[3].Parts.Interpret = nil },
		`"skip" is no decision about a part`: func(f *saga.Flow[load, dock]) {
			f.Steps[3].Parts.Decisions = map[saga.ResolutionAction]string{saga.Skip: "load.skipped"}
		},
		"Follow and Due are both there": func(f *saga.Flow[load, dock]) {
			f.Steps[3].Parts.Due = func(*load) (string, bool) { return "", false }
		},
	} {
		f := loads()
		change(f)
		require.ErrorContains(t, f.Check(), want)
	}
}
