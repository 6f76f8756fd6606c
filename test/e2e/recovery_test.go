package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ordersaga/ordersaga/test/harness"
)

// forget deletes an order's workflow from Temporal, as retention does. The server deletes asynchronously, and may postpone that while tasks of
// the workflow are pending: the request is repeated until the workflow is deleted.
func (s *stack) forget(orderID string) {
	s.t.Helper()
	id := "order-" + orderID
	require.NoError(s.t, s.temporal.GetWorkflow(s.ctx, id, "").Get(s.ctx, nil), "the workflow closes")
	var asked time.Time
	require.Eventually(s.t, func() bool {
		var gone *serviceerror.NotFound
		if _, err := s.temporal.DescribeWorkflowExecution(s.ctx, id, ""); isA(err, &gone) {
			return true
		}
		if time.Since(asked) > 3*time.Second {
			asked = time.Now()
			_, err := s.temporal.WorkflowService().DeleteWorkflowExecution(s.ctx, &workflowservice.DeleteWorkflowExecutionRequest{
				Namespace: s.namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: id},
			})
			return isA(err, &gone)
		}
		return false
	}, patience, 50*time.Millisecond, "the workflow is deleted")
}

// TestAnOrderSentAgainAfterItsWorkflowIsGone: a repeated order changes nothing, over REST and by event; other content is refused, which only the
// log can decide.
func TestAnOrderSentAgainAfterItsWorkflowIsGone(t *testing.T) {
	s := newStack(t)
	s.start()
	sku, key := s.sku(10), uuid.NewString()
	o := harness.NewOrder(sku, 1, "tok_visa")
	first, err := s.client.Place(s.ctx, o, longestWait, "Idempotency-Key", key)
	require.NoError(t, err)
	byEvent := o
	byEvent.ID = "gone-" + sku
	_, err = s.bus.Publish(s.ctx, "order.created", byEvent.ID, byEvent)
	require.NoError(t, err)
	_, err = s.client.AwaitEnd(s.ctx, byEvent.ID)
	require.NoError(t, err)
	before := s.audit()
	s.published(before, first.ID)
	s.published(before, byEvent.ID)
	s.forget(first.ID)
	s.forget(byEvent.ID)

	again, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", o, "Idempotency-Key", key, "Prefer", "wait=10")
	require.NoError(t, err)
	var resource harness.Resource
	require.NoError(t, again.Into(http.StatusCreated, &resource))
	require.Equal(t, first.ID, resource.ID)
	require.Equal(t, "completed", resource.Status)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	_, err = s.bus.Publish(s.ctx, "order.created", byEvent.ID, byEvent)
	require.NoError(t, err)
	changed := byEvent
	changed.Currency = "USD"
	id, err := s.bus.Publish(s.ctx, "order.created", byEvent.ID, changed)
	require.NoError(t, err)
	dead, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == id })
	require.NoError(t, err)
	require.Equal(t, "conflict", dead.Reason)

	after := s.audit()
	delete(after.Streams, "dead-"+dead.ID)
	require.Equal(t, before.Streams, after.Streams, "the only new documents are the decisions about the dead letter")
	_, err = s.temporal.DescribeWorkflowExecution(s.ctx, "order-"+byEvent.ID, "")
	require.Error(t, err, "no workflow was started for it")
}

// TestATerminatedOrderIsFinishedByANewRun: the workflow of an open order is terminated; the next request or event about the order starts a run
// that continues from the log.
func TestATerminatedOrderIsFinishedByANewRun(t *testing.T) {
	mentions := map[string]func(s *stack, o harness.Order, key string){
		"sent again over REST": func(s *stack, o harness.Order, key string) {
			_, err := s.client.Place(s.ctx, o, 0, "Idempotency-Key", key)
			require.NoError(s.t, err)
		},
		"a signal over the bus": func(s *stack, o harness.Order, _ string) {
			_, err := s.bus.Publish(s.ctx, "shipment.dispatched", o.ID, map[string]any{"orderId": o.ID, "carrier": "dhl"})
			require.NoError(s.t, err)
		},
		"a cancellation": func(s *stack, o harness.Order, _ string) {
			response, err := s.client.Cancel(s.ctx, o.ID, "enough")
			require.NoError(s.t, err)
			require.NoError(s.t, response.Into(http.StatusOK, nil))
		},
	}
	s := newStack(t)
	s.start()
	sku := s.sku(100)
	for name, mention := range mentions {
		t.Run(name, func(t *testing.T) {
			key := uuid.NewString()
			o := harness.NewOrder(sku, 1, "tok_visa")
			o.Fulfillment = "shipment"
			placed, err := s.client.Place(s.ctx, o, 0, "Idempotency-Key", key)
			require.NoError(t, err)
			_, err = s.client.AwaitStatus(s.ctx, placed.ID, "awaiting_shipment")
			require.NoError(t, err)
			require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "order-"+placed.ID, "", "terminated by the test"))
			known := o
			known.ID = placed.ID
			if name == "sent again over REST" {
				known.ID = ""
			}
			mention(s, known, key)
			if name != "a cancellation" {
				require.Eventually(t, func() bool {
					d, err := s.temporal.DescribeWorkflowExecution(s.ctx, "order-"+placed.ID, "")
					return err == nil && d.GetWorkflowExecutionInfo().GetStatus().String() == "Running"
				}, patience, 50*time.Millisecond, "a new run continues")
				for _, step := range []string{"shipment.dispatched", "shipment.delivered"} {
					_, err = s.bus.Publish(s.ctx, step, placed.ID, map[string]any{"orderId": placed.ID})
					require.NoError(t, err)
				}
			}
			_, err = s.client.AwaitEnd(s.ctx, placed.ID)
			require.NoError(t, err)
		})
	}
	report := s.audit()
	require.Zero(t, report.Reserved[sku])
	for id := range report.Orders {
		s.published(report, id)
	}
}
