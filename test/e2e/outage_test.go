package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestServersAreKilledUnderOrders kills each server while orders run. Every accepted order ends, and all of its events are on the bus.
func TestServersAreKilledUnderOrders(t *testing.T) {
	for _, component := range []string{"mongodb", "temporal", "rabbitmq"} {
		t.Run(component, func(t *testing.T) {
			s := newStack(t)
			keep := testenv.Unique("keep")
			if component == "rabbitmq" {
				require.NoError(t, s.bus.Keep(keep, "#"))
			}
			s.start()
			sku := s.sku(1_000_000)
			burst := s.underway(s.skus(), rand.New(rand.NewPCG(11, 11)), inFlight)
			if component == "rabbitmq" {
				// The events of the test are confirmed before the broker is killed.
				burst.placed()
			}
			s.devstack("kill", component)
			s.devstack("start", component)
			if component == "rabbitmq" {
				// The broker has closed the connections of the test.
				s.redial()
				tap, err := s.bus.Drain(keep)
				require.NoError(t, err)
				s.tap = tap
			}
			ids := burst.placed()
			for _, id := range ids {
				_, err := s.client.AwaitEnd(s.ctx, id)
				require.NoError(t, err)
			}
			report := s.audit()
			require.Len(t, report.Orders, len(ids))
			for _, id := range ids {
				s.published(report, id)
			}
			require.Eventually(t, func() bool { return s.service.Ready(s.ctx) == nil }, patience, 50*time.Millisecond)
			require.Equal(t, "completed", s.place(harness.NewOrder(sku, 1, "tok_visa")).Status, "new orders go through")
		})
	}
}

// TestPublishingNeverStopsAnOrder: orders end while the broker is down, and their events are published, in order, when it is up again.
func TestPublishingNeverStopsAnOrder(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(100)
	keep := testenv.Unique("keep")
	require.NoError(t, s.bus.Keep(keep, "#"))
	s.devstack("stop", "rabbitmq")
	var once sync.Once
	restore := func() { once.Do(func() { s.devstack("start", "rabbitmq") }) }
	t.Cleanup(restore)
	end := s.place(harness.NewOrder(sku, 1, "tok_visa"))
	require.Equal(t, "completed", end.Status, "Prefer: wait waits for the order, not for the broker")
	restore()
	s.redial()
	require.Eventually(t, func() bool {
		d, err := s.temporal.DescribeWorkflowExecution(s.ctx, "order-"+end.ID, "")
		return err == nil && d.GetWorkflowExecutionInfo().GetStatus().String() == "Completed"
	}, patience, 50*time.Millisecond, "the run closes once everything is published")
	tap, err := s.bus.Drain(keep)
	require.NoError(t, err)
	s.tap = tap
	s.published(s.audit(), end.ID)
}

// TestSignalsComeEarlyAndLate: an early event waits for its order, an event without an order becomes a dead letter, and a late event is recorded.
func TestSignalsComeEarlyAndLate(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(10)
	early, lost := "early-"+sku, "lost-"+sku
	_, err := s.bus.Publish(s.ctx, "shipment.dispatched", early, map[string]any{"orderId": early, "carrier": "dhl"})
	require.NoError(t, err)
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.ID, o.Fulfillment = early, "shipment"
	_, err = s.bus.Publish(s.ctx, "order.created", early, o)
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, early, "shipped")
	require.NoError(t, err)
	_, err = s.bus.Publish(s.ctx, "shipment.delivered", early, map[string]any{"orderId": early})
	require.NoError(t, err)
	_, err = s.client.AwaitEnd(s.ctx, early)
	require.NoError(t, err)

	lateID, err := s.bus.Publish(s.ctx, "order.cancellation_requested", early, map[string]any{"orderId": early})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.has(fmt.Sprintf("late-%s@%010d", early, 1)) }, patience, 20*time.Millisecond)
	report := s.audit()
	require.Equal(t, lateID, report.Streams["late-"+early][0].CausationID)
	require.Equal(t, "order.completed", report.Orders[early])

	// A second service, with a short SIGNAL_PARK_MAX, makes an event without an order a dead letter soon.
	require.NoError(t, s.service.Stop(patience))
	s.start("SIGNAL_PARK_MAX=1s")
	lostID, err := s.bus.Publish(s.ctx, "shipment.dispatched", lost, map[string]any{"orderId": lost})
	require.NoError(t, err)
	dead, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == lostID })
	require.NoError(t, err)
	require.Equal(t, "order_unknown", dead.Reason)
}

// TestTheReadModelIsRebuilt from the log alone.
func TestTheReadModelIsRebuilt(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(3)
	for range 5 {
		s.place(harness.NewOrder(sku, 1, "tok_visa"))
	}
	list := func(query string) []harness.Resource {
		var page struct {
			Items []harness.Resource `json:"items"`
		}
		response, err := s.client.Do(s.ctx, http.MethodGet, "/v1/orders"+query, nil)
		require.NoError(t, err)
		require.NoError(t, response.Into(http.StatusOK, &page))
		return page.Items
	}
	// The list is updated after the log.
	require.Eventually(t, func() bool {
		return len(list("?status=completed")) == 3 && len(list("?status=rejected")) == 2
	}, patience, 20*time.Millisecond)
	before := list("?limit=500")
	require.Len(t, before, 5)
	require.NoError(t, s.db.Collection("orders").Drop(s.ctx))
	require.Empty(t, list(""))
	out, err := command(t, append(environ(), "MONGODB_DATABASE="+s.database), "rebuild")
	require.NoError(t, err, out)
	require.Contains(t, out, "5 order streams")
	require.Equal(t, before, list("?limit=500"), "the list is unchanged")
}
