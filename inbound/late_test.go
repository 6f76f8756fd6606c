package inbound_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	lateRecords "github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// closed is a Temporal server whose sagas have all closed.
type closed struct{ client.Client }

func (closed) SignalWorkflow(context.Context, string, string, string, any) error {
	return serviceerror.NewNotFound("workflow execution already completed")
}

func TestLateEventGetsOneRecord(t *testing.T) {
	for _, eventType := range []string{
		event.OrderCancellationRequested, event.PaymentSucceeded, event.PaymentFailed,
		event.ShipmentDispatched, event.ShipmentDelivered, event.ShipmentLost,
	} {
		t.Run(eventType, func(t *testing.T) {
			w := newWorld()
			w.sagas.late = &sagaclient.Late{State: order.State{Saga: saga.Saga{Status: order.StatusRejected}}}
			for range 2 {
				require.NoError(t, w.executor.Handle(t.Context(), arrived(eventType, `{"orderId":"42"}`)))
			}
			require.Equal(t, []string{event.LateStream("42")}, w.log.Names())
			records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
			require.NoError(t, err)
			require.Len(t, records, 1, "the same event twice is one verdict")
			r := records[0]
			require.Equal(t, event.EventLate, r.Type)
			require.Equal(t, "42", r.Subject)
			require.Equal(t, "corr", r.CorrelationID)
			require.Equal(t, "evt-1", r.CausationID)
			require.Equal(t, now, r.Time)
			record, err := event.Decode[lateRecords.LateRecord](r.Event)
			require.NoError(t, err)
			require.NotEmpty(t, record.Detail)
			require.NotEmpty(t, record.Identity)
			record.Detail, record.Identity = "", ""
			require.Equal(t, lateRecords.LateRecord{
				OrderID: "42", EventID: "evt-1", Type: eventType, Status: order.StatusRejected,
			}, record)
		})
	}
}

// Money and goods are settled by a saga of their own; everything else needs no more than its verdict.
func TestLateEventStartsSettlement(t *testing.T) {
	for eventType, statuses := range map[string][]order.Status{
		event.PaymentSucceeded:           {order.StatusFailed, order.StatusCompleted},
		event.PaymentFailed:              nil,
		event.OrderCancellationRequested: nil,
		event.ShipmentDispatched:         {order.StatusFailed},
		event.ShipmentDelivered:          {order.StatusFailed},
		event.ShipmentLost:               {order.StatusFailed},
	} {
		for _, status := range []order.Status{order.StatusFailed, order.StatusCompleted} {
			w := newWorld()
			w.sagas.late = &sagaclient.Late{State: order.State{Saga: saga.Saga{Status: status}, Order: order.Order{ID: "42"}}}
			require.NoError(t, w.executor.Handle(t.Context(), arrived(eventType, `{"orderId":"42"}`)))
			want := []string(nil)
			if slices.Contains(statuses, status) {
				want = []string{"42"}
			}
			require.Equal(t, want, w.sagas.settled, "%s for an order that is %s", eventType, status)
		}
	}
}

// Goods that an intervention has handled need no attention again when the carrier delivers them.
func TestLateGoodsNeedAttentionOnce(t *testing.T) {
	w := newWorld()
	w.sagas.late = &sagaclient.Late{State: order.State{Saga: saga.Saga{Status: order.StatusCancelled, HappenedAfterCancel: true}, Order: order.Order{ID: "42"}}}
	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.ShipmentDelivered, `{"orderId":"42"}`)))
	require.Empty(t, w.sagas.settled)
	require.Equal(t, []string{event.LateStream("42")}, w.log.Names(), "it has a verdict all the same")
}

func TestEachLateEventGetsItsOwnRecord(t *testing.T) {
	w := newWorld()
	w.sagas.late = &sagaclient.Late{State: order.State{Saga: saga.Saga{Status: order.StatusCompleted}}}
	for _, id := range []string{"evt-1", "evt-2", "evt-1", "evt-3"} {
		e := arrived(event.ShipmentDelivered, `{}`)
		e.ID, e.CorrelationID = id, ""
		require.NoError(t, w.executor.Handle(t.Context(), e))
	}
	records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	require.Len(t, records, 3)
	for i, id := range []string{"evt-1", "evt-2", "evt-3"} {
		require.Equal(t, id, records[i].CausationID)
		require.Equal(t, id, records[i].CorrelationID, "without a correlation the event begins one")
	}
}

func TestDuplicateOfTerminalEventIsNotLate(t *testing.T) {
	w := newWorld()
	cancelled(t, w.log, "evt-1")
	w.ended()

	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.OrderCancellationRequested, `{}`)))
	require.NotContains(t, w.log.Names(), event.LateStream("42"), "it came in time once")

	for name, change := range map[string]func(*event.Event){
		"id":      func(e *event.Event) { e.ID = "evt-2" },
		"source":  func(e *event.Event) { e.Source = "/desk" },
		"content": func(e *event.Event) { e.Data = []byte(`{"reason":"changed my mind"}`) },
		"type":    func(e *event.Event) { e.Type = event.PaymentFailed },
	} {
		t.Run("another "+name, func(t *testing.T) {
			w := newWorld()
			cancelled(t, w.log, "evt-1")
			w.ended()
			other := arrived(event.OrderCancellationRequested, `{}`)
			change(&other)
			for range 2 {
				require.NoError(t, w.executor.Handle(t.Context(), other))
			}
			require.Len(t, w.lateRecords(t), 1)
		})
	}
}

// ended closes every saga: then the log decides which events are late.
func (w *world) ended() {
	w.executor.Sagas = settling{Client: sagaclient.New(sagaclient.Config{
		Temporal: closed{}, Log: w.log, Logger: slog.New(slog.DiscardHandler),
	}), sagas: w.sagas}
}

// settling is a client whose late sagas are only noted.
type settling struct {
	*sagaclient.Client
	sagas *sagas
}

func (s settling) SettleLate(ctx context.Context, ended order.State) error {
	return s.sagas.SettleLate(ctx, ended)
}

// lateRecords reads the late stream of the order.
func (w *world) lateRecords(t *testing.T) []event.Record {
	t.Helper()
	records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	eventtest.CheckRecords(t, records...)
	return records
}

// Many senders number their events by themselves, and some use the order id as the id of every event.
func TestLatePaymentWithReusedIDIsSettled(t *testing.T) {
	for name, payment := range map[string]event.Event{
		"another source": {ID: "cause", Source: "/psp", Type: event.PaymentSucceeded},
		"the same one":   {ID: "cause", Source: "/shop", Type: event.PaymentSucceeded},
		"no source":      {ID: "cause", Type: event.PaymentSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			cancelled(t, w.log, "cause") // the order, its cancellation and the payment have the same id
			w.ended()
			payment.Subject, payment.Data = "42", []byte(`{"orderId":"42"}`)
			for range 2 {
				require.NoError(t, w.executor.Handle(t.Context(), payment))
			}
			require.Len(t, w.lateRecords(t), 1)
			require.Equal(t, []string{"42", "42"}, w.sagas.settled)
		})
	}
}

// The source and the id are the same, the events are not.
func TestLateEventsWithOneIDGetARecordEach(t *testing.T) {
	w := newWorld()
	w.sagas.late = &sagaclient.Late{State: order.State{Saga: saga.Saga{Status: order.StatusRejected}, Order: order.Order{ID: "42"}}}
	for range 2 {
		for _, data := range []string{`{"carrier":"DHL"}`, `{"carrier":"UPS"}`, `{"carrier":"UPS","dock":"north"}`} {
			for _, eventType := range []string{event.ShipmentDispatched, event.ShipmentDelivered, event.PaymentSucceeded} {
				require.NoError(t, w.executor.Handle(t.Context(), arrived(eventType, data)))
			}
		}
	}
	var types []string
	for _, r := range w.lateRecords(t) {
		record, err := event.Decode[lateRecords.LateRecord](r.Event)
		require.NoError(t, err)
		types = append(types, record.Type)
	}
	require.Equal(t, []string{event.ShipmentDispatched, event.ShipmentDelivered, event.PaymentSucceeded,
		event.ShipmentDispatched, event.ShipmentDelivered}, types, "a payment has no content that is used")
}

// Late events that were recorded before events had an identity in the log still count.
func TestRedeliveryOfEventWithOlderRecord(t *testing.T) {
	w := newWorld()
	w.sagas.late = &sagaclient.Late{State: order.State{Saga: saga.Saga{Status: order.StatusRejected}, Order: order.Order{ID: "42"}}}
	older := lateRecords.LateRecord{ID: derived, OrderID: "42", EventID: "evt-1", Type: event.ShipmentDispatched, Status: order.StatusRejected}
	_, _, err := w.log.Append(t.Context(), event.LateStream("42"), event.Head{}, []event.Entry{older.Entry("corr", now)})
	require.NoError(t, err)

	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.ShipmentDispatched, `{"carrier":"DHL"}`)))
	require.Len(t, w.lateRecords(t), 1, "a redelivery")
	for range 2 {
		require.NoError(t, w.executor.Handle(t.Context(), arrived(event.ShipmentDelivered, `{"carrier":"DHL"}`)))
	}
	require.Len(t, w.lateRecords(t), 2, "another event")
}

// shut is a log that does not answer.
type shut struct{}

func (shut) Append(context.Context, string, event.Head, []event.Entry) (event.Head, []event.Record, error) {
	return event.Head{}, nil, fault.New(fault.Unavailable, "no log")
}

func (shut) Head(context.Context, string) (event.Record, bool, error) {
	return event.Record{}, false, nil
}

func TestFailedLateRecordIsRetried(t *testing.T) {
	w := newWorld()
	w.sagas.late = &sagaclient.Late{State: order.State{Saga: saga.Saga{Status: order.StatusCompleted}}}
	w.executor.Log = noLog{}
	err := w.executor.Handle(t.Context(), arrived(event.ShipmentLost, `{}`))
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.Equal(t, fault.Redeliver, fault.Lookup(fault.CodeOf(err)).Disposition)
}
