package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// booking is a flow whose step functions return configured outcomes.
type booking struct{ saga.Saga }

type bookings struct {
	answer saga.Outcome
	err    error
	// meanwhile is called by each step, unless it is nil.
	meanwhile func()
}

func (b *bookings) step(context.Context, saga.Call[booking]) (saga.Outcome, error) {
	if b.meanwhile != nil {
		b.meanwhile()
	}
	return b.answer, b.err
}

func bookingFlow() *saga.Flow[booking, *bookings] {
	op := func(within time.Duration) *saga.Operation[booking, *bookings] {
		return &saga.Operation[booking, *bookings]{Run: (*bookings).step, Within: within}
	}
	return &saga.Flow[booking, *bookings]{
		Name: "booking", Stream: "booking", Queue: "bookings",
		Steps: []saga.Step[booking, *bookings]{
			{
				Name: "room", Kind: saga.Compensable, Do: op(0), Undo: op(0), Lookup: op(time.Minute), Deadline: "ROOM_DEADLINE",
				Done: "booking.room_booked", Refused: "booking.room_refused", Undone: []string{"booking.room_freed"},
			},
			{Name: "decide", Kind: saga.Pivot, Status: "settling"},
			{Name: "pay", Kind: saga.Forward, Do: op(0), Done: "booking.paid"},
		},
	}
}

// A step that answers what its operation cannot come to would be attempted again at once, for ever; or it would record that what was
// compensated has happened.
func TestUndeclaredOutcomeIsRefused(t *testing.T) {
	w := newWorld(t)
	participants := &bookings{}
	f := &activities.Flow[booking, *bookings]{
		Recorder: w.recorder, Table: bookingFlow(), Participants: participants, Late: latepayment.Recorder{Log: w.log, Clock: w.recorder.Clock}.Record,
		Settings: saga.Settings{Waits: map[saga.Deadline]time.Duration{"ROOM_DEADLINE": time.Minute}, Attention: time.Minute},
	}
	require.NoError(t, f.Check())
	opened, err := f.Open(t.Context(), saga.OpenInput{ID: "7", Data: []byte(`{}`)})
	require.NoError(t, err)
	s, err := f.Table.Fold(booking{}, opened.Tail)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		step   string
		kind   saga.ActionKind
		answer saga.Outcome
		last   bool
	}{
		"nothing is done":                      {step: "room", kind: saga.Do, answer: saga.Outcome{}},
		"nothing is compensated":               {step: "room", kind: saga.Undo, answer: saga.NotFound()},
		"done is compensated":                  {step: "room", kind: saga.Do, answer: saga.Undone(nil)},
		"the compensation is done":             {step: "room", kind: saga.Undo, answer: saga.Done(nil)},
		"the compensation is refused":          {step: "room", kind: saga.Undo, answer: saga.Refused(nil)},
		"the compensation is tried later":      {step: "room", kind: saga.Undo, answer: saga.TryLater("", "")},
		"a lookup is tried later":              {step: "room", kind: saga.Lookup, answer: saga.TryLater("", "")},
		"a forward step is tried later":        {step: "pay", kind: saga.Do, answer: saga.TryLater("", "")},
		"the last attempt is tried once again": {step: "room", kind: saga.Do, answer: saga.TryLater("", ""), last: true},
	} {
		t.Run(name, func(t *testing.T) {
			participants.answer = c.answer
			_, err := f.Step(c.step, c.kind)(t.Context(), saga.StepInput[booking]{State: s, Settings: f.Settings, Last: c.last})
			requireFault(t, fault.Internal, err)
			records, err := w.log.Read(t.Context(), "booking-7", 0, 0)
			require.NoError(t, err)
			require.Len(t, records, 1)
		})
	}
	participants.answer = saga.TryLater("x", "a room")
	result, err := f.Step("room", saga.Do)(t.Context(), saga.StepInput[booking]{State: s, Settings: f.Settings})
	require.NoError(t, err)
	require.Equal(t, &saga.Later{Hint: "x", For: "a room"}, result.Later)
	participants.answer = saga.NotFound()
	result, err = f.Step("room", saga.Lookup)(t.Context(), saga.StepInput[booking]{State: s, Settings: f.Settings})
	require.NoError(t, err)
	require.Empty(t, result.Tail)
}

// A deadline that no setting has would be over at once.
func TestDeadlineHasASetting(t *testing.T) {
	f := &activities.Flow[booking, *bookings]{Table: bookingFlow(), Participants: &bookings{}}
	require.ErrorContains(t, f.Check(), "setting ROOM_DEADLINE is missing")
	require.ErrorContains(t, f.Check(), "setting Attention is missing")
}

// Attempts of one step share its input: an attempt that has timed out may still read it.
func TestDecisionsDoNotChangeTheInput(t *testing.T) {
	w := newWorld(t)
	s := w.captured()
	input := append(make([]event.Entry, 0, 8), s.CommittedStock(now))
	_, err := w.outcomes.Record(t.Context(), inline(s, input...))
	require.NoError(t, err)
	require.Len(t, w.recordsAfter(s), 2)
	require.Zero(t, input[:2][1])
}
