package sagatest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// firstFailure runs the cells of a flow until one fails, and returns why it does; "" if none does.
func firstFailure[S, P any](t *testing.T, c Cells[S, P]) string {
	t.Helper()
	p, err := newPlan(t, c)
	if err != nil {
		return "the plan: " + err.Error()
	}
	for _, cell := range p.cells {
		if cell.err != nil {
			return cell.err.Error()
		}
	}
	for _, cell := range p.cells {
		if err := p.run(t, cell); err != nil {
			return err.Error()
		}
	}
	return ""
}

// Each of these mistakes of participants is noticed, and the journeys without a fault do not show it.
func TestMatrixNoticesAWrongParticipant(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(h *house)
		want  string
	}{
		"a step that happens again":              {func(h *house) { h.noKey = true }, " times"},
		"a step that is refused the second time": {func(h *house) { h.surprised = true }, "the saga is"},
		"a compensation that happens again":      {func(h *house) { h.countsUndos = true }, "undo happened 2 times"},
		"a compensation that fences nothing":     {func(h *house) { h.noFence = true }, "is left"},
		"a compensation that fails for good":     {func(h *house) { h.stuckUndo = true }, "needs attention for good"},
		"a compensation that does nothing":       {func(h *house) { h.noRefund = true }, "pay is left"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cells := stayCells(c.spoil)
			cells.Journeys = cells.Journeys[:1]
			cells.Unreached = []string{"ask/undo"}
			why := firstFailure(t, cells)
			require.NotEmpty(t, why, "the mutant survives")
			require.Contains(t, why, c.want)
			t.Log(why)
		})
	}
}

// Each of these mistakes of a table is noticed.
func TestMatrixNoticesAWrongFlow(t *testing.T) {
	own := stays().Own
	on := func(eventType string, fold func(s *stay)) func(s *stay, r event.Record) error {
		return func(s *stay, r event.Record) error {
			if r.Type == eventType {
				fold(s)
				return nil
			}
			return own(s, r)
		}
	}
	for name, c := range map[string]struct {
		spoil func(f *saga.Flow[stay, *house])
		want  string
		// early reports that it shows on the journey without the owner.
		early bool
	}{
		"a fold that forgets a slot": {func(f *saga.Flow[stay, *house]) {
			f.Own = on("room.held", func(s *stay) { s.Slots = s.Slots[:len(s.Slots)-1] })
		}, "and not completed", false},
		"a fold that forgets what the owner said": {func(f *saga.Flow[stay, *house]) {
			f.Own = on("owner.agreed", func(*stay) {})
		}, "from where it cannot", false},
		"a fold that cannot read": {func(f *saga.Flow[stay, *house]) {
			f.Own = func(s *stay, r event.Record) error {
				if r.Type == "key.sent" {
					return errors.New("no")
				}
				return own(s, r)
			}
		}, "needs attention for good", false},
		"a fold that decides": {func(f *saga.Flow[stay, *house]) {
			f.Own = on("room.held", func(s *stay) { s.Decision = saga.GoForward })
		}, "", false},
		"always reversible": {func(f *saga.Flow[stay, *house]) {
			for i := range f.Steps {
				if f.Steps[i].Reversible != nil {
					f.Steps[i].Reversible = func(*stay) bool { return true }
				}
			}
		}, "from where it cannot", false},
		"a lookup that always says done": {func(f *saga.Flow[stay, *house]) {
			f.Steps[5].Lookup.Run = func(*house, context.Context, saga.Call[stay]) (saga.Outcome, error) { return saga.Done(nil), nil }
		}, "charge is missing", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cells := stayCells(nil)
			cells.Journeys, cells.Unreached = cells.Journeys[4:], []string{"charge/lookup"} // only a person asks, before the owner has agreed
			if c.early {
				cells.Journeys, cells.Unreached = stayCells(nil).Journeys[:1], []string{"ask/undo"}
			}
			c.spoil(cells.Flow)
			why := firstFailure(t, cells)
			require.NotEmpty(t, why, "the mutant survives")
			require.Contains(t, why, c.want)
			t.Log(why)
		})
	}
}

func TestMatrixSaysWhatIsMissing(t *testing.T) {
	for want, spoil := range map[string]func(c *Cells[stay, *house]){
		"has Flow, NewWorld and Journeys":  func(c *Cells[stay, *house]) { c.NewWorld = nil },
		"a flow must have a Name":          func(c *Cells[stay, *house]) { c.Flow.Name = "" },
		"no journey reaches charge/lookup": func(c *Cells[stay, *house]) { c.Journeys = c.Journeys[2:3] },
		"a journey has a name of its own":  func(c *Cells[stay, *house]) { c.Journeys[1].Name = c.Journeys[0].Name },
		"has no end":                       func(c *Cells[stay, *house]) { c.Journeys[0].End = "paid" },
		"the ID of the journey paid":       func(c *Cells[stay, *house]) { c.Journeys[0].ID = " " },
		`no row "hold" waits for an event`: func(c *Cells[stay, *house]) { c.Journeys[0].Arrivals = []Arrival{{Row: "hold"}} },
		"the payload of fact": func(c *Cells[stay, *house]) {
			c.Journeys[0].Arrivals = []Arrival{{Row: "pay", Payload: func() {}}}
		},
	} {
		c := stayCells(nil)
		spoil(&c)
		_, err := newPlan(t, c)
		require.ErrorContains(t, err, want)
	}
}

// A journey that goes another way without a fault is a cell that fails.
func TestMatrixNoticesAWrongJourney(t *testing.T) {
	for want, spoil := range map[string]func(c *Cells[stay, *house]){
		"the saga is completed (), and not rejected":            func(c *Cells[stay, *house]) { c.Journeys[0].End = saga.Rejected },
		`because of "declined", and not of "sold_out"`:          func(c *Cells[stay, *house]) { c.Journeys[2].Reason = "sold_out" },
		"the saga is failed (guest_timeout), and not completed": func(c *Cells[stay, *house]) { c.Journeys[3].Arrivals = nil },
		"the data of the first event":                           func(c *Cells[stay, *house]) { c.Journeys[0].Data = func() {} },
	} {
		c := stayCells(nil)
		spoil(&c)
		require.Contains(t, firstFailure(t, c), want)
	}
}

// A cell that fails says what happened, and how it is run alone.
func TestFailedCellSaysWhatHappened(t *testing.T) {
	cells := stayCells(func(h *house) { h.surprised = true })
	why := firstFailure(t, cells)
	for _, want := range []string{"FAULT: ", "after", "+ 1 accept: stay.accepted", "do of hold: Done"} {
		require.Contains(t, why, want)
	}
	name := "TestX/paid,_cancelled/hold/do/inline/before/late_attempt"
	patterns := strings.Split(alone(name), "/")
	for i, part := range strings.Split(name, "/") {
		require.Regexp(t, patterns[i], part)
	}
}

// Every operation of the table is struck by every fault that means something to it, in both modes.
func TestEveryOperationHasCells(t *testing.T) {
	p, err := newPlan(t, stayCells(nil))
	require.NoError(t, err)
	struck := make(map[string]map[faultKind]bool)
	for _, c := range p.cells {
		at := strings.Join([]string{c.point.row, c.point.op, string(c.mode), string(c.point.at)}, "/")
		if struck[at] == nil {
			struck[at] = make(map[faultKind]bool)
		}
		struck[at][c.fault] = true
	}
	for _, operation := range []string{
		"hold/do", "hold/undo", "pay/do", "pay/lookup", "pay/undo", "ask/record", "ask/undo", "agree/record", "decide/record", "decide/turn", "charge/do",
		"charge/lookup", "key/do", "arrive/record", "end/record", "accept/open", "attention/record",
	} {
		for _, m := range []mode{inline, regular} {
			for _, at := range []moment{before, recorded} {
				key := strings.Join([]string{operation, string(m), string(at)}, "/")
				if operation == "charge/lookup" && at == recorded {
					continue // it finds nothing
				}
				for _, f := range faults {
					require.True(t, f == faultOvertaken || struck[key][f], "%s is not struck by %q", key, f)
				}
			}
		}
	}
	for _, at := range []moment{before, done, recorded} {
		require.True(t, struck["hold/do/regular/"+string(at)][faultOvertaken])
	}
}

// All draws together run each cell once.
func TestDrawsShareTheCells(t *testing.T) {
	t.Parallel()
	p, err := newPlan(t, stayCells(nil))
	require.NoError(t, err)
	p.OneIn = 4
	sizes := make([]int, p.OneIn)
	for _, c := range p.cells {
		drawn := 0
		for p.Draw = range p.OneIn {
			if p.drawn(c) {
				sizes[p.Draw]++
				drawn++
			}
		}
		require.Equal(t, 1, drawn, c)
	}
	for _, n := range sizes {
		require.InDelta(t, len(p.cells)/p.OneIn, n, float64(len(p.cells)/10), "the draws are about equal: %v", sizes)
	}
}

// A world in which time passes between two runs: what waited is overdue.
func TestPauseGoesPastTheDeadline(t *testing.T) {
	p, err := newPlan(t, stayCells(nil))
	require.NoError(t, err)
	for _, c := range p.cells {
		if c.journey.Name != "asked" || c.fault != faultPause || c.point != (point{"ask", opRecord, recorded}) {
			continue
		}
		// The answer does not come: otherwise it may be there before the new run has read that it is overdue.
		c.journey.Arrivals, c.journey.End, c.journey.Reason = nil, saga.Failed, "owner_timeout"
		trial := newTrial(t, p, c)
		require.NoError(t, trial.live())
		require.Equal(t, saga.Failed, trial.state.Status)
		require.Equal(t, "owner_timeout", trial.state.Reason)
	}
}

// The payload of a signal survives JSON.
func TestFactsSurviveJSON(t *testing.T) {
	raw, err := payloadOf(saga.Fact{Type: "a", ID: "b", NotBefore: time.Time{}})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"a","id":"b"}`, string(raw))
	require.True(t, json.Valid(raw))
}

// Each fault does what it says.
func TestFaultsStrike(t *testing.T) {
	p, err := newPlan(t, stayCells(nil))
	require.NoError(t, err)
	type want struct {
		runs    int
		release bool
		says    string
	}
	for _, c := range p.cells {
		if c.journey.Name != "asked" || (c.scenario != scenario{}) || c.mode != regular || c.point != (point{"pay", "do", before}) {
			continue
		}
		trial := newTrial(t, p, c)
		require.NoError(t, trial.live(), c)
		story := trial.timeline()
		w := map[faultKind]want{
			faultError:     {1, false, "do of pay: Done"},
			faultOutage:    {1, true, "do of pay fails, before"},
			faultCrash:     {2, false, "run 2 begins"},
			faultLate:      {2, false, "run 2 begins"},
			faultPause:     {2, false, "run 2 begins"},
			faultSecond:    {2, false, "run 2 begins"},
			faultCancel:    {1, true, "signal cancel"},
			faultOvertaken: {1, true, "signal cancel"},
			faultDuplicate: {2, false, "the saga is started again"},
			faultStray:     {1, false, "signal sagatest-stray"},
			faultContinue:  {2, false, "run 2 begins"},
		}[c.fault]
		require.Len(t, trial.runs, w.runs, c)
		require.Contains(t, story, w.says, c)
		require.Equal(t, w.release, strings.Contains(story, "undo/hold: room.released"), c)
		// What was under way goes on when the saga has ended.
		if c.fault == faultLate || c.fault == faultOvertaken || c.fault == faultPause {
			require.Greater(t, strings.LastIndex(story, "do of pay: "), strings.Index(story, " end: stay."), story)
		}
	}
}
