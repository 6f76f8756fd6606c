package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ordersaga/ordersaga/test/harness"
)

// cancels are the ways to cancel an order.
var cancels = map[string]func(s *stack, orderID string){
	"REST": func(s *stack, orderID string) {
		response, err := s.client.Cancel(s.ctx, orderID, "changed my mind")
		require.NoError(s.t, err)
		require.NoError(s.t, response.Into(http.StatusOK, nil))
	},
	"event": func(s *stack, orderID string) {
		_, err := s.bus.Publish(s.ctx, "order.cancellation_requested", orderID, map[string]any{"orderId": orderID, "reason": "changed my mind"})
		require.NoError(s.t, err)
	},
	"the Web UI's button": func(s *stack, orderID string) {
		require.NoError(s.t, s.temporal.CancelWorkflow(s.ctx, "order-"+orderID, ""))
	},
}

// TestCancellationsOfAllSourcesAgree: a cancellation from any source, during any step, leads to the same end with the same events.
func TestCancellationsOfAllSourcesAgree(t *testing.T) {
	s := newStack(t)
	s.start("SIMULATOR_OUTAGE=10m", "AUTHORIZE_DEADLINE=10m")
	sku := s.sku(100)
	for moment, c := range map[string]struct {
		fulfillment, method string
		// reached waits until the saga has reached this state.
		reached  func(orderID string)
		timeline []string
	}{
		"it waits for the warehouse": {"shipment", "tok_visa", func(id string) { s.awaitStatus(id, "awaiting_shipment") }, []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.compensating",
			"order.fulfillment_withdrawn", "payment.voided", "inventory.released", "order.cancelled",
		}},
		"it waits for the payer": {"immediate", "tok_pending", func(id string) { s.awaitStatus(id, "awaiting_payment") }, []string{
			"order.accepted", "inventory.reserved", "payment.pending", "order.compensating", "payment.voided", "inventory.released", "order.cancelled",
		}},
		"a step is being retried": {"immediate", "tok_unavailable", s.awaitRetries, []string{
			"order.accepted", "inventory.reserved", "order.compensating", "payment.voided", "inventory.released", "order.cancelled",
		}},
	} {
		for way, cancel := range cancels {
			t.Run(moment+", "+way, func(t *testing.T) {
				o := harness.NewOrder(sku, 1, c.method)
				o.Fulfillment = c.fulfillment
				placed, err := s.client.Place(s.ctx, o, 0)
				require.NoError(t, err)
				c.reached(placed.ID)
				cancel(s, placed.ID)
				end, err := s.client.AwaitEnd(s.ctx, placed.ID)
				require.NoError(t, err)
				require.Equal(t, "cancelled", end.Status)
				require.Equal(t, "requested", end.Reason)
				require.Equal(t, c.timeline, s.audit().Timeline(placed.ID))
			})
		}
	}
}

// awaitStatus waits until an order has a status.
func (s *stack) awaitStatus(orderID, status string) {
	s.t.Helper()
	_, err := s.client.AwaitStatus(s.ctx, orderID, status)
	require.NoError(s.t, err)
}

// awaitRetries waits until the regular activity that authorizes the order's payment has been attempted twice. The run may have other regular
// activities: one publishes what the broker did not confirm at once.
func (s *stack) awaitRetries(orderID string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		d, err := s.temporal.DescribeWorkflowExecution(s.ctx, "order-"+orderID, "")
		return err == nil && slices.ContainsFunc(d.GetPendingActivities(), func(a *workflow.PendingActivityInfo) bool {
			return a.GetActivityType().GetName() == "payment.Authorize" && a.GetAttempt() > 1
		})
	}, patience, 20*time.Millisecond, "the call of the gateway is retried")
}

// TestAResetOrderGoesOnFromTheLog: a waiting order and an ended order are reset to each point of their histories. No step that the log has is
// repeated.
func TestAResetOrderGoesOnFromTheLog(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(10)
	o := harness.NewOrder(sku, 2, "tok_visa")
	o.Fulfillment = "shipment"
	placed, err := s.client.Place(s.ctx, o, 0)
	require.NoError(t, err)
	s.awaitStatus(placed.ID, "awaiting_shipment")
	s.resetEverywhere(placed.ID)
	_, err = s.bus.Publish(s.ctx, "shipment.dispatched", placed.ID, map[string]any{"orderId": placed.ID})
	require.NoError(t, err)
	s.awaitStatus(placed.ID, "shipped")
	s.resetEverywhere(placed.ID)
	_, err = s.bus.Publish(s.ctx, "shipment.delivered", placed.ID, map[string]any{"orderId": placed.ID})
	require.NoError(t, err)
	_, err = s.client.AwaitEnd(s.ctx, placed.ID)
	require.NoError(t, err)
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, "order-"+placed.ID, "").Get(s.ctx, nil))
	before := s.audit()
	require.Equal(t, []string{
		"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.shipped", "order.settling",
		"payment.captured", "inventory.committed", "order.delivered", "order.completed",
	}, before.Timeline(placed.ID))
	s.published(before, placed.ID)

	s.resetEverywhere(placed.ID)
	require.NoError(t, s.temporal.GetWorkflow(s.ctx, "order-"+placed.ID, "").Get(s.ctx, nil))
	require.Equal(t, before.Streams, s.audit().Streams, "not one document more")
	s.published(before, placed.ID)
}

// resetEverywhere resets an order's workflow to every point of its newest run's history that it can be reset to, one
// after the other.
func (s *stack) resetEverywhere(orderID string) {
	s.t.Helper()
	id := "order-" + orderID
	described, err := s.temporal.DescribeWorkflowExecution(s.ctx, id, "")
	require.NoError(s.t, err)
	run := described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	var points []int64
	// The log may be ahead of the history, which has the effects of a task when the task completes.
	require.Eventually(s.t, func() bool {
		points = s.completedTasks(id, run)
		return len(points) > 0
	}, patience, 20*time.Millisecond)
	for _, point := range points {
		_, err := s.temporal.ResetWorkflowExecution(s.ctx, &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: "default", WorkflowExecution: &common.WorkflowExecution{WorkflowId: id, RunId: run},
			Reason: "as the Web UI does", WorkflowTaskFinishEventId: point, RequestId: uuid.NewString(),
		})
		require.NoError(s.t, err, "reset to event %d of %v", point, points)
	}
	s.t.Logf("reset to events %v", points)
}

// completedTasks are the events of a run's history that it can be reset to.
func (s *stack) completedTasks(id, run string) (events []int64) {
	history := s.temporal.GetWorkflowHistory(s.ctx, id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		e, err := history.Next()
		require.NoError(s.t, err)
		if e.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			events = append(events, e.GetEventId())
		}
	}
	return events
}

// TestSignalsOfATerminatedRunAreKept: a cancellation is acknowledged while no worker runs, and the workflow is terminated before a worker has
// seen it. The event is not sent again.
func TestSignalsOfATerminatedRunAreKept(t *testing.T) {
	s := newStack(t)
	s.start()
	o := harness.NewOrder(s.sku(5), 2, "tok_visa")
	o.Fulfillment, o.ID = "shipment", "told-"+uuid.NewString()
	_, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	s.awaitStatus(o.ID, "awaiting_shipment")
	s.service.Kill()

	consumer := s.role("consumer")
	_, err = s.bus.Publish(s.ctx, "order.cancellation_requested", o.ID, map[string]any{"orderId": o.ID, "reason": "changed my mind"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.signalled("order-" + o.ID) }, patience, 20*time.Millisecond)
	require.NoError(t, consumer.Stop(patience))
	require.NoError(t, s.temporal.TerminateWorkflow(s.ctx, "order-"+o.ID, "", "as the Web UI does"))

	s.start()
	_, err = s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	end, err := s.client.AwaitEnd(s.ctx, o.ID)
	require.NoError(t, err)
	require.Equal(t, "cancelled", end.Status)
	s.published(s.audit(), o.ID)
}

// signalled reports whether a workflow has received a signal.
func (s *stack) signalled(id string) bool {
	return s.hasEvent(id, enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
}
