package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestADecisionSurvivesItsWorkflowTask: events arrive while a workflow task handles an intervention and closes the run. Temporal fails such a
// task and drops its Updates: the run continues with the intervention nevertheless.
func TestADecisionSurvivesItsWorkflowTask(t *testing.T) {
	s := newStack(t)
	s.start(earlyAttention)
	sku := s.sku(100)
	for {
		placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 2, "tok_capture_stuck"), 0)
		require.NoError(t, err)
		_, err = s.client.AwaitStuck(s.ctx, placed.ID, "capture")
		require.NoError(t, err)
		failed := s.resolveUnderSignals(placed.ID, harness.Decision{Action: "compensate", By: "ada", Note: "the customer would not wait", Attention: 1})
		s.ends(placed.ID, "failed", "capture_unavailable")
		s.closes("order-" + placed.ID)
		if failed {
			s.published(s.audit(), placed.ID)
			return
		}
		t.Log("the run closed between two signals")
	}
}

// resolveUnderSignals sends an intervention while the run receives signals that it does not read, until a workflow task has failed because of
// them, or the run has closed. It reports whether a task has failed.
func (s *stack) resolveUnderSignals(orderID string, d harness.Decision) (failed bool) {
	s.t.Helper()
	resolved := make(chan struct{})
	var response harness.Response
	var err error
	go func() {
		defer close(resolved)
		response, err = s.client.Resolve(s.ctx, orderID, d)
	}()
	for open := true; open && !failed; {
		for n := 0; n < 50 && open; n++ {
			open = s.temporal.SignalWorkflow(s.ctx, "order-"+orderID, "", "nothing", nil) == nil
		}
		failed = s.hasEvent("order-"+orderID, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED)
	}
	<-resolved
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, response.Status, string(response.Body))
	return failed
}

// closes waits until a workflow has closed.
func (s *stack) closes(workflowID string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	require.NoError(s.t, s.temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, nil), "%s does not close", workflowID)
}

// hasEvent reports whether the history of a workflow has an event of a type.
func (s *stack) hasEvent(workflowID string, eventType enumspb.EventType) bool {
	for history := s.temporal.GetWorkflowHistory(s.ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); history.HasNext(); {
		e, err := history.Next()
		if err != nil {
			return false
		}
		if e.GetEventType() == eventType {
			return true
		}
	}
	return false
}
