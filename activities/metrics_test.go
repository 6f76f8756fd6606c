package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// counted is what was counted. It is for one goroutine.
type counted struct {
	started  []string
	ended    []ending
	attempts []activities.Attempt
	lags     []time.Duration
}

type ending struct {
	flow   string
	status saga.Status
	reason string
	took   time.Duration
}

func (c *counted) Started(flow string) { c.started = append(c.started, flow) }

func (c *counted) Ended(flow string, status saga.Status, reason string, took time.Duration) {
	c.ended = append(c.ended, ending{flow, status, reason, took})
}

func (c *counted) Attempted(a activities.Attempt) { c.attempts = append(c.attempts, a) }

func (c *counted) Published(lag time.Duration) { c.lags = append(c.lags, lag) }

// counting is a world whose activities are counted, and whose clock the test sets.
func counting(t *testing.T) (w *world, c *counted, clock *time.Time) {
	w = newWorld(t)
	c, at := &counted{}, now
	w.recorder.Metrics = c
	w.recorder.Clock = func() time.Time { return at }
	return w, c, &at
}

func TestSagasAreCountedOnce(t *testing.T) {
	w, c, clock := counting(t)
	for range 3 {
		_, err := w.outcomes.Open(t.Context(), open)
		require.NoError(t, err)
		*clock = clock.Add(time.Second)
	}
	require.Equal(t, []string{"order"}, c.started)

	w, c, _ = counting(t)
	s := w.captured()
	s = w.write(s, s.CommittedStock(now))
	end := order.Decisions(s, order.Facts{}, now.Add(time.Minute), order.DefaultTiming())
	require.Equal(t, saga.SlotEnd, end[0].Key)
	for range 3 {
		_, err := w.outcomes.Record(t.Context(), in(s, end...))
		require.NoError(t, err)
	}
	require.Equal(t, []ending{{"order", order.StatusCompleted, "", time.Minute}}, c.ended)

	// Another process has appended the same end before.
	other := &activities.Recorder{Log: w.log, Publisher: w.bus, Clock: w.recorder.Clock, Logger: w.recorder.Logger, Metrics: c}
	orders := newOrders(other, w.list, order.Participants{}, order.DefaultTiming().Settings(true))
	_, err := orders.Record(t.Context(), in(s, order.Decisions(s, order.Facts{}, now.Add(time.Hour), order.DefaultTiming())...))
	require.NoError(t, err)
	require.Len(t, c.ended, 1)
}

// TestSagasWithoutAnEndAreCounted: such a saga starts when there is work, and ends when there is none left.
func TestSagasWithoutAnEndAreCounted(t *testing.T) {
	w := paidLate(t)
	c := &counted{}
	w.recorder.Metrics = c
	w.open()
	w.open()
	require.Equal(t, []string{"late-payment"}, c.started, "a run that takes over")
	w.judge(1800)
	w.open()
	require.Empty(t, c.ended)
	for range 2 {
		_, err := w.do(latepayment.StepRefund)
		require.NoError(t, err)
	}
	require.Equal(t, []ending{{"late-payment", saga.Completed, "cancelled", 0}}, c.ended)
	w.open()
	require.Len(t, c.started, 1, "nothing is left to do")
	w.addLatePayment("evt-2")
	w.open()
	require.Len(t, c.started, 2)
	w.judge(0)
	require.Len(t, c.ended, 2)
}

func TestUnrecordedEndIsNotCounted(t *testing.T) {
	w, c, _ := counting(t)
	s := w.captured()
	s = w.write(s, s.CommittedStock(now))
	w.log.appendErr = fault.New(fault.Unavailable, "no log")
	_, err := w.outcomes.Record(t.Context(), in(s, order.Decisions(s, order.Facts{}, now, order.DefaultTiming())...))
	require.Error(t, err)
	_, err = w.outcomes.Open(t.Context(), open)
	require.Error(t, err)
	require.Empty(t, c.ended)
	require.Empty(t, c.started)
}

func TestAttemptsAreCountedByTheirResult(t *testing.T) {
	w, c, clock := counting(t)
	participants := &bookings{}
	f := &activities.Flow[booking, *bookings]{
		Recorder: w.recorder, Table: bookingFlow(), Participants: participants,
		Settings: saga.Settings{Waits: map[saga.Deadline]time.Duration{"ROOM_DEADLINE": time.Minute}, Attention: time.Minute},
	}
	opened, err := f.Open(t.Context(), saga.OpenInput{ID: "7", Data: []byte(`{}`)})
	require.NoError(t, err)
	s, err := f.Table.Fold(booking{}, opened.Tail)
	require.NoError(t, err)
	for _, step := range []struct {
		kind   saga.ActionKind
		answer saga.Outcome
		err    error
		want   activities.Result
	}{
		{saga.Do, saga.TryLater("", ""), nil, activities.ResultRefused},
		{saga.Lookup, saga.NotFound(), nil, activities.ResultRefused},
		{saga.Do, saga.Outcome{}, errors.New("no answer"), activities.ResultUnknown},
		{saga.Undo, saga.Undone(nil), nil, activities.ResultDone},
	} {
		c.attempts = nil
		participants.answer, participants.err = step.answer, step.err
		participants.meanwhile = func() { *clock = clock.Add(time.Second) }
		_, _ = f.Step("room", step.kind)(t.Context(), saga.StepInput[booking]{State: s, Settings: f.Settings})
		require.Equal(t, []activities.Attempt{{Flow: "booking", Step: "room", Kind: step.kind, Result: step.want, Took: time.Second}}, c.attempts)
	}
}

func TestPublishedEventsAreCountedOnceConfirmed(t *testing.T) {
	w, c, clock := counting(t)
	w.pending()
	*clock = now.Add(3 * time.Second)
	w.bus.publish = func(_ context.Context, records []event.Record) (int, error) {
		return len(records) - 1, errors.New("away")
	}
	result, err := w.recorder.Publish(t.Context(), saga.PublishInput{Stream: stream, Through: 3})
	require.NoError(t, err)
	require.Equal(t, int64(2), result.Published)
	require.Equal(t, []time.Duration{3 * time.Second, 3 * time.Second}, c.lags)
}
