package sagatest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// load is a saga that waits for boxes. What is paid for a box is given back if it is lost, or it is sent again.
type load struct {
	saga.Saga
	Want  []string `json:"want"`
	There []string `json:"there,omitempty"`
	Lost  []string `json:"lost,omitempty"`
	// Back are the boxes whose money is to be given back, Paid those of which that is done, Left those that are not awaited any more.
	Back []string `json:"back,omitempty"`
	Paid []string `json:"paid,omitempty"`
	Left []string `json:"left,omitempty"`
}

// open are the boxes that are awaited.
func (s *load) open() []string {
	return slices.DeleteFunc(slices.Clone(s.Want), func(b string) bool {
		return slices.Contains(s.There, b) || slices.Contains(s.Back, b) || slices.Contains(s.Left, b)
	})
}

// till has the money for boxes: each key pays once. Its fields are mistakes.
type till struct {
	mu   sync.Mutex
	paid map[string]int
	// oneKey has all boxes share a key, noKey has none.
	oneKey, noKey bool
}

func (*till) Order(context.Context, saga.Call[load]) (saga.Outcome, error) {
	return saga.Done(nil), nil
}

func (*till) Withdraw(context.Context, saga.Call[load]) (saga.Outcome, error) {
	return saga.Undone(nil), nil
}

func (h *till) PayBack(_ context.Context, c saga.Call[load]) (saga.Outcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.noKey:
		h.paid[c.Item]++
	case h.oneKey && len(h.paid) > 0:
	default:
		h.paid[c.Item] = 1
	}
	return saga.Done(nil), nil
}

// holds: a box is there, or its money was given back once, or a person has let it be.
func (h *till) holds(s load) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, byHand := s.Settled("arrive", false)
	for _, b := range s.Want {
		there, back, left := slices.Contains(s.There, b), slices.Contains(s.Back, b), slices.Contains(s.Left, b) || byHand
		switch {
		case s.Status != saga.Completed && h.paid[b] > 0:
			return fmt.Errorf("the money for the box %s was given back", b)
		case s.Status != saga.Completed:
		case back && h.paid[b] != 1, !back && h.paid[b] > 0:
			return fmt.Errorf("the money for the box %s was given back %d times", b, h.paid[b])
		case !there && !back && !left:
			return fmt.Errorf("the box %s is missing", b)
		}
	}
	return nil
}

// box is what an event says: the name of a box.
type box struct {
	Box string `json:"box"`
}

func loads() *saga.Flow[load, *till] {
	tell := func(s *load, f *saga.Fact) saga.PartResult {
		b, err := saga.DataOf[box](f)
		result := saga.PartResult{Meaning: saga.PartEvent, Part: b.Box, What: "there", Type: "load.box_there", Data: b}
		switch open := s.open(); {
		case err != nil || !slices.Contains(s.Want, b.Box):
			return saga.PartResult{Meaning: saga.PartUnusable}
		case !slices.Contains(open, b.Box), f.Type == "box.lost" && slices.Contains(s.Lost, b.Box):
			return saga.PartResult{}
		case f.Type == "box.lost":
			result.What, result.Type = "lost", "load.box_lost"
		case len(open) == 1:
			result.Meaning = saga.PartLast
		}
		return result
	}
	lost := func(s *load) (string, string) {
		for _, b := range s.open() {
			if slices.Contains(s.Lost, b) {
				return b, "box " + b + " is lost"
			}
		}
		return "", ""
	}
	return &saga.Flow[load, *till]{
		Name: "load", Stream: "load", Queue: "loads",
		Own: ownLoad,
		Steps: []saga.Step[load, *till]{
			{Name: "ask", Kind: saga.Compensable, Do: &saga.Operation[load, *till]{Run: (*till).Order}, Done: "load.asked", Deadline: "ASK",
				Undo: &saga.Operation[load, *till]{Run: (*till).Withdraw}, Undone: []string{"load.not_asked"}},
			{Name: "decide", Kind: saga.Pivot},
			{Name: "order", Kind: saga.Forward, Do: &saga.Operation[load, *till]{Run: (*till).Order}, Done: "load.ordered"},
			{
				Name: "arrive", Kind: saga.Await, Done: "load.arrived",
				Data: func(_ *load, f *saga.Fact) any { b, _ := saga.DataOf[box](f); return b },
				Wait: &saga.WaitRule{On: []string{"box.there"}, For: "boxes", Since: "ask", Deadline: "BOXES", Overdue: "late", MissingText: "boxes are missing",
					Trouble: []saga.Trouble{{On: "box.lost", Text: "lost"}}},
				Parts: &saga.PartsRule[load, *till]{
					Slot: "box", On: []string{"box.there", "box.lost"}, Interpret: tell, Missing: lost,
					Over:      func(s *load) bool { return len(s.open()) == 0 },
					Settled:   func(s *load, b string) bool { return !slices.Contains(s.open(), b) },
					Decisions: map[saga.ResolutionAction]string{saga.Refund: "load.refund_requested"},
					Follow: &saga.Step[load, *till]{Name: "back", Kind: saga.Forward, Done: "load.paid_back",
						Do: &saga.Operation[load, *till]{Run: (*till).PayBack}},
					Due: func(s *load) (string, bool) {
						for _, b := range s.Back {
							if !slices.Contains(s.Paid, b) {
								return b, true
							}
						}
						return "", false
					},
				},
			},
		},
	}
}

func ownLoad(s *load, r event.Record) error {
	add := func(list *[]string, names ...string) { *list = append(slices.Clone(*list), names...) }
	var d struct {
		Box, Step, Item string
		Want            []string
	}
	if err := json.Unmarshal(r.Data, &d); err != nil {
		return err
	}
	affected := s.open()
	if d.Item != "" {
		affected = []string{d.Item}
	}
	switch r.Type {
	case "load.accepted":
		s.Want = d.Want
	case "load.box_there", "load.arrived":
		add(&s.There, d.Box)
	case "load.box_lost":
		add(&s.Lost, d.Box)
	case "load.refund_requested":
		add(&s.Back, affected...)
	case "load.paid_back":
		add(&s.Paid, strings.TrimPrefix(r.Key, "back/"))
	case "load.step_skipped", "load.step_substituted":
		if d.Step == "arrive" {
			add(&s.Left, affected...)
		} else {
			add(&s.Paid, d.Item)
		}
	}
	return nil
}

// comes is an event about a box.
func comes(eventType, name string) Arrival {
	id := eventType + "-" + name
	return Arrival{Row: "arrive", Payload: saga.Fact{Type: eventType, ID: id, Cause: id, Part: name, Data: fmt.Appendf(nil, `{"box":%q}`, name)}}
}

// loadCells are the cells of loads at a till with mistakes.
func loadCells(spoil func(h *till)) Cells[load, *till] {
	two := map[string]any{"want": []string{"a", "b"}}
	return Cells[load, *till]{
		Flow: loads(), Once: true,
		NewWorld: func(testing.TB) World[load, *till] {
			h := &till{paid: make(map[string]int)}
			if spoil != nil {
				spoil(h)
			}
			return World[load, *till]{Participants: h, Holds: h.holds}
		},
		Journeys: []Journey{
			{Name: "arrived", Data: two, End: saga.Completed, Arrivals: []Arrival{comes("box.there", "b"), comes("box.there", "a")}},
			{Name: "lost", Data: two, End: saga.Completed, Decision: saga.Refund, Arrivals: []Arrival{comes("box.lost", "a"), comes("box.there", "b")}},
			{Name: "all lost", Data: map[string]any{"want": []string{"a"}}, End: saga.Completed, Decision: saga.Refund, Arrivals: []Arrival{comes("box.lost", "a")}},
			{Name: "both lost", Data: two, End: saga.Completed, Decision: saga.Refund, Arrivals: []Arrival{comes("box.lost", "a"), comes("box.lost", "b")}},
			{Name: "left", Data: two, End: saga.Completed, Decision: saga.Skip, Arrivals: []Arrival{comes("box.lost", "a"), comes("box.there", "b")}},
			{Name: "late", Data: two, End: saga.Completed, Decision: saga.Refund, Arrivals: []Arrival{comes("box.there", "b"), {
				Row: "arrive", Since: "load.refund_requested", Payload: comes("box.there", "a").Payload,
			}}},
		},
	}
}

// Events about parts, decisions about them and what follows from those have cells.
func TestMatrixOfParts(t *testing.T) {
	c := loadCells(nil)
	p, err := newPlan(t, c)
	require.NoError(t, err)
	struck := make(map[string]bool)
	for _, c := range p.cells {
		require.NoError(t, c.err)
		struck[strings.Join([]string{c.point.row, c.point.op, string(c.mode), string(c.point.at), string(c.fault)}, "/")] = true
	}
	for _, operation := range []string{"box a lost/record", "box b there/record", "decision/record", "back/do", "arrive/record", "attention/record"} {
		for _, m := range []mode{inline, regular} {
			for _, at := range []moment{before, recorded} {
				for _, f := range faults {
					key := strings.Join([]string{operation, string(m), string(at), string(f)}, "/")
					require.True(t, f == faultOvertaken || struck[key], "there is no cell %s", key)
				}
			}
		}
	}
	if os.Getenv("ORDERSAGA_WHOLE_MATRIX") == "" {
		c.OneIn = 4
	}
	Matrix(t, c)
}

// After leaves out the points before a row.
func TestMatrixAfterARow(t *testing.T) {
	c := loadCells(nil)
	c.After = "order"
	p, err := newPlan(t, c)
	require.NoError(t, err)
	rows := make(map[string]bool)
	for _, c := range p.cells {
		rows[c.point.row] = true
	}
	require.NotContains(t, rows, "accept")
	require.NotContains(t, rows, "order")
	require.Contains(t, rows, "box b there")
	require.Contains(t, rows, "back")
}

// Each of these mistakes about parts is noticed.
func TestMatrixNoticesAWrongRuleOfParts(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f *saga.Flow[load, *till], p *saga.PartsRule[load, *till])
		till  func(h *till)
		want  string
	}{
		"a refund without its key per part": {till: func(h *till) { h.oneKey = true }, want: "given back 0 times"},
		"a refund without a key":            {till: func(h *till) { h.noKey = true }, want: "given back 2 times"},
		"a wait that ends with the first part": {spoil: func(_ *saga.Flow[load, *till], p *saga.PartsRule[load, *till]) {
			p.Over = func(s *load) bool { return len(s.There) > 0 }
		}, want: "is missing"},
		"the first part as the last one": {spoil: func(_ *saga.Flow[load, *till], p *saga.PartsRule[load, *till]) {
			tell := p.Interpret
			p.Interpret = func(s *load, f *saga.Fact) saga.PartResult {
				result := tell(s, f)
				if f.Type == "box.there" && result.Meaning == saga.PartEvent {
					result.Meaning = saga.PartLast
				}
				return result
			}
		}, want: "is missing"},
		"a decision that is not followed": {spoil: func(_ *saga.Flow[load, *till], p *saga.PartsRule[load, *till]) {
			p.Due = func(*load) (string, bool) { return "", false }
		}, want: "given back 0 times"},
		"a fold that forgets the slot of a part": {spoil: func(f *saga.Flow[load, *till], _ *saga.PartsRule[load, *till]) {
			f.Own = func(s *load, r event.Record) error {
				if r.Type == "load.paid_back" {
					return nil
				}
				return ownLoad(s, r)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cells := loadCells(c.till)
			cells.Journeys = cells.Journeys[:4]
			if c.spoil != nil {
				c.spoil(cells.Flow, cells.Flow.Steps[3].Parts)
			}
			cells.Unreached = []string{"back/do"}
			why := firstFailure(t, cells)
			require.NotEmpty(t, why, "the mutant survives")
			require.Contains(t, why, c.want)
		})
	}
}
