package e2e

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/sdk/v1"

	"github.com/ordersaga/ordersaga/test/harness"
	"github.com/ordersaga/ordersaga/test/tour"
)

var discard = slog.New(slog.DiscardHandler)

var completed = []string{
	"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured",
	"inventory.committed", "order.completed",
}

// TestTour runs an order of every path: every cause leads to its status and reason, over REST and by event, and stock, money and events of the
// raw documents add up. It runs once with the default settings, and once without the workflow cache, so that every task replays its history.
func TestTour(t *testing.T) {
	for name, cache := range map[string]string{"as it is": "2000", "replayed at every task": "0"} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			t.Setenv("MONGODB_DATABASE", s.database)
			t.Setenv("WORKER_CACHE", cache)
			var out bytes.Buffer
			err := tour.Run(s.ctx, binary, &out, "")
			if err != nil || testing.Verbose() {
				t.Log(out.String())
			}
			require.NoError(t, err)
			s.audit()
		})
	}
}

func TestRESTAndEvent(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(10)
	byREST := s.place(harness.NewOrder(sku, 2, "tok_visa"))
	require.Equal(t, "completed", byREST.Status)
	require.Equal(t, int64(7), byREST.Version)
	require.Contains(t, byREST.Links["saga"], "/namespaces/default/workflows/order-"+byREST.ID)

	o := harness.NewOrder(sku, 3, "tok_visa")
	o.ID = "by-event-" + sku
	eventID, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, o.ID, "completed")
	require.NoError(t, err)

	report := s.audit()
	for _, id := range []string{byREST.ID, o.ID} {
		require.Equal(t, completed, report.Timeline(id))
		s.published(report, id)
	}
	require.Equal(t, eventID, report.Streams["order-"+o.ID][0].CausationID)
	require.Equal(t, int64(5), report.OnHand[sku])
	require.Zero(t, report.Reserved[sku])
	stock, err := s.client.Stock(s.ctx, sku)
	require.NoError(t, err)
	require.Equal(t, int64(5), stock.OnHand, "the API agrees with the documents")

	then, err := s.client.Do(s.ctx, "GET", "/v1/orders/"+byREST.ID+"?at="+byREST.CreatedAt.Format(time.RFC3339Nano), nil)
	require.NoError(t, err)
	var past harness.Resource
	require.NoError(t, then.Into(200, &past))
	require.Equal(t, "accepted", past.Status, "as it stood when it was created")
}

// TestGatewayOutage: a gateway that is down for a while delays an order; it does not fail it.
func TestGatewayOutage(t *testing.T) {
	s := newStack(t)
	s.start("SIMULATOR_OUTAGE=3s")
	o := s.place(harness.NewOrder(s.sku(5), 1, "tok_unavailable"))
	require.Equal(t, "completed", o.Status)
	s.audit()
}

// TestTheWebUIHasWhatItNeeds: search attributes, summaries and the details of a waiting saga.
func TestTheWebUIHasWhatItNeeds(t *testing.T) {
	s := newStack(t)
	s.start()
	o := harness.NewOrder(s.sku(5), 1, "tok_visa")
	o.Fulfillment = "shipment"
	placed, err := s.client.Place(s.ctx, o, 0)
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, placed.ID, "awaiting_shipment")
	require.NoError(t, err)
	id := "order-" + placed.ID
	described, err := s.temporal.DescribeWorkflowExecution(s.ctx, id, "")
	require.NoError(t, err)
	fields := described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()
	require.Contains(t, string(fields["CustomerId"].GetData()), "c-1")
	require.Contains(t, fields, "OrderStatus")
	require.Contains(t, string(described.GetExecutionConfig().GetUserMetadata().GetSummary().GetData()), "1 × ")
	answer, err := s.temporal.QueryWorkflow(s.ctx, id, "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdk.WorkflowMetadata
	require.NoError(t, answer.Get(&metadata))
	require.Contains(t, metadata.GetCurrentDetails(), "awaiting_shipment")
	require.Contains(t, metadata.GetCurrentDetails(), "capture: to do")
	response, err := s.client.Cancel(s.ctx, placed.ID, "done looking")
	require.NoError(t, err)
	require.NoError(t, response.Into(200, nil))
	_, err = s.client.AwaitStatus(s.ctx, placed.ID, "cancelled")
	require.NoError(t, err)
	s.audit()
}

// TestWaitsForItsDependencies: a service that starts before its servers logs what it waits for, and becomes ready later.
func TestWaitsForItsDependencies(t *testing.T) {
	s := newStack(t)
	s.devstack("stop", "rabbitmq")
	restore := func() { s.devstack("start", "rabbitmq") }
	started := false
	t.Cleanup(func() {
		if !started {
			restore()
		}
	})
	service, err := harness.Start(s.ctx, harness.Options{
		Binary: binary, NoWait: true, Env: []string{"MONGODB_DATABASE=" + s.database, "LOG_FORMAT=text", "RECONCILE_EVERY=0"},
	})
	require.NoError(t, err)
	t.Cleanup(service.Kill)
	require.Eventually(t, func() bool {
		return strings.Contains(service.Log(), "waiting for dependency") && strings.Contains(service.Log(), "dependency=rabbitmq")
	}, patience, 20*time.Millisecond, "it logs what it waits for")
	require.Error(t, service.Ready(s.ctx))
	restore()
	started = true
	require.Eventually(t, func() bool { return service.Ready(s.ctx) == nil }, patience, 50*time.Millisecond)
	require.NoError(t, service.Stop(patience))
}

// TestConfigReportsAllProblems: all problems are reported at once, each with its variable.
func TestConfigReportsAllProblems(t *testing.T) {
	out, err := command(t, append(os.Environ(), "HTTP_ADDR=0.0.0.0:80", "PAYMENT_GATEWAY=", "SHIPMENT_DEADLINE=soon"), "config")
	require.Error(t, err)
	require.Contains(t, out, "SHIPMENT_DEADLINE")
	require.Contains(t, out, "PAYMENT_GATEWAY")
}
