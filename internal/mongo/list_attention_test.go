package mongo

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// stuckOrder is an order whose reservation cannot be released.
func stuckOrder(t *testing.T, log *memlog.Log, n int) order.State {
	t.Helper()
	s := accepted(t, log, n)
	facts := order.FactsOf(s.Order.ID, order.Cancellation{ID: "c-1"})
	s = appended(t, log, s, order.Decisions(s, facts, start, order.DefaultTiming())...)
	facts.Stuck = &order.Stuck{Step: order.StepReserve, Undo: true, Error: "no answer", Attempts: 1, NextTry: start.Add(time.Minute)}
	return appended(t, log, s, order.Decisions(s, facts, start, order.DefaultTiming())...)
}

func TestAttentionIsListedAndRebuilt(t *testing.T) {
	s, log := openOrders(t, connect(t)), memlog.New()
	stuck, fine := stuckOrder(t, log, 1), accepted(t, log, 2)
	want := readmodel.FromState(stuck)
	require.Equal(t, &readmodel.Attention{
		AttentionState: order.AttentionState{
			Open: true, Step: order.StepReserve, Undo: true, Count: 1, Error: "no answer", Attempts: 1,
			NextTry: start.Add(time.Minute), Since: start,
		},
		Actions: []order.ResolutionAction{order.Retry, order.Skip, order.Substitute},
	}, want.Attention)
	require.Nil(t, readmodel.FromState(fine).Attention)
	require.NoError(t, s.Put(t.Context(), want))
	require.NoError(t, s.Put(t.Context(), readmodel.FromState(fine)))
	needsAttention := readmodel.Filter{Statuses: []order.Status{order.StatusNeedsAttention}}
	require.Equal(t, []readmodel.Order{want}, pages(t, s, needsAttention))

	// A document that an older version wrote.
	_, err := s.entries.UpdateOne(t.Context(), byID(want.ID), bson.D{{Key: "$unset", Value: bson.D{{Key: "attention", Value: ""}}}})
	require.NoError(t, err)
	require.Nil(t, pages(t, s, needsAttention)[0].Attention)
	_, err = readmodel.Orders.Rebuild(t.Context(), s, log, nil)
	require.NoError(t, err)
	require.Equal(t, []readmodel.Order{want}, pages(t, s, needsAttention))

	facts := order.Facts{Resolutions: []order.Resolution{{ID: "d-1", Action: order.Skip, Note: "counted"}}}
	stuck = appended(t, log, stuck, order.Decisions(stuck, facts, start, order.DefaultTiming())...)
	require.NoError(t, s.Put(t.Context(), readmodel.FromState(stuck)))
	requireStored(t, s, readmodel.FromState(stuck))
	require.Empty(t, pages(t, s, needsAttention))
}

// An attention without a retry has no time of the next attempt.
func TestAttentionFormat(t *testing.T) {
	o := readmodel.FromState(stuckOrder(t, memlog.New(), 1))
	text := func() string {
		raw, err := bson.Marshal(toEntry(o))
		require.NoError(t, err)
		text, err := bson.MarshalExtJSON(bson.Raw(raw).Lookup("attention").Document(), true, false)
		require.NoError(t, err)
		return string(text)
	}
	number := func(n int64) string { return fmt.Sprintf(`{"$numberLong":"%d"}`, n) }
	head := `{"number":` + number(1) + `,"step":"reserve","undo":true,"error":"no answer","attempts":` + number(1)
	tail := `,"since":{"$date":` + number(start.UnixMilli()) + `},"actions":["retry","skip","substitute"]}`
	require.Equal(t, head+`,"nextTry":{"$date":`+number(start.Add(time.Minute).UnixMilli())+`}`+tail, text())
	o.Attention.NextTry = time.Time{}
	require.Equal(t, head+tail, text())
}
