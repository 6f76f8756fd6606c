package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestRacingReturnsWithAKill: eight clients return a unit of a line of which two were delivered, and the service is killed in the middle, and once
// more while the warehouse reports the goods. Clients and warehouse repeat themselves, with their keys. Exactly two are refunded and restocked.
func TestRacingReturnsWithAKill(t *testing.T) {
	s := newStack(t)
	t.Setenv("TEMPORAL_NAMESPACE", s.registerNamespace()) // reconcile looks at every saga of a namespace
	s.start()
	sku := s.sku(10)
	id := s.insist(harness.NewOrder(sku, 2, "tok_refund_late"), "returned-order")
	_, err := s.client.AwaitEnd(s.ctx, id)
	require.NoError(t, err)

	// post sends a request until it is answered.
	post := func(path, key string, body any) harness.Response {
		for s.ctx.Err() == nil {
			client, changed := s.current()
			response, err := client.Do(s.ctx, http.MethodPost, "/v1/orders/"+id+"/returns"+path, body, "Idempotency-Key", key)
			if err == nil && response.Status < http.StatusInternalServerError {
				return response
			}
			select {
			case <-changed:
			case <-time.After(time.Second):
			case <-s.ctx.Done():
			}
		}
		return harness.Response{}
	}
	one := map[string]any{"lines": []map[string]any{{"line": 1, "quantity": 1}}}
	var all sync.WaitGroup
	answered := make(chan struct{}, 8)
	statuses := make([]int, 8)
	for i := range statuses {
		all.Go(func() {
			statuses[i] = post("", fmt.Sprint("client-", i), one).Status
			answered <- struct{}{}
		})
	}
	<-answered
	s.service.Kill()
	s.start()
	all.Wait()
	for i, status := range statuses {
		assert.Contains(t, []int{http.StatusAccepted, http.StatusConflict}, status, "client %d", i)
	}

	type returned struct {
		ID, Status     string
		RefundedAmount *int64
	}
	list := func() (items []returned) {
		var page struct{ Items []returned }
		response, err := s.client.Do(s.ctx, http.MethodGet, "/v1/orders/"+id+"/returns", nil)
		require.NoError(t, err)
		require.NoError(t, response.Into(http.StatusOK, &page))
		return page.Items
	}
	items := list()
	require.Len(t, items, 2)
	received := make(chan struct{}, 4)
	for _, item := range items {
		for range 2 {
			all.Go(func() {
				post("/"+item.ID+"/receipts", "receipt-"+item.ID, map[string]any{})
				received <- struct{}{}
			})
		}
	}
	<-received
	s.service.Kill()
	s.start()
	all.Wait()
	for {
		completed := 0
		for _, item := range list() {
			if item.Status == "completed" && item.RefundedAmount != nil && *item.RefundedAmount == 1000 {
				completed++
			}
		}
		if completed == 2 {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.ctx.Done():
			require.FailNow(t, "the returns have not ended", "%+v", list())
		}
	}
	refused := post("", "late", one)
	require.Equal(t, http.StatusConflict, refused.Status)
	found, _ := s.reconcile()
	require.Empty(t, found)
	report := s.audit()
	require.Equal(t, int64(2000), report.Refunded[id])
	require.Equal(t, int64(0), report.Net[id])
	require.Equal(t, int64(10), report.OnHand[sku])
}
