package activities

import (
	"context"
)

// NameCheckpoint is the registered name of the activity that creates an audit checkpoint. Never rename it.
const NameCheckpoint = "audit.Checkpoint"

// CheckpointInput is the input of a checkpoint.
type CheckpointInput struct{}

// CheckpointResult is the newest checkpoint.
type CheckpointResult struct {
	// N is its number, and New reports whether it was created now: nothing is created if no stream has changed.
	N      int64 `json:"n"`
	New    bool  `json:"new"`
	Size   int64 `json:"size"`
	Leaves int64 `json:"leaves"`
}

// Checkpoints is the activity that creates audit checkpoints.
type Checkpoints struct {
	// Create creates a checkpoint.
	Create func(ctx context.Context) (CheckpointResult, error)
}

// Checkpoint creates a checkpoint, and heartbeats meanwhile.
func (c *Checkpoints) Checkpoint(ctx context.Context, _ CheckpointInput) (CheckpointResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	alive := make(chan struct{})
	go func() {
		defer close(alive)
		beat(ctx, nil)
	}()
	result, err := c.Create(ctx)
	cancel()
	<-alive
	return result, ToTemporal(err)
}
