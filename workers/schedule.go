package workers

import (
	"context"
	"errors"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// catchup is the maximum delay of a scheduled run after an outage of Temporal; the next run finds the same.
const catchup = time.Minute

// reconcileSinceLeast is the minimum age of ended orders that a scheduled run checks.
const reconcileSinceLeast = 24 * time.Hour

// ScheduleReconcile creates or updates the reconcile schedule in Temporal, and deletes it if every is 0. Several processes may call it concurrently;
// the last call wins. Errors: Unavailable.
func ScheduleReconcile(ctx context.Context, c client.Client, every time.Duration, repair bool) error {
	return schedule(ctx, c, every, &client.ScheduleWorkflowAction{
		ID: workflows.ReconcileID, Workflow: workflows.NameReconcile, TaskQueue: saga.QueueOrders,
		Args: []any{activities.ReconcileInput{Repair: repair, Since: max(2*every, reconcileSinceLeast)}},
	})
}

// ScheduleCheckpoints creates or updates the schedule of audit checkpoints in Temporal, and deletes it if every is 0. Several processes may call it
// concurrently; the last call wins. Errors: Unavailable.
func ScheduleCheckpoints(ctx context.Context, c client.Client, every time.Duration) error {
	return schedule(ctx, c, every, &client.ScheduleWorkflowAction{
		ID: workflows.CheckpointID, Workflow: workflows.NameCheckpoint, TaskQueue: saga.QueueOrders, Args: []any{activities.CheckpointInput{}},
	})
}

// schedule creates or updates the schedule with the ID of action, and deletes it if every is 0.
func schedule(ctx context.Context, c client.Client, every time.Duration, action *client.ScheduleWorkflowAction) error {
	schedules := c.ScheduleClient()
	handle := schedules.GetHandle(ctx, action.ID)
	if every == 0 {
		err := handle.Delete(ctx)
		if isNotFound(err) {
			return nil
		}
		return fault.Wrap(err, fault.Unavailable, "remove schedule %s", action.ID)
	}
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}}
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: action.ID, Spec: spec, Action: action,
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchup,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = handle.Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				// Operators decide whether it is paused.
				schedule := in.Description.Schedule
				schedule.Spec, schedule.Action = &spec, action
				return &client.ScheduleUpdate{Schedule: &schedule}, nil
			},
		})
	}
	return fault.Wrap(err, fault.Unavailable, "schedule %s", action.ID)
}

// ReconcileRun is a run of the schedule that has ended.
type ReconcileRun struct {
	// Status is completed or failed.
	Status             string
	StartedAt, EndedAt time.Time
	// Result is empty unless it is completed.
	Result activities.ReconcileResult
}

// LastReconcile returns the last run of the reconcile schedule that has ended. Errors: NotFound when there is none, Unavailable.
func LastReconcile(ctx context.Context, c client.Client) (ReconcileRun, error) {
	schedule, err := c.ScheduleClient().GetHandle(ctx, workflows.ReconcileID).Describe(ctx)
	if isNotFound(err) {
		return ReconcileRun{}, fault.New(fault.NotFound, "there is no reconcile schedule")
	}
	if err != nil {
		return ReconcileRun{}, fault.Wrap(err, fault.Unavailable, "read schedule %s", workflows.ReconcileID)
	}
	for _, action := range slices.Backward(schedule.Info.RecentActions) {
		if action.StartWorkflowResult == nil {
			continue
		}
		id, first := action.StartWorkflowResult.WorkflowID, action.StartWorkflowResult.FirstExecutionRunID
		described, err := c.DescribeWorkflowExecution(ctx, id, first)
		if isNotFound(err) {
			continue // its retention is over
		}
		if err != nil {
			return ReconcileRun{}, fault.Wrap(err, fault.Unavailable, "read workflow %s", id)
		}
		info := described.GetWorkflowExecutionInfo()
		if info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			continue
		}
		run := ReconcileRun{Status: "failed", StartedAt: info.GetStartTime().AsTime(), EndedAt: info.GetCloseTime().AsTime()}
		if info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			run.Status = "completed"
			if err := c.GetWorkflow(ctx, id, first).Get(ctx, &run.Result); err != nil {
				return ReconcileRun{}, fault.Wrap(err, fault.Unavailable, "read the result of workflow %s", id)
			}
		}
		return run, nil
	}
	return ReconcileRun{}, fault.New(fault.NotFound, "no reconcile of the schedule has ended yet")
}

func isNotFound(err error) bool {
	var gone *serviceerror.NotFound
	return errors.As(err, &gone)
}
