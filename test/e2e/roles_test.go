package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// role starts one role as a separate process.
func (s *stack) role(name string) *harness.Service {
	s.t.Helper()
	return s.startRole(harness.Options{Role: name})
}

func (s *stack) startRole(o harness.Options) *harness.Service {
	s.t.Helper()
	o.Binary = binary
	o.Env = append([]string{"MONGODB_DATABASE=" + s.database, "TEMPORAL_NAMESPACE=" + s.namespace, "LOG_FORMAT=json", "RECONCILE_EVERY=0"}, o.Env...)
	service, err := harness.Start(s.ctx, o)
	require.NoError(s.t, err)
	s.t.Cleanup(service.Kill)
	return service
}

// TestRolesApart: each role runs in its own process. Orders that the API accepts without a worker wait for one; a cancellation without a worker
// is answered with 503; an order whose workflow was terminated before its first event is not lost.
func TestRolesApart(t *testing.T) {
	s := newStack(t)
	api := s.role("api")
	s.client = harness.Client{URL: api.URL, Patient: true}
	sku := s.sku(10)

	waiting, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, "tok_visa"), 0)
	require.NoError(t, err)
	seen, err := s.client.Order(s.ctx, waiting.ID)
	require.NoError(t, err)
	require.Equal(t, "accepted", seen.Status)
	require.Zero(t, seen.Version, "nothing is in the log yet")
	refused, err := harness.Client{URL: api.URL}.Cancel(s.ctx, waiting.ID, "no worker runs")
	require.NoError(t, err)
	var problem harness.Problem
	require.NoError(t, refused.Into(http.StatusServiceUnavailable, &problem))
	require.Equal(t, "unavailable", problem.Code)

	careless := harness.NewOrder(sku, 1, "tok_visa")
	careless.Fulfillment = "shipment"
	lost, err := s.client.Place(s.ctx, careless, 0)
	require.NoError(t, err)
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "order-"+lost.ID, "", "terminated by the test"))

	worker := s.role("worker")
	end, err := s.client.AwaitEnd(s.ctx, waiting.ID)
	require.NoError(t, err)
	require.Contains(t, []string{"completed", "cancelled"}, end.Status, "the cancellation may have waited with the order")

	// A client that waits is answered with the end, which comes from another process.
	waited, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, "tok_visa"), longestWait)
	require.NoError(t, err)
	require.Equal(t, "completed", waited.Status)

	consumer := s.role("consumer")
	byEvent := harness.NewOrder(sku, 1, "tok_visa")
	byEvent.ID = "apart-" + sku
	_, err = s.bus.Publish(s.ctx, "order.created", byEvent.ID, byEvent)
	require.NoError(t, err)
	_, err = s.bus.Publish(s.ctx, "order.cancellation_requested", lost.ID, map[string]any{"orderId": lost.ID, "reason": "enough"})
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, byEvent.ID, "completed")
	require.NoError(t, err)
	end, err = s.client.AwaitEnd(s.ctx, lost.ID)
	require.NoError(t, err)
	require.Equal(t, "cancelled", end.Status)
	for _, service := range []*harness.Service{api, consumer, worker} {
		require.NoError(t, service.Stop(patience))
	}
	report := s.audit()
	require.Len(t, report.Orders, 4)
	require.Zero(t, report.Reserved[sku])
}
