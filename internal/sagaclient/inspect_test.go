package sagaclient_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
)

// described is a server that describes one workflow, and lists some.
type described struct {
	client.Client
	answer *workflowservice.DescribeWorkflowExecutionResponse
	err    error
	// ids are the listed workflows, two a page.
	ids    []string
	listed []string
}

func (d *described) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return d.answer, d.err
}

func (d *described) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	d.listed = append(d.listed, r.GetQuery())
	from, _ := strconv.Atoi(string(r.GetNextPageToken()))
	if from >= len(d.ids) {
		return nil, d.err
	}
	page := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, id := range d.ids[from:min(from+2, len(d.ids))] {
		page.Executions = append(page.Executions, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id}})
	}
	if from+2 < len(d.ids) || d.err != nil {
		page.NextPageToken = []byte(strconv.Itoa(from + 2))
	}
	return page, nil
}

func (d *described) client() *sagaclient.Client {
	return sagaclient.New(sagaclient.Config{Temporal: d})
}

func TestInspectReturnsTheNewestRun(t *testing.T) {
	info := func(s enumspb.WorkflowExecutionStatus) *workflowpb.WorkflowExecutionInfo {
		return &workflowpb.WorkflowExecutionInfo{Status: s, StartTime: timestamppb.New(now)}
	}
	task := &workflowpb.PendingWorkflowTaskInfo{Attempt: 7, ScheduledTime: timestamppb.New(now.Add(time.Hour))}
	again := &workflowpb.PendingWorkflowTaskInfo{Attempt: 1, ScheduledTime: timestamppb.New(now.Add(time.Hour)), OriginalScheduledTime: timestamppb.New(now)}
	running := enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	for name, c := range map[string]struct {
		answer *workflowservice.DescribeWorkflowExecutionResponse
		want   reconcile.Run
	}{
		"running": {
			&workflowservice.DescribeWorkflowExecutionResponse{
				WorkflowExecutionInfo: info(running), PendingActivities: make([]*workflowpb.PendingActivityInfo, 2),
			},
			reconcile.Run{Found: true, Running: true, Status: "running", StartedAt: now, Activities: 2},
		},
		"failing": {
			&workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info(running), PendingWorkflowTask: task},
			reconcile.Run{Found: true, Running: true, Status: "running", StartedAt: now, TaskAttempts: 7, TaskSince: now.Add(time.Hour)},
		},
		"a task that was scheduled again": {
			&workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info(running), PendingWorkflowTask: again},
			reconcile.Run{Found: true, Running: true, Status: "running", StartedAt: now, TaskAttempts: 1, TaskSince: now},
		},
		"completed": {
			&workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info(enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)},
			reconcile.Run{Found: true, Completed: true, Status: "completed", StartedAt: now},
		},
		"terminated": {
			&workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info(enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED)},
			reconcile.Run{Found: true, Status: "terminated", StartedAt: now},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&described{answer: c.answer}).client().Inspect(t.Context(), "42")
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	got, err := (&described{err: serviceerror.NewNotFound("no such workflow")}).client().Inspect(t.Context(), "42")
	require.NoError(t, err)
	require.Equal(t, reconcile.Run{}, got)
	_, err = (&described{err: errNoWay}).client().Inspect(t.Context(), "42")
	require.ErrorIs(t, err, fault.Unavailable)
}

func TestOrdersListsOrdersOnly(t *testing.T) {
	d := &described{ids: []string{"order-1", "ordersaga-reconcile", "order-2", "order-" + strings.Repeat("x", 201), "order-3"}}
	var ids []string
	for id, err := range d.client().All(t.Context(), time.Time{}) {
		require.NoError(t, err)
		ids = append(ids, id)
	}
	require.Equal(t, []string{"1", "2", "3"}, ids)
	require.Len(t, d.listed, 3, "page by page")
	require.Contains(t, d.listed[0], "WorkflowType = 'OrderSaga'")
	require.Contains(t, d.listed[0], "OR (ExecutionStatus = 'Completed'))")
	for _, err := range d.client().All(t.Context(), now) {
		require.NoError(t, err)
	}
	require.Contains(t, d.listed[3], "OR (ExecutionStatus = 'Completed' AND CloseTime >= '2026-01-02T03:04:05Z'))")

	for id, err := range d.client().All(t.Context(), time.Time{}) {
		require.NoError(t, err)
		require.Equal(t, "1", id)
		break
	}
	d.err = errNoWay
	var last error
	for _, err := range d.client().All(t.Context(), time.Time{}) {
		last = err
	}
	require.ErrorIs(t, last, fault.Unavailable)
}

func TestRepublishStartsARunOfAnEndedOrder(t *testing.T) {
	w := newWorld(t)
	require.ErrorIs(t, w.client.Republish(t.Context(), "42"), fault.NotFound)
	w.open(tea())
	require.ErrorIs(t, w.client.Republish(t.Context(), "42"), fault.Invalid)
	require.Empty(t, w.temporal.starts)

	w = newWorld(t)
	w.rejected(tea())
	w.ran(tea(), false)
	require.NoError(t, w.client.Republish(t.Context(), "42"))
	require.Len(t, w.temporal.starts, 1)
	require.Equal(t, tea(), w.temporal.beganWith(t))
	require.Zero(t, w.temporal.began(t).Resume.Published, "it knows of nothing that was published")
	require.NoError(t, w.client.Republish(t.Context(), "42"), "while a run is there, nothing is to be done")

	w.temporal.running, w.temporal.closed = false, true
	w.temporal.down["start"] = errNoWay
	require.ErrorIs(t, w.client.Republish(t.Context(), "42"), fault.Unavailable)
	w.log.down = true
	require.ErrorIs(t, w.client.Republish(t.Context(), "42"), fault.Unavailable)
}
