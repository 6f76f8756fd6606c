package workers

import (
	"context"
	"errors"
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

// reconcileCatchup is the maximum delay of a scheduled run after an outage of Temporal; the next run finds the same.
const reconcileCatchup = time.Minute

// reconcileSinceLeast is the minimum age of ended orders that a scheduled run checks.
const reconcileSinceLeast = 24 * time.Hour

// ScheduleReconcile creates or updates the reconcile schedule in Temporal, and deletes it if every is 0. Several processes may call it concurrently;
// the last call wins. Errors: Unavailable.
func ScheduleReconcile(ctx context.Context, c client.Client, every time.Duration, repair bool) error {
	schedules := c.ScheduleClient()
	handle := schedules.GetHandle(ctx, workflows.ReconcileID)
	if every == 0 {
		err := handle.Delete(ctx)
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			return nil
		}
		return fault.Wrap(err, fault.Unavailable, "remove schedule %s", workflows.ReconcileID)
	}
	action := &client.ScheduleWorkflowAction{
		ID: workflows.ReconcileID, Workflow: workflows.NameReconcile, TaskQueue: saga.QueueOrders,
		Args: []any{activities.ReconcileInput{Repair: repair, Since: max(2*every, reconcileSinceLeast)}},
	}
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}}
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: workflows.ReconcileID, Spec: spec, Action: action,
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: reconcileCatchup,
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
	return fault.Wrap(err, fault.Unavailable, "schedule %s", workflows.ReconcileID)
}
