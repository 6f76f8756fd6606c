package sagaclient_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	updatepb "go.temporal.io/api/update/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// remembering is a Temporal server with a run of order 42, of which the log may have nothing.
type remembering struct {
	*temporal
	status     enumspb.WorkflowExecutionStatus
	events     []*historypb.HistoryEvent
	terminated []string
}

func (r *remembering) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if err := r.down["describe"]; err != nil {
		return nil, err
	}
	if r.status == enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		return nil, serviceerror.NewNotFound("workflow not found")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: r.status, Execution: &commonpb.WorkflowExecution{WorkflowId: "order-42", RunId: "r-1"},
	}}, nil
}

func (r *remembering) TerminateWorkflow(_ context.Context, id, run, _ string, _ ...any) error {
	if err := r.down["terminate"]; err != nil {
		return err
	}
	r.terminated = append(r.terminated, id+" "+run)
	r.status = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
	return nil
}

func (r *remembering) GetWorkflowHistory(context.Context, string, string, bool, enumspb.HistoryEventFilterType) client.HistoryEventIterator {
	return &history{events: r.events, err: r.down["history"]}
}

// restored is a world whose log was restored from a backup that is older than order 42.
func restored(t *testing.T, status enumspb.WorkflowExecutionStatus, events ...*historypb.HistoryEvent) (*world, *remembering) {
	w := newWorld(t)
	r := &remembering{temporal: w.temporal, status: status}
	in := inputOf(t, tea())
	in.CorrelationID, in.CausationID, in.Resume = "first", "cause", &saga.Resume{Published: 7}
	r.events = append([]*historypb.HistoryEvent{began(t, in)}, events...)
	for i, e := range r.events {
		e.EventId = int64(i + 1)
	}
	w.client = sagaclient.New(sagaclient.Config{Temporal: r, Log: w.log, Logger: slog.New(slog.DiscardHandler)})
	return w, r
}

func completedWith(t *testing.T, result saga.Result) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionCompletedEventAttributes{
		WorkflowExecutionCompletedEventAttributes: &historypb.WorkflowExecutionCompletedEventAttributes{Result: payloads(t, result)},
	}}
}

// asked is an Update and its result, the second and third event of a history.
func asked(t *testing.T, c order.Cancellation, accepted bool) []*historypb.HistoryEvent {
	return []*historypb.HistoryEvent{
		{Attributes: &historypb.HistoryEvent_WorkflowExecutionUpdateAcceptedEventAttributes{
			WorkflowExecutionUpdateAcceptedEventAttributes: &historypb.WorkflowExecutionUpdateAcceptedEventAttributes{
				AcceptedRequest: &updatepb.Request{Input: &updatepb.Input{Name: saga.UpdateCancel, Args: payloads(t, c)}},
			},
		}},
		{Attributes: &historypb.HistoryEvent_WorkflowExecutionUpdateCompletedEventAttributes{
			WorkflowExecutionUpdateCompletedEventAttributes: &historypb.WorkflowExecutionUpdateCompletedEventAttributes{
				AcceptedEventId: 2,
				Outcome:         &updatepb.Outcome{Value: &updatepb.Outcome_Success{Success: payloads(t, saga.CancelAnswer{Accepted: accepted})}},
			},
		}},
	}
}

func TestRerunStartsFromTemporalHistory(t *testing.T) {
	const (
		running    = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		completed  = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
		terminated = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
	)
	cancellation := order.Cancellation{ID: "c-1", Reason: "changed my mind"}
	parcel := order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{Reason: "kept by the warehouse"}}
	success := saga.Result{Status: order.StatusCompleted}
	refused := saga.Result{Status: order.StatusRejected, Reason: order.ReasonOutOfStock}
	for name, c := range map[string]struct {
		status enumspb.WorkflowExecutionStatus
		events []*historypb.HistoryEvent
		// facts are the facts of the new run, by type and JSON.
		facts [][2]string
	}{
		"running": {running, []*historypb.HistoryEvent{signalled(t, order.SignalShipment, parcel)},
			[][2]string{{event.ShipmentDispatched, `"kept by the warehouse"`}}},
		"running, a cancellation was accepted": {running, asked(t, cancellation, true),
			[][2]string{{event.OrderCancellationRequested, `"c-1"`}}},
		"running, a cancellation was refused": {running, asked(t, cancellation, false), nil},
		"terminated": {terminated, append(asked(t, cancellation, true), signalled(t, order.SignalShipment, parcel)),
			[][2]string{{event.ShipmentDispatched, `"kept by the warehouse"`}, {event.OrderCancellationRequested, `"c-1"`}}},
		"completed": {completed, []*historypb.HistoryEvent{
			signalled(t, order.SignalShipment, parcel), signalled(t, saga.SignalCancel, cancellation), completedWith(t, success),
		}, [][2]string{{event.ShipmentDispatched, `"kept by the warehouse"`}}},
		"completed, when stock was missing for a moment": {completed, []*historypb.HistoryEvent{
			signalled(t, order.SignalStockLost, order.StockLost{SKU: "tea"}), completedWith(t, success),
		}, nil},
		"cancelled by a signal": {completed, []*historypb.HistoryEvent{
			signalled(t, saga.SignalCancel, cancellation), completedWith(t, saga.Result{Status: order.StatusCancelled}),
		}, [][2]string{{event.OrderCancellationRequested, `"c-1"`}, {event.OrderCancellationRequested, "cancelled"}}},
		"cancelled by an Update": {completed, append(asked(t, cancellation, true), completedWith(t, saga.Result{Status: order.StatusCancelled})),
			[][2]string{{event.OrderCancellationRequested, `"c-1"`}}},
		"rejected": {completed, []*historypb.HistoryEvent{completedWith(t, refused)},
			[][2]string{{event.OrderCancellationRequested, "rejected (out_of_stock)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := restored(t, c.status, c.events...)
			require.NoError(t, w.client.Rerun(t.Context(), "42"))
			require.Equal(t, c.status == running, len(r.terminated) == 1, "%v", r.terminated)
			require.Len(t, w.temporal.starts, 1)
			require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, w.temporal.starts[0].WorkflowIDReusePolicy)
			in := w.temporal.began(t)
			require.Equal(t, tea(), orderOf(t, in))
			require.Equal(t, "first", in.CorrelationID)
			require.Equal(t, "cause", in.CausationID)
			var got saga.Resume
			if in.Resume != nil {
				got = *in.Resume
			}
			require.Zero(t, got.Published, "everything is published again")
			require.Len(t, got.Missed, len(c.facts))
			for i, want := range c.facts {
				require.Equal(t, want[0], got.Missed[i].Type)
				require.Contains(t, text(t, got.Missed[i]), want[1])
				require.NotEmpty(t, got.Missed[i].ID)
				require.NotEmpty(t, got.Missed[i].Identity)
			}
		})
	}
}

func TestRerunKeepsLoggedOrders(t *testing.T) {
	w, r := restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING)
	w.open(tea())
	require.NoError(t, w.client.Rerun(t.Context(), "42"))
	require.Empty(t, r.terminated)
	require.Empty(t, w.temporal.starts)
	w.log.down = true
	require.ErrorIs(t, w.client.Rerun(t.Context(), "42"), fault.Unavailable)

	// Another run was faster.
	w, _ = restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED)
	w.temporal.down["start"] = serviceerror.NewWorkflowExecutionAlreadyStarted("already", "", "r-2")
	require.NoError(t, w.client.Rerun(t.Context(), "42"))
}

func TestRerunReportsTheReason(t *testing.T) {
	w, _ := restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED)
	require.ErrorIs(t, w.client.Rerun(t.Context(), "42"), fault.OrderUnknown)
	for _, method := range []string{"describe", "terminate", "history", "start"} {
		w, _ := restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING)
		w.temporal.down[method] = errNoWay
		require.ErrorIs(t, w.client.Rerun(t.Context(), "42"), fault.Unavailable, method)
		require.Equal(t, method == "start", len(w.temporal.starts) == 1, method)
	}
	w, _ = restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, completedWith(t, saga.Result{Conflict: true}))
	require.ErrorIs(t, w.client.Rerun(t.Context(), "42"), fault.Conflict)
	require.Empty(t, w.temporal.starts)
}

// A log that was restored may have the beginning of an order whose run has completed.
func TestResumeOfOrderThatEndedBeforeRestore(t *testing.T) {
	parcel := signalled(t, order.SignalShipment, order.ShipmentSignal{Kind: order.ShipmentDispatched})
	cancel := signalled(t, saga.SignalCancel, order.Cancellation{ID: "c-1"})
	for status, want := range map[order.Status][]string{
		order.StatusCompleted: {event.ShipmentDispatched},
		order.StatusCancelled: {event.ShipmentDispatched, event.OrderCancellationRequested, event.OrderCancellationRequested},
		order.StatusFailed:    {event.ShipmentDispatched, event.OrderCancellationRequested, event.OrderCancellationRequested},
	} {
		w, _ := restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, parcel, cancel, completedWith(t, saga.Result{Status: status}))
		w.open(tea())
		_, err := w.client.Resume(t.Context(), "42")
		require.NoError(t, err)
		var types []string
		for _, m := range w.temporal.began(t).Resume.Missed {
			types = append(types, m.Type)
		}
		require.ElementsMatch(t, want, types, status)
	}

	w, _ := restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, parcel, completedWith(t, saga.Result{Conflict: true}))
	w.open(tea())
	_, err := w.client.Resume(t.Context(), "42")
	require.NoError(t, err)
	require.Nil(t, w.temporal.began(t).Resume, "that run was of another order")

	// The log has the end: the run has looked at everything.
	w, _ = restored(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, parcel, completedWith(t, saga.Result{Status: order.StatusRejected}))
	w.rejected(tea())
	require.NoError(t, w.client.Republish(t.Context(), "42"))
	require.Nil(t, w.temporal.began(t).Resume)
}
