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

// TestRacingRefundsWithAKill: eight clients request refunds of 300 of a captured 1,000, and the service is killed in the middle. Clients send their
// requests again, with their keys. Exactly three are refunded.
func TestRacingRefundsWithAKill(t *testing.T) {
	s := newStack(t)
	t.Setenv("TEMPORAL_NAMESPACE", s.registerNamespace()) // reconcile looks at every saga of a namespace
	s.start()
	// The gateway does not say at once that it has refunded.
	id := s.insist(harness.NewOrder(s.sku(10), 1, "tok_refund_late"), "refunded-order")
	_, err := s.client.AwaitEnd(s.ctx, id)
	require.NoError(t, err)

	var all sync.WaitGroup
	answered := make(chan struct{}, 8)
	statuses := make([]int, 8)
	for i := range statuses {
		all.Go(func() {
			for s.ctx.Err() == nil {
				client, changed := s.current()
				response, err := client.Do(s.ctx, http.MethodPost, "/v1/orders/"+id+"/refunds", map[string]any{"amount": 300}, "Idempotency-Key", fmt.Sprint("client-", i))
				if err == nil {
					statuses[i] = response.Status
					answered <- struct{}{}
					return
				}
				select {
				case <-changed:
				case <-s.ctx.Done():
				}
			}
		})
	}
	<-answered
	s.service.Kill()
	s.start()
	all.Wait()
	accepted := 0
	for i, status := range statuses {
		assert.Contains(t, []int{http.StatusAccepted, http.StatusConflict}, status, "client %d", i)
		if status == http.StatusAccepted {
			accepted++
		}
	}
	require.GreaterOrEqual(t, accepted, 3)

	var list struct {
		Items []struct{ ID, Status string }
	}
	for {
		response, err := s.client.Do(s.ctx, http.MethodGet, "/v1/orders/"+id+"/refunds", nil)
		require.NoError(t, err)
		require.NoError(t, response.Into(http.StatusOK, &list))
		refunded := 0
		for _, r := range list.Items {
			if r.Status == "refunded" {
				refunded++
			}
		}
		if refunded == 3 {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.ctx.Done():
			require.FailNow(t, "the refunds have not ended", "%+v", list)
		}
	}
	require.Len(t, list.Items, 3)
	found, _ := s.reconcile()
	require.Empty(t, found)
	report := s.audit()
	require.Equal(t, int64(900), report.Refunded[id])
	require.Equal(t, int64(100), report.Net[id])
}
