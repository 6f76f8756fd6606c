package saga_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

type (
	step = saga.Calls[input, output]
	call = saga.ActivityCall[input, output]
)

// input and output are what the steps of the tests' sagas take and give.
type (
	input  struct{ Step, Mode string }
	output struct{ Answer string }
)

// participant stands for whoever does the work.
type participant struct{}

func (participant) Work(context.Context, input) (output, error) { return output{}, nil }

func within(in input) time.Duration { return time.Minute }

// doing is a call with a deadline, must is one without.
func doing(name string) *saga.ActivityCall[input, output] {
	return saga.Activity(name, participant.Work, call{Queue: "q", Summary: "do " + name, Deadline: within})
}

func must(name string) *saga.ActivityCall[input, output] {
	return saga.Activity(name, participant.Work, call{Queue: "q", Summary: "do " + name})
}

// sound is a saga that nothing is wrong with.
func sound() []step {
	return []step{
		{Name: "pack", Kind: saga.Compensable, Slot: "pack", UndoSlot: "undo/pack", Do: doing("Pack"), Lookup: doing("FindPack"), Undo: must("Unpack")},
		{Name: "hire", Kind: saga.Compensable, Slot: "hire", UndoSlot: "undo/hire", Do: doing("Hire"), Undo: must("Dismiss")},
		{Name: "decide", Kind: saga.Pivot, Slot: "decide"},
		{Name: "send", Kind: saga.Forward, Slot: "send", Do: must("Send")},
	}
}

func TestASoundSaga(t *testing.T) {
	d, err := saga.Define("parcel", sound()...)
	require.NoError(t, err)
	require.Equal(t, "parcel", d.Name())
	require.Len(t, d.Steps(), 4)
	require.Equal(t, []string{"Pack", "FindPack", "Unpack", "Hire", "Dismiss", "Send"}, d.Activities())
	require.Equal(t, "Unpack", d.Find(saga.Undo, "pack").Activity())
	require.Nil(t, d.Find(saga.Undo, "send"))
}

func TestABrokenSagaIsRefused(t *testing.T) {
	const pack, hire, decide, send = 0, 1, 2, 3
	for name, c := range map[string]struct {
		spoil func(s []step) []step
		want  string
	}{
		"no pivot":                    {func(s []step) []step { return append(s[:decide], s[send]) }, "one pivot, not 0"},
		"two pivots":                  {func(s []step) []step { return append(s, step{Name: "again", Kind: saga.Pivot, Slot: "again"}) }, "one pivot, not 2"},
		"compensable after the pivot": {func(s []step) []step { s[hire], s[decide] = s[decide], s[hire]; return s }, `step "hire": a compensable step stands before`},
		"forward before the pivot":    {func(s []step) []step { s[decide], s[send] = s[send], s[decide]; return s }, `step "send": a forward step stands after`},
		"no undo":                     {func(s []step) []step { s[hire].Undo, s[hire].UndoSlot = nil, ""; return s }, `step "hire": a compensable step has an undo`},
		"no slot for the undo":        {func(s []step) []step { s[hire].UndoSlot = ""; return s }, `step "hire": a step has a slot`},
		"an undo after the pivot":     {func(s []step) []step { s[send].Undo, s[send].UndoSlot = must("Fetch"), "undo/send"; return s }, `step "send": a forward step is never undone`},
		"a pivot that does something": {func(s []step) []step { s[decide].Do = must("Think"); return s }, `step "decide": the pivot is an event`},
		"two steps of one name":       {func(s []step) []step { s[hire].Name = "pack"; return s }, `the name "pack" is taken`},
		"two steps with one slot":     {func(s []step) []step { s[send].Slot = "pack"; return s }, `the slot "pack" is taken`},
		"an undo in a step's slot":    {func(s []step) []step { s[hire].UndoSlot = "pack"; return s }, `the slot "pack" is taken`},
		"no kind":                     {func(s []step) []step { s[pack].Kind = "maybe"; return s }, `"maybe" is no kind`},
		"no deadline before the pivot": {
			func(s []step) []step { s[pack].Do = must("Pack"); return s }, `step "pack": do has a deadline`},
		"a deadline after the pivot": {
			func(s []step) []step { s[send].Do = doing("Send"); return s }, `step "send": do must succeed`},
		"an undo with a deadline": {func(s []step) []step { s[pack].Undo = doing("Unpack"); return s }, `step "pack": undo must succeed`},
		"a look-up without a deadline": {
			func(s []step) []step { s[pack].Lookup = must("FindPack"); return s }, `step "pack": lookup has a deadline`},
		"no task queue": {
			func(s []step) []step { s[pack].Do.Queue = ""; return s }, `step "pack": do names its task queue`},
		"no summary":  {func(s []step) []step { s[pack].Do.Summary = ""; return s }, `step "pack": do has a summary`},
		"no activity": {func(s []step) []step { s[pack].Do = doing(""); return s }, `step "pack": do names its activity`},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := saga.Define("parcel", c.spoil(sound())...)
			require.ErrorContains(t, err, `saga "parcel"`)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, d)
		})
	}
	_, err := saga.Define("", step{})
	for _, want := range []string{"a saga has a name", "a step has a name", "a step has a slot", "is no kind", "one pivot"} {
		require.ErrorContains(t, err, want, "everything that is wrong is named at once")
	}
}
