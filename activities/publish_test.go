package activities_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// budget is how long a step waits for the broker after its own work.
const budget = 250 * time.Millisecond

// unpublished is the input of a step that records an authorization and publishes two records meanwhile.
func unpublished(w *world) stepInput {
	s := w.reserved()
	input := in(s, s.Authorized("p-1", now))
	input.Unpublished = w.recordsAfter(order.State{})
	require.Len(w.t, input.Unpublished, 2)
	return input
}

func TestStepPublishesConcurrently(t *testing.T) {
	failure := fault.New(fault.Unavailable, "no broker")
	for name, test := range map[string]struct {
		confirmed int
		err       error
		published int64
	}{
		"all":  {2, nil, 2},
		"some": {1, failure, 1},
		"none": {0, failure, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			input := unpublished(w)
			w.bus.publish = func(context.Context, []event.Record) (int, error) { return test.confirmed, test.err }
			result, err := w.outcomes.Record(t.Context(), input)
			require.NoError(t, err, "a broker that is away stops no order")
			require.Equal(t, test.published, result.Published)
			require.Equal(t, []string{event.PaymentAuthorized}, types(result.Tail))
			require.Equal(t, input.Unpublished, w.bus.got)
		})
	}
}

func TestPublishedIsAVersion(t *testing.T) {
	w := newWorld(t)
	input := unpublished(w)
	input.Unpublished = input.Unpublished[1:]
	result, err := w.outcomes.Record(t.Context(), input)
	require.NoError(t, err)
	require.EqualValues(t, 2, result.Published)
}

func TestPublishWithoutEvents(t *testing.T) {
	w := newWorld(t)
	w.bus.publish = func(context.Context, []event.Record) (int, error) { panic("there is nothing to publish") }
	s := w.reserved()
	result, err := w.outcomes.Record(t.Context(), in(s, s.Authorized("p-1", now)))
	require.NoError(t, err)
	require.Zero(t, result.Published)
}

func TestHangingPublisherIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		input := unpublished(w)
		w.bus.publish = func(ctx context.Context, _ []event.Record) (int, error) {
			<-ctx.Done()
			return 1, ctx.Err()
		}
		began := time.Now()
		result, err := w.outcomes.Record(t.Context(), input)
		require.NoError(t, err)
		require.Equal(t, budget, time.Since(began))
		require.EqualValues(t, 1, result.Published, "what was confirmed until then counts")
		require.Equal(t, []string{event.PaymentAuthorized}, types(result.Tail))
	})
}

// slow is stock that takes a second for each line.
type slow struct{ order.Ledger }

func (slow) Commit(ctx context.Context, _, _ string) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestPublishTimeoutStartsAfterTheStep(t *testing.T) {
	for name, test := range map[string]struct {
		publishing, took time.Duration
		published        int64
	}{
		"published before":         {500 * time.Millisecond, time.Second, 2},
		"published within":         {1200 * time.Millisecond, 1200 * time.Millisecond, 2},
		"not published after that": {time.Minute, time.Second + budget, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := w.captured()
				input := in(s)
				input.Unpublished = w.recordsAfter(order.State{})[:2]
				w.bus.publish = func(ctx context.Context, records []event.Record) (int, error) {
					select {
					case <-time.After(test.publishing):
						return len(records), nil
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				}
				began := time.Now()
				result, err := w.inventory(slow{}).Commit(t.Context(), input)
				require.NoError(t, err)
				require.Equal(t, test.took, time.Since(began))
				require.Equal(t, test.published, result.Published)
			})
		})
	}
}

func TestFailedStepStopsItsPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		input := unpublished(w)
		w.log.appendErr = fault.New(fault.Unavailable, "no log")
		returned := false
		w.bus.publish = func(ctx context.Context, _ []event.Record) (int, error) {
			<-ctx.Done()
			returned = true
			return 1, ctx.Err()
		}
		result, err := w.outcomes.Record(t.Context(), input)
		requireFault(t, fault.Unavailable, err)
		require.Empty(t, result)
		require.True(t, returned, "it publishes nothing while the next attempt runs")
	})
}

func TestPublishReturnsConfirmedVersion(t *testing.T) {
	w := newWorld(t)
	w.reserved()
	records := w.recordsAfter(order.State{})
	result, err := w.outcomes.Publish(t.Context(), saga.PublishInput{Records: records})
	require.NoError(t, err)
	require.EqualValues(t, 2, result.Published)
	require.Equal(t, records, w.bus.got)

	result, err = w.outcomes.Publish(t.Context(), saga.PublishInput{})
	require.NoError(t, err)
	require.Zero(t, result.Published)
}

func TestPublishIsRetriedUntilAllIsConfirmed(t *testing.T) {
	w := newWorld(t)
	w.reserved()
	confirms := 1
	w.bus.publish = func(context.Context, []event.Record) (int, error) { return confirms, fault.New(fault.Invalid, "nack") }
	result, err := w.outcomes.Publish(t.Context(), saga.PublishInput{Records: w.recordsAfter(order.State{})})
	require.NoError(t, err, "it has come further")
	require.EqualValues(t, 1, result.Published)
	confirms = 0
	_, err = w.outcomes.Publish(t.Context(), saga.PublishInput{Records: w.recordsAfter(order.State{})})
	requireFault(t, fault.Unavailable, err)
	require.ErrorContains(t, err, "0 of 2 confirmed")
}

// long writes a stream of n records.
func (w *world) long(n int) order.State {
	s := w.settling()
	for s.Head.Version < int64(n) {
		refusal := event.New(stream, "cancel/c"+strconv.FormatInt(s.Head.Version, 10), event.OrderCancellationRefused, "42", now, order.CancellationRefusal{OrderID: "42"})
		s = w.write(s, refusal)
	}
	return s
}

// Events that are unpublished after a long outage are read from the log, in pages: no payload contains them.
func TestPublishReadsFromTheLogInPages(t *testing.T) {
	for name, in := range map[string]saga.PublishInput{
		"everything":          {Stream: stream, After: 0, Through: 350},
		"from a version on":   {Stream: stream, After: 117, Through: 350},
		"up to a version":     {Stream: stream, After: 117, Through: 222},
		"nothing":             {Stream: stream, After: 350, Through: 350},
		"what is published":   {Stream: stream, After: 350, Through: 7},
		"one page, no matter": {Stream: stream, After: 10, Through: 110, Pages: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.long(350)
			at := in.After
			w.bus.publish = func(_ context.Context, records []event.Record) (int, error) {
				require.LessOrEqual(t, len(records), 100)
				for _, r := range records {
					at++
					require.Equal(t, at, r.Version)
				}
				return len(records), nil
			}
			result, err := w.outcomes.Publish(t.Context(), in)
			require.NoError(t, err)
			require.Equal(t, max(in.Through, in.After), result.Published)
			require.Equal(t, at, result.Published)
		})
	}
}

func TestPublishFromLogReturnsItsProgress(t *testing.T) {
	w := newWorld(t)
	w.long(350)
	pages := 0
	w.bus.publish = func(_ context.Context, records []event.Record) (int, error) {
		if pages++; pages == 3 {
			return 5, fault.New(fault.Unavailable, "no broker")
		}
		return len(records), nil
	}
	result, err := w.outcomes.Publish(t.Context(), saga.PublishInput{Stream: stream, Through: 350})
	require.NoError(t, err)
	require.EqualValues(t, 205, result.Published)
	w.log.readErr = fault.New(fault.Unavailable, "no log")
	_, err = w.outcomes.Publish(t.Context(), saga.PublishInput{Stream: stream, After: 205, Through: 350})
	requireFault(t, fault.Unavailable, err)
}
