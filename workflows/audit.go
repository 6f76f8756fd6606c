package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names of audit checkpoints.
const (
	// NameCheckpoint is the workflow type.
	NameCheckpoint = "AuditCheckpoint"
	// CheckpointID is the ID of the schedule, and the prefix of the IDs of its workflows.
	CheckpointID = "ordersaga-audit-checkpoint"
)

const (
	// checkpointTimeout bounds one checkpoint: a sweep reads all streams.
	checkpointTimeout = 12 * time.Hour
	// checkpointHeartbeat is how long it may be silent before another worker takes it over.
	checkpointHeartbeat = time.Minute
	// checkpointAttempts bounds the attempts: the schedule starts the next checkpoint.
	checkpointAttempts = 10
)

// Checkpoint creates an audit checkpoint.
func Checkpoint(ctx workflow.Context, in activities.CheckpointInput) (activities.CheckpointResult, error) {
	options := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: saga.QueueOrders, StartToCloseTimeout: checkpointTimeout, HeartbeatTimeout: checkpointHeartbeat,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: checkpointAttempts,
		},
		Summary: "sign the heads of all streams",
	})
	var result activities.CheckpointResult
	if err := workflow.ExecuteActivity(options, activities.NameCheckpoint, in).Get(ctx, &result); err != nil {
		return result, err
	}
	details := fmt.Sprintf("checkpoint %d has %d leaves, %d of them new", result.N, result.Size, result.Leaves)
	if !result.New {
		details = fmt.Sprintf("no stream has changed since checkpoint %d", result.N)
	}
	workflow.SetCurrentDetails(ctx, details)
	return result, nil
}
