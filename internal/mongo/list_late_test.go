package mongo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// cameLate has goods leave when an order had ended, and somebody be asked.
func cameLate(t *testing.T, log *memlog.Log, id string, asked bool) latepayment.State {
	t.Helper()
	v := latepayment.Verdict{ID: "evt-1", OrderID: id, EventID: "evt-1", Type: event.ShipmentLost, Status: order.StatusCancelled}
	s := goOn(t, log, latepayment.State{OrderID: id}, v.Entry("corr", start))
	if asked {
		s = goOn(t, log, s, latepayment.Flow.Decide(s, saga.Facts{}, start.Add(time.Minute), nil).Entry)
	}
	return s
}

// openLate opens a store of what came late.
func openLate(t *testing.T) *List {
	t.Helper()
	s := NewLate(connect(t))
	require.NoError(t, Setup(t.Context(), s.Indexes()))
	return s
}

func goOn(t *testing.T, log *memlog.Log, s latepayment.State, e event.Entry) latepayment.State {
	t.Helper()
	_, tail, err := log.Append(t.Context(), event.LateStream(s.OrderID), s.Head, []event.Entry{e})
	require.NoError(t, err)
	s, err = s.Fold(tail)
	require.NoError(t, err)
	return s
}

func TestLateEventsAreListedWhileAttentionIsOpen(t *testing.T) {
	s, log := openLate(t), memlog.New()
	asked := cameLate(t, log, "o-1", true)
	require.NoError(t, s.Put(t.Context(), readmodel.FromLate(asked)))
	desk := readmodel.Filter{Statuses: []order.Status{order.StatusNeedsAttention}}
	items, _, err := s.List(t.Context(), desk)
	require.NoError(t, err)
	require.Equal(t, []readmodel.Order{readmodel.FromLate(asked)}, withoutLines(items))
	require.Equal(t, order.StatusCancelled, items[0].EndedAs)
	require.Equal(t, []order.ResolutionAction{order.Skip, order.Substitute}, items[0].Attention.Actions)

	d := order.Resolution{ID: "d-1", Action: order.Skip, Note: "gone"}
	done := goOn(t, log, asked, latepayment.Flow.Decide(asked, saga.Facts{Resolutions: []order.Resolution{d}}, start, nil).Entry)
	done = goOn(t, log, done, latepayment.Flow.Decide(done, saga.Facts{}, start, nil).Entry)
	require.NoError(t, s.Put(t.Context(), readmodel.FromLate(done)))
	require.NoError(t, s.Put(t.Context(), readmodel.FromLate(asked)), "an older one changes nothing")
	items, _, err = s.List(t.Context(), desk)
	require.NoError(t, err)
	require.Empty(t, items)
	stored, found, err := s.Get(t.Context(), "o-1")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, order.StatusCancelled, stored.Status)
	require.Equal(t, done.Head.Version, stored.Version)
}

// withoutLines makes lists of no lines the same.
func withoutLines(items []readmodel.Order) []readmodel.Order {
	for i := range items {
		items[i].Lines = nil
	}
	return items
}

func TestRebuildWithLateEvents(t *testing.T) {
	s, log := openLate(t), memlog.New()
	asked := cameLate(t, log, "o-1", true)
	cameLate(t, log, "o-2", false)
	accepted(t, log, 7)
	require.NoError(t, s.Put(t.Context(), readmodel.FromLate(latepayment.State{OrderID: "o-9", Saga: saga.Saga{Head: event.Head{Version: 3}}})))
	rebuilt, err := readmodel.Late.Rebuild(t.Context(), s, log, nil)
	require.NoError(t, err)
	require.Equal(t, readmodel.Rebuilt{Streams: 2, Written: 1, Removed: 1}, rebuilt)
	items, _, err := s.List(t.Context(), readmodel.Filter{})
	require.NoError(t, err)
	require.Equal(t, []readmodel.Order{readmodel.FromLate(asked)}, withoutLines(items))
}
