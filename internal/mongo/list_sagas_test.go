package mongo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/testflow"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// entryOfSaga is an entry of the list of sagas.
func entryOfSaga(flow, stream string, n int, status saga.Status) readmodel.Order {
	at := start.Add(time.Duration(n) * time.Second)
	return readmodel.FromView(saga.View{Flow: flow, Status: status, Version: 2, CreatedAt: at, UpdatedAt: at, CorrelationID: "corr"}, stream)
}

func TestSagasAreListed(t *testing.T) {
	db := connect(t)
	s := NewSagas(db)
	long := strings.Repeat("x", 64)
	var all []readmodel.Order
	for i := range 12 {
		status := []saga.Status{saga.Accepted, "authorized", saga.NeedsAttention, saga.Completed}[i%4]
		flow := []string{"top-up", "gift"}[i%2]
		e := entryOfSaga(flow, fmt.Sprintf("%s.%s-%s%02d", flow, long, long, i), i/3, status) // three of a second: names decide
		require.NoError(t, s.Put(t.Context(), e))
		all = append(all, e)
	}
	// The newest first, of one moment by name.
	slices.SortFunc(all, func(a, b readmodel.Order) int {
		return cursor.Compare(cursor.Position{Millis: a.CreatedAt.UnixMilli(), ID: a.ID}, cursor.Position{Millis: b.CreatedAt.UnixMilli(), ID: b.ID})
	})
	keep := func(f func(o readmodel.Order) bool) []readmodel.Order {
		return slices.DeleteFunc(slices.Clone(all), func(o readmodel.Order) bool { return !f(o) })
	}
	for name, c := range map[string]struct {
		filter readmodel.Filter
		want   []readmodel.Order
	}{
		"all":            {readmodel.Filter{}, all},
		"one flow":       {readmodel.Filter{Flow: "gift"}, keep(func(o readmodel.Order) bool { return o.Flow == "gift" })},
		"another":        {readmodel.Filter{Flow: "none"}, []readmodel.Order{}},
		"its own status": {readmodel.Filter{Statuses: []order.Status{"authorized"}}, keep(func(o readmodel.Order) bool { return o.Status == "authorized" })},
		"two of them": {readmodel.Filter{Flow: "top-up", Statuses: []order.Status{saga.Accepted, saga.NeedsAttention}}, keep(func(o readmodel.Order) bool {
			return o.Flow == "top-up"
		})},
		"calm": {readmodel.Filter{WithoutAttention: true}, keep(func(o readmodel.Order) bool { return o.Status != saga.NeedsAttention })},
		"calm, of some statuses": {readmodel.Filter{WithoutAttention: true, Statuses: []order.Status{saga.Accepted, saga.NeedsAttention}}, keep(func(o readmodel.Order) bool {
			return o.Status == saga.Accepted
		})},
		"of a time": {readmodel.Filter{CreatedFrom: start.Add(time.Second), CreatedTo: start.Add(2 * time.Second)}, keep(func(o readmodel.Order) bool {
			return o.CreatedAt.Equal(start.Add(time.Second))
		})},
	} {
		for _, limit := range []int{0, 1, 5} {
			t.Run(fmt.Sprint(name, "/", limit), func(t *testing.T) {
				f := c.filter
				f.AnyStatus, f.Limit = true, limit
				got := pages(t, s, f)
				require.Len(t, got, len(c.want))
				for i := range got {
					require.Equal(t, c.want[i].ID, got[i].ID)
					require.Equal(t, c.want[i].Flow, got[i].Flow)
					require.Equal(t, c.want[i].Status, got[i].Status)
				}
			})
		}
	}
	_, next, err := s.List(t.Context(), readmodel.Filter{AnyStatus: true, Limit: 1})
	require.NoError(t, err)
	_, _, err = s.List(t.Context(), readmodel.Filter{Cursor: next})
	require.ErrorIs(t, err, fault.Invalid, "the cursors of one list mean nothing to another")
	_, _, err = s.List(t.Context(), readmodel.Filter{AnyStatus: true, Cursor: cursor.Orders.Format(cursor.Position{Millis: 1, ID: "42"})})
	require.ErrorIs(t, err, fault.Invalid)
}

// A rebuild of the sagas of one flow does not change those of other flows, also if their names have the same prefix.
func TestSagasOfOneFlowAreRebuilt(t *testing.T) {
	s, log := NewSagas(connect(t)), memlog.New()
	var states []testflow.State
	for _, id := range []string{"1", "2"} {
		state, err := testflow.Begin(t.Context(), log, id, testflow.TopUp{CardID: "c", Amount: 5}, start)
		require.NoError(t, err)
		state, err = testflow.Drive(t.Context(), log, state, saga.Facts{}, "", []string{"", "credit"}[len(states)], start)
		require.NoError(t, err)
		states = append(states, state)
	}
	want := func(i int) readmodel.Order {
		return readmodel.FromView(testflow.Flow.ViewOf(&states[i]), testflow.Flow.StreamOf(states[i].ID))
	}
	others := []readmodel.Order{entryOfSaga("cards", "cards-1", 1, saga.Completed), entryOfSaga("other", "card.x-1", 1, saga.Completed), entryOfSaga("a", "a-1", 1, "odd")}
	for _, o := range others {
		require.NoError(t, s.Put(t.Context(), o))
	}
	require.NoError(t, s.Put(t.Context(), entryOfSaga("top-up", "card-ghost", 1, saga.Completed)))
	older := want(0)
	older.Version, older.Status = 1, saga.Accepted
	require.NoError(t, s.Put(t.Context(), older))

	rebuilt, err := readmodel.Of(testflow.Flow).Rebuild(t.Context(), s, log, nil)
	require.NoError(t, err)
	require.Equal(t, readmodel.Rebuilt{Streams: 2, Written: 2, Removed: 1}, rebuilt)
	for i := range states {
		requireStored(t, s, want(i))
	}
	require.Equal(t, saga.NeedsAttention, want(1).Status)
	require.NotNil(t, want(1).Attention)
	for _, o := range others {
		_, found, err := s.Get(t.Context(), o.ID)
		require.NoError(t, err)
		require.True(t, found, o.ID)
	}
	require.NoError(t, readmodel.Of(testflow.Flow).RebuildEntry(t.Context(), s, log, "card-ghost"))
	require.NoError(t, readmodel.Of(testflow.Flow).RebuildEntry(t.Context(), s, log, "card-1"))
}
