package workers_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workers"
)

// schedules is a server with at most one schedule.
type schedules struct {
	client.Client
	// current is the schedule; paused is what an operator did to it.
	current *client.Schedule
	created *client.ScheduleOptions
	down    error
	// runs are the workflows that the schedule has started, the oldest first.
	runs []run
}

// run is a workflow of the schedule; one whose status is not set is gone.
type run struct {
	id     string
	status enumspb.WorkflowExecutionStatus
	result activities.ReconcileResult
}

func (s *schedules) find(id string) run {
	return s.runs[slices.IndexFunc(s.runs, func(r run) bool { return r.id == id })]
}

func (s *schedules) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	r := s.find(id)
	if r.status == enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: r.status, StartTime: timestamppb.New(time.Unix(100, 0)), CloseTime: timestamppb.New(time.Unix(160, 0)),
	}}, nil
}

func (s *schedules) GetWorkflow(_ context.Context, id, _ string) client.WorkflowRun {
	return ended{result: s.find(id).result}
}

type ended struct {
	client.WorkflowRun
	result activities.ReconcileResult
}

func (e ended) Get(_ context.Context, into any) error {
	*into.(*activities.ReconcileResult) = e.result
	return nil
}

func (s *schedules) ScheduleClient() client.ScheduleClient { return scheduler{schedules: s} }

type scheduler struct {
	client.ScheduleClient
	*schedules
}

func (s scheduler) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	if id != "ordersaga-reconcile" {
		panic("another schedule")
	}
	return handle{schedules: s.schedules}
}

func (s scheduler) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	if s.down != nil {
		return nil, s.down
	}
	if s.current != nil {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	s.created = &o
	s.current = &client.Schedule{Action: o.Action, Spec: &o.Spec, State: &client.ScheduleState{}}
	return handle{schedules: s.schedules}, nil
}

type handle struct {
	client.ScheduleHandle
	*schedules
}

func (h handle) Update(_ context.Context, o client.ScheduleUpdateOptions) error {
	update, err := o.DoUpdate(client.ScheduleUpdateInput{Description: client.ScheduleDescription{Schedule: *h.current}})
	if err == nil {
		h.current = update.Schedule
	}
	return err
}

func (h handle) Describe(context.Context) (*client.ScheduleDescription, error) {
	if h.down != nil {
		return nil, h.down
	}
	if h.current == nil {
		return nil, serviceerror.NewNotFound("no such schedule")
	}
	var recent []client.ScheduleActionResult
	for _, r := range h.runs {
		recent = append(recent, client.ScheduleActionResult{StartWorkflowResult: &client.ScheduleWorkflowExecution{WorkflowID: r.id}})
	}
	return &client.ScheduleDescription{Info: client.ScheduleInfo{RecentActions: recent}}, nil
}

func (h handle) Delete(context.Context) error {
	if h.down != nil {
		return h.down
	}
	if h.current == nil {
		return serviceerror.NewNotFound("no such schedule")
	}
	h.current = nil
	return nil
}

func TestScheduleFollowsSettings(t *testing.T) {
	s := &schedules{}
	says := func() (time.Duration, activities.ReconcileInput) {
		action := s.current.Action.(*client.ScheduleWorkflowAction)
		require.Equal(t, "Reconcile", action.Workflow)
		require.Equal(t, "orders", action.TaskQueue)
		return s.current.Spec.Intervals[0].Every, action.Args[0].(activities.ReconcileInput)
	}
	require.NoError(t, workers.ScheduleReconcile(t.Context(), s, time.Hour, true))
	require.Equal(t, "ordersaga-reconcile", s.created.ID)
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, s.created.Overlap)
	every, in := says()
	require.Equal(t, time.Hour, every)
	require.Equal(t, activities.ReconcileInput{Repair: true, Since: 24 * time.Hour}, in)

	s.current.State.Paused = true
	require.NoError(t, workers.ScheduleReconcile(t.Context(), s, 48*time.Hour, false))
	every, in = says()
	require.Equal(t, 48*time.Hour, every)
	require.Equal(t, activities.ReconcileInput{Since: 96 * time.Hour}, in, "twice the interval: nothing falls between two checks")
	require.True(t, s.current.State.Paused, "an operator's pause stays")

	for range 2 {
		require.NoError(t, workers.ScheduleReconcile(t.Context(), s, 0, true))
		require.Nil(t, s.current)
	}
	s.down = serviceerror.NewUnavailable("no way")
	require.ErrorIs(t, workers.ScheduleReconcile(t.Context(), s, 0, true), fault.Unavailable)
	require.ErrorIs(t, workers.ScheduleReconcile(t.Context(), s, time.Hour, true), fault.Unavailable)
}

func TestLastReconcileIsTheNewestThatHasEnded(t *testing.T) {
	s := &schedules{}
	last := func() (workers.ReconcileRun, error) { return workers.LastReconcile(t.Context(), s) }
	_, err := last()
	require.ErrorIs(t, err, fault.NotFound, "there is no schedule")
	require.NoError(t, workers.ScheduleReconcile(t.Context(), s, time.Hour, true))
	s.runs = []run{{id: "gone"}, {id: "runs", status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING}}
	_, err = last()
	require.ErrorIs(t, err, fault.NotFound, "none has ended")
	ended := run{"ended", enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, activities.ReconcileResult{Violations: 2}}
	s.runs = append([]run{ended}, s.runs...)
	found, err := last()
	require.NoError(t, err)
	require.Equal(t, workers.ReconcileRun{Status: "completed", StartedAt: time.Unix(100, 0).UTC(), EndedAt: time.Unix(160, 0).UTC(), Result: ended.result}, found)
	s.runs = append(s.runs, run{id: "failed", status: enumspb.WORKFLOW_EXECUTION_STATUS_FAILED})
	found, err = last()
	require.NoError(t, err)
	require.Equal(t, "failed", found.Status)
	s.down = serviceerror.NewUnavailable("no way")
	_, err = last()
	require.ErrorIs(t, err, fault.Unavailable)
}
