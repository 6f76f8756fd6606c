package shop

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestSeedDeterminesEveryOrder(t *testing.T) {
	b := Basket{Declined: 0.1, Lines: 20}
	orders := b.Orders(1000, 7, "run-rest-1")
	require.Equal(t, orders, b.Orders(1000, 7, "run-rest-1"))
	require.NotEqual(t, orders[0].Lines, b.Orders(1, 8, "run-rest-1")[0].Lines)
	require.NotEqual(t, orders[0].Lines, b.Orders(1, 7, "run-rest-2")[0].Lines)
	declined, ids := 0, map[string]bool{}
	for _, o := range orders {
		ids[o.ID] = true
		skus := map[string]bool{}
		for _, l := range o.Lines {
			skus[l.SKU] = true
		}
		require.Len(t, skus, 20, "each line has a SKU of its own")
		if o.End == Rejected {
			declined++
			require.Equal(t, "tok_declined", o.Payment.Method)
		}
	}
	require.Len(t, ids, 1000)
	require.InDelta(t, 100, declined, 40)
	for _, o := range (Basket{Hot: true, Shipment: true}).Orders(10, 7, "x") {
		require.Equal(t, hot, o.Lines[0].SKU)
		require.Equal(t, "shipment", o.Fulfillment)
		require.Equal(t, Completed, o.End)
	}
	require.Subset(t, SKUs(), []string{orders[0].Lines[0].SKU, hot})
}

// Each process of the service that takes orders has its turn.
func TestShopCompletesOrders(t *testing.T) {
	s := &Shop{clients: []harness.Client{{URL: "a"}, {URL: "b"}, {URL: "c"}}}
	turns := map[string]int{}
	for range 9 {
		turns[s.client().URL]++
	}
	require.Equal(t, map[string]int{"a": 3, "b": 3, "c": 3}, turns)
}

func TestEventMayPrecedeItsWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNews()
		n.tell("early", Completed, "e-1")
		require.NoError(t, n.await(t.Context(), "early", Completed))
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- n.await(t.Context(), "late", Completed) }()
		}
		synctest.Wait()
		n.tell("late", confirmed, "e-2")
		synctest.Wait()
		require.Empty(t, done, "that is not what they wait for")
		n.tell("late", Completed, "e-3")
		require.NoError(t, <-done)
		require.NoError(t, <-done)

		require.ErrorContains(t, n.await(t.Context(), "late", Cancelled), "ended with order.completed")
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, n.await(soon, "never", Completed), context.DeadlineExceeded)
		go func() { done <- n.await(t.Context(), "never", Completed) }()
		synctest.Wait()
		n.end(errBusLost)
		require.ErrorIs(t, <-done, errBusLost)
	})
}

func TestDuplicateEventIsAcceptedAndTwoEndsAreRefused(t *testing.T) {
	n := newNews()
	n.tell("a", Completed, "e-1")
	n.tell("a", Completed, "e-1")
	require.Empty(t, n.doubles())
	n.tell("a", Completed, "e-2")
	require.Contains(t, strings.Join(n.doubles(), ""), "two events of type order.completed")
}

// A POST waits for at most a minute. If the order takes longer, its end is taken from the bus.
func TestOrderMayEndBeforeItsPostReturns(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "wait=60", r.Header.Get("Prefer"))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"id":"o-1","status":"settling"}`)
	}))
	defer server.Close()
	s := &Shop{clients: []harness.Client{{URL: server.URL, HTTP: server.Client()}}, bus: &bus{news: newNews()}, placed: map[string]string{}}
	done := make(chan error, 1)
	go func() {
		_, err := s.ByREST(t.Context(), Basket{}.Orders(1, 7, "x")[0])
		done <- err
	}()
	s.bus.news.tell("o-1", confirmed, "e-1")
	s.bus.news.tell("o-1", Completed, "e-2")
	require.NoError(t, <-done)
	require.Equal(t, map[string]string{"o-1": Completed}, s.Placed())
	_, err := s.ByREST(t.Context(), Basket{Declined: 1}.Orders(1, 7, "x")[0])
	require.ErrorContains(t, err, "ended with order.completed; order.rejected was expected")
}
