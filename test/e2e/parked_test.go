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

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/test/harness"
)

// parked is how many sagas wait in TestParkedSagas; ten thousand when there is time.
func parked() int {
	if os.Getenv("ORDERSAGA_LONG") != "" {
		return 10_000
	}
	return 300
}

// TestParkedSagas parks many sagas: most wait for their warehouse, every tenth is stuck in an undo. New orders go through
// beside them, the process stays small, and after a restart each of them goes on.
func TestParkedSagas(t *testing.T) {
	s := newStack(t)
	s.start("ATTENTION_AFTER=1s", "LOG_LEVEL=error")
	sku, n := s.sku(1_000_000), parked()
	began := time.Now()
	var mu sync.Mutex
	var waiting, stuck []string
	group, ctx := errgroup.WithContext(s.ctx)
	group.SetLimit(32)
	for i := range n {
		group.Go(func() error {
			o := harness.NewOrder(sku, 1, "tok_visa")
			o.Fulfillment = "shipment"
			if i%10 == 0 {
				o.Payment.Method = "tok_void_stuck"
			}
			placed, err := s.client.Place(ctx, o, 0)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if i%10 == 0 {
				stuck = append(stuck, placed.ID)
			} else {
				waiting = append(waiting, placed.ID)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for _, id := range stuck {
		s.awaitStatus(id, "awaiting_shipment")
		response, err := s.client.Cancel(s.ctx, id, "changed my mind")
		require.NoError(t, err)
		require.NoError(t, response.Into(http.StatusOK, nil))
	}
	for _, id := range stuck {
		s.awaitStatus(id, "needs_attention")
	}
	s.awaitStatus(waiting[len(waiting)-1], "awaiting_shipment")
	t.Logf("%d sagas parked in %s, %d of them stuck; the service holds %d MiB", n, time.Since(began).Round(time.Second), len(stuck), s.resident())

	began = time.Now()
	require.Equal(t, "completed", s.place(harness.NewOrder(sku, 1, "tok_visa")).Status)
	t.Logf("a new order took %s", time.Since(began).Round(time.Millisecond))

	s.service.Kill()
	s.start("LOG_LEVEL=error")
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
