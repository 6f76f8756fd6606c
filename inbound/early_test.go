package inbound_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// kept reads the cancellations that are kept for the order.
func (w *world) kept(t *testing.T) []order.Cancellation {
	t.Helper()
	records, err := w.log.Read(t.Context(), event.EarlyStream("42"), 0, 0)
	require.NoError(t, err)
	eventtest.CheckRecords(t, records...)
	kept, err := order.Flow.EarlyCancellations(records)
	require.NoError(t, err)
	return kept
}

func TestCancellationOfUnknownOrderIsStored(t *testing.T) {
	w := newWorld()
	w.sagas.err = fault.New(fault.OrderUnknown, "which order?")
	e := arrived(event.OrderCancellationRequested, `{"orderId":"42","reason":"changed my\nmind"}`)
	for range 3 {
		err := w.executor.Handle(t.Context(), e)
		require.ErrorIs(t, err, fault.OrderUnknown, "it waits for its order all the same")
		require.Contains(t, fault.SafeMessage(err), deadletter.EarlyNote)
	}
	require.Equal(t, []order.Cancellation{{ID: derived, Cause: "evt-1", Reason: "changed my mind"}}, w.kept(t))
	require.Len(t, w.sagas.signals, 4, "the order is looked for again after the cancellation was kept")

	for _, eventType := range []string{event.PaymentSucceeded, event.ShipmentDispatched} {
		require.ErrorIs(t, w.executor.Handle(t.Context(), arrived(eventType, `{"orderId":"42"}`)), fault.OrderUnknown)
	}
	require.Len(t, w.kept(t), 1, "nothing else is kept")
}

// comes is an order that arrives while its cancellation is stored: its run reads the stream before the cancellation is in it.
type comes struct {
	*sagas
	signals []any
}

func (c *comes) Signal(_ context.Context, _, _ string, payload any) (*sagaclient.Late, error) {
	if c.signals = append(c.signals, payload); len(c.signals) == 1 {
		return nil, fault.New(fault.OrderUnknown, "which order?")
	}
	return nil, nil
}

func TestConcurrentlyPlacedOrderIsSignalled(t *testing.T) {
	w := newWorld()
	c := &comes{sagas: w.sagas}
	w.executor.Sagas = c
	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.OrderCancellationRequested, `{"orderId":"42"}`)))
	require.Len(t, c.signals, 2)
	require.Equal(t, c.signals[0], c.signals[1])
	require.Len(t, w.kept(t), 1)
}

func TestStoredCancellationsAreBounded(t *testing.T) {
	w := newWorld()
	w.sagas.err = fault.New(fault.OrderUnknown, "which order?")
	var wg sync.WaitGroup
	answers := make([]error, 3*saga.MaxEarly)
	for i := range answers {
		wg.Go(func() {
			e := arrived(event.OrderCancellationRequested, `{"orderId":"42"}`)
			e.ID = fmt.Sprint("evt-", i%(2*saga.MaxEarly))
			executor := *w.executor
			executor.Sagas = &sagas{err: w.sagas.err}
			answers[i] = executor.Handle(t.Context(), e)
		})
	}
	wg.Wait()
	for _, err := range answers {
		require.ErrorIs(t, err, fault.OrderUnknown)
	}
	require.Len(t, w.kept(t), saga.MaxEarly)
}

func TestEventIsRetriedWhenCancellationCannotBeStored(t *testing.T) {
	w := newWorld()
	w.sagas.err = fault.New(fault.OrderUnknown, "which order?")
	w.executor.Log = noLog{}
	require.ErrorIs(t, w.executor.Handle(t.Context(), arrived(event.OrderCancellationRequested, `{"orderId":"42"}`)), fault.Unavailable)
}

// noLog does not answer.
type noLog struct{ shut }

func (noLog) Read(context.Context, string, int64, int) ([]event.Record, error) {
	return nil, fault.New(fault.Unavailable, "no log")
}
