package activities_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var late = saga.LateInput{
	ID: "42", Status: order.StatusCompleted, CorrelationID: "corr",
	Events: []saga.LateEvent{{ID: "evt-1", EventID: "evt-1", Type: "shipment"}, {ID: "evt-2", EventID: "evt-2", Type: "payment"}},
}

func TestEachLateEventGetsARecord(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		_, err := w.outcomes.Late(t.Context(), late)
		require.NoError(t, err, "running it again changes nothing")
	}
	require.Equal(t, []string{event.LateStream("42")}, w.log.Names(), "the order's stream is closed")
	records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	require.Len(t, records, len(late.Events))
	for i, r := range records {
		require.Equal(t, event.EventLate, r.Type)
		require.Equal(t, "42", r.Subject)
		require.Equal(t, now, r.Time)
		require.Equal(t, "corr", r.CorrelationID)
		require.Equal(t, late.Events[i].EventID, r.CausationID)
		v, err := event.Decode[latepayment.LateRecord](r.Event)
		require.NoError(t, err)
		require.NotEmpty(t, v.Detail)
		v.Detail = ""
		require.Equal(t, latepayment.LateRecord{
			OrderID: "42", EventID: late.Events[i].EventID, Type: late.Events[i].Type, Status: order.StatusCompleted,
		}, v)
	}
}

func TestLateRecordIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	v := latepayment.LateRecord{ID: "evt-1", OrderID: "42", EventID: "evt-1", Type: "shipment", Status: order.StatusCompleted}
	require.NoError(t, latepayment.WriteLateRecord(t.Context(), w.log, v, "corr", now))
	before, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	v.Status = order.StatusFailed
	require.NoError(t, latepayment.WriteLateRecord(t.Context(), w.log, v, "other", now.AddDate(0, 0, 1)))
	after, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestLateRecordErrorsKeepTheirCode(t *testing.T) {
	for _, code := range []fault.Code{fault.Unavailable, fault.Corrupt, fault.Invalid} {
		w := newWorld(t)
		w.log.appendErr = fault.New(code, "injected")
		_, err := w.outcomes.Late(t.Context(), late)
		requireFault(t, code, err)
	}
}

// crowded is a stream that grows by one record before each append.
type crowded struct {
	activities.Log
	grows, appends int
}

func (c *crowded) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	c.appends++
	if c.appends > c.grows {
		return c.Log.Append(ctx, stream, head, entries)
	}
	other := event.New(stream, event.DerivedID(stream, string(rune('a'+c.appends))), event.EventLate, "42", now, struct{}{})
	if _, _, err := c.Log.Append(ctx, stream, head, []event.Entry{other}); err != nil {
		return event.Head{}, nil, err
	}
	return c.Log.Append(ctx, stream, head, entries)
}

func TestLateRecordIsAppendedToGrowingStream(t *testing.T) {
	v := latepayment.LateRecord{ID: "evt-1", OrderID: "42", EventID: "evt-1", Type: "shipment", Status: order.StatusCompleted}
	w := newWorld(t)
	log := &crowded{Log: w.log, grows: 9}
	require.NoError(t, latepayment.WriteLateRecord(t.Context(), log, v, "corr", now))
	records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	require.Len(t, records, 10)
	require.Equal(t, "evt-1", records[9].CausationID)

	log = &crowded{Log: newWorld(t).log, grows: 1000}
	err = latepayment.WriteLateRecord(t.Context(), log, v, "corr", now)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.Equal(t, 20, log.appends, "but not for ever")
}

// Late events that are recorded at the same time share a round trip, each of them is written once, and an existing one
// keeps none of the others out.
func TestConcurrentLateRecords(t *testing.T) {
	w := newWorld(t)
	record := func(n int) latepayment.LateRecord {
		id := "evt-" + strconv.Itoa(n)
		return latepayment.LateRecord{ID: id, OrderID: "42", EventID: id, Type: "shipment", Status: order.StatusCompleted}
	}
	var all sync.WaitGroup
	for round := range 3 {
		for n := range 200 {
			all.Go(func() {
				assert.NoError(t, latepayment.WriteLateRecord(t.Context(), w.log, record(n*(round+1)), "corr", now))
			})
		}
	}
	all.Wait()
	records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	want := make(map[string]bool)
	for round := range 3 {
		for n := range 200 {
			want[record(n*(round+1)).ID] = true
		}
	}
	require.Len(t, records, len(want))
	for _, r := range records {
		require.True(t, want[r.CausationID])
	}
}

// The slot that another event has taken may stand before the head from which an append begins.
func TestLateRecordFindsTakenSlot(t *testing.T) {
	log := memlog.New()
	first := latepayment.LateRecord{ID: "k-1", Identity: "i-1", OrderID: "42", EventID: "7", Type: event.ShipmentDispatched, Status: order.StatusFailed}
	require.NoError(t, latepayment.WriteLateRecord(t.Context(), log, first, "corr", now))
	for i := range 3 {
		other := latepayment.LateRecord{ID: "k-other" + string(rune('a'+i)), Identity: "i-other", OrderID: "42", EventID: "8", Type: event.PaymentFailed, Status: order.StatusFailed}
		require.NoError(t, latepayment.WriteLateRecord(t.Context(), log, other, "corr", now))
	}
	second := first
	second.Identity, second.Type = "i-2", event.ShipmentDelivered
	for range 2 {
		require.NoError(t, latepayment.WriteLateRecord(t.Context(), log, second, "corr", now))
		require.NoError(t, latepayment.WriteLateRecord(t.Context(), log, first, "corr", now))
	}
	records, err := log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	require.Len(t, records, 5)
	require.Equal(t, "i-2", records[4].Key)
}
