package workflows_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// timedGateway notes when it is asked to void.
type timedGateway struct {
	*gateway
	now func() time.Time

	mu    sync.Mutex
	voids []time.Time
}

func (g *timedGateway) Void(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	g.mu.Lock()
	g.voids = append(g.voids, g.now())
	g.mu.Unlock()
	return g.gateway.Void(ctx, key, p)
}

// A failing undo is retried with growing pauses, also after attention was raised.
func TestFailedUndoIsNotRetriedInHotLoop(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"void": 40}
	w.env.RegisterDelayedCallback(func() { w.env.CancelWorkflow() }, time.Hour)
	g := &timedGateway{gateway: w.gateway, now: w.env.Now}
	require.NoError(t, w.start(tea(order.Shipment), g, w.bus))
	require.Equal(t, order.StatusCancelled, w.record().Status)
	require.Len(t, g.voids, 41)
	for n := 10; n < len(g.voids); n++ {
		require.GreaterOrEqual(t, g.voids[n].Sub(g.voids[n-10]), 15*time.Second, "ten attempts before attempt %d", n)
	}
}
