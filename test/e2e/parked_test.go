package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/test/harness"
)

// parkedLong is how many sagas wait with ORDERSAGA_LONG.
const parkedLong = 10_000

// parked is how many sagas wait in TestParkedSagas.
func parked() int {
	if os.Getenv("ORDERSAGA_LONG") != "" {
		return parkedLong
	}
	return 300
}

// stages are the numbers of parked sagas at which the memory is measured; the last one is all of them.
func stages(n int) []int { return []int{n / 10, n / 2, n} }

// mostGrowth is how much a process may grow, in MiB, while the second half of the sagas is placed: WORKER_CACHE bounds the sagas in memory. A
// few sagas all stay in memory, and the race detector multiplies it.
const mostGrowth = 64

// TestParkedSagas parks many sagas: most wait for their warehouse, every tenth has a stuck compensation. New orders complete meanwhile, the
// memory of the process is bounded, and after a restart each saga continues.
func TestParkedSagas(t *testing.T) {
	s := newStack(t)
	s.start(earlyAttention, "LOG_LEVEL=error")
	n := parked()
	// FerretDB 1 reads a whole stream to find a key in it: the orders are spread over several SKUs.
	var skus []string
	for range max(n/100, 1) {
		skus = append(skus, s.sku(1_000_000))
	}
	require.Equal(t, "completed", s.place(harness.NewOrder(skus[0], 1, "tok_visa")).Status)
	began := time.Now()
	var waiting, stuck []string
	sizes := []int64{s.resident()}
	t.Logf("no saga is parked; the service holds %d MiB", sizes[0])
	for before, upTo := range stages(n) {
		w, x := s.park(skus, upTo-len(waiting)-len(stuck))
		waiting, stuck = append(waiting, w...), append(stuck, x...)
		s.awaitStatus(w[len(w)-1], "awaiting_shipment")
		sizes = append(sizes, s.resident())
		t.Logf("%d sagas wait for shipment after %s; the service holds %d MiB, %.1f KiB a saga since the line above", upTo,
			time.Since(began).Round(time.Second), sizes[before+1], float64(sizes[before+1]-sizes[before])*1024/float64(len(w)+len(x)))
	}
	if n == parkedLong {
		require.LessOrEqual(t, sizes[len(sizes)-1], sizes[len(sizes)-2]+mostGrowth, "MiB with %d and with %d sagas", n, n/2)
	}
	began = time.Now()
	for _, id := range stuck {
		s.awaitStatus(id, "awaiting_shipment")
		s.cancelled(id)
	}
	for _, id := range stuck {
		s.awaitStatus(id, "needs_attention")
	}
	t.Logf("%d of the %d sagas are stuck in their undos, after %s; the service holds %d MiB", len(stuck), n,
		time.Since(began).Round(time.Second), s.resident())

	began = time.Now()
	require.Equal(t, "completed", s.place(harness.NewOrder(skus[0], 1, "tok_visa")).Status)
	t.Logf("a new order took %s", time.Since(began).Round(time.Millisecond))

	s.service.Kill()
	s.start("LOG_LEVEL=error")
	t.Logf("after a restart the service holds %d MiB", s.resident())
	began = time.Now()
	for _, id := range []string{waiting[0], waiting[len(waiting)/2], waiting[len(waiting)-1]} {
		_, err := s.bus.Publish(s.ctx, "shipment.delivered", id, map[string]any{"orderId": id})
		require.NoError(t, err)
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, "completed", end.Status)
	}
	for _, id := range []string{stuck[0], stuck[len(stuck)-1]} {
		response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders/"+id+"/resolutions",
			map[string]any{"action": "substitute", "reference": "voided by hand"})
		require.NoError(t, err)
		require.NoError(t, response.Into(http.StatusOK, nil))
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, "cancelled", end.Status)
	}
	t.Logf("five parked sagas ended in %s after a restart; the service holds %d MiB", time.Since(began).Round(time.Millisecond), s.resident())
}

// park places n orders that wait for their shipment. The compensation of every tenth will be stuck.
func (s *stack) park(skus []string, n int) (waiting, stuck []string) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(32)
	for i := range n {
		group.Go(func() error {
			o := harness.NewOrder(skus[i%len(skus)], 1, "tok_visa")
			o.Fulfillment = "shipment"
			if i%10 == 0 {
				o.Payment.Method = "tok_void_stuck"
			}
			id := s.insist(o, uuid.NewString())
			mu.Lock()
			defer mu.Unlock()
			if i%10 == 0 {
				stuck = append(stuck, id)
			} else {
				waiting = append(waiting, id)
			}
			return nil
		})
	}
	_ = group.Wait()
	require.False(s.t, s.t.Failed(), "not every order was accepted")
	return waiting, stuck
}

// cancelled requests the cancellation of an order until it is answered: with so many sagas that may take time.
func (s *stack) cancelled(id string) {
	for {
		response, err := s.client.Cancel(s.ctx, id, "changed my mind")
		require.NoError(s.t, err)
		if response.Status != http.StatusServiceUnavailable {
			require.NoError(s.t, response.Into(http.StatusOK, nil))
			return
		}
	}
}

// resident is the memory of the service's process, in MiB; 0 where it cannot be read.
func (s *stack) resident() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.service.Pid()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib / 1024
		}
	}
	return 0
}
