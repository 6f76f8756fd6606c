package sagaclient

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	// recoverPage is how many facts of a saga that has ended fit one answer.
	recoverPage = 200
	// recoverHeartbeat is the number of history events between two heartbeats.
	recoverHeartbeat = 500
)

// carryOver adds to the input of a run that takes over which run it takes over from: signals were acknowledged to their senders,
// so facts that the run has not recorded are not sent again. The error is Conflict when a run exists.
func (c *flowClient[S, P]) carryOver(ctx context.Context, in saga.Input) (saga.Input, error) {
	described, err := c.describe(ctx, in.ID)
	if err != nil || described == nil {
		return in, err
	}
	info := described.GetWorkflowExecutionInfo()
	switch info.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return in, c.conflict(in.ID)
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return c.carryOverFromEnd(ctx, in, info.GetExecution().GetRunId())
	}
	in.Resume = &saga.Resume{Recover: &saga.RecoverCursor{Run: info.GetExecution().GetRunId()}}
	return in, nil
}

// Recover reads the facts that previous runs received: by their inputs, by signals, and by Temporal's own
// cancellation. It goes through one history a call, or a part of it. What is deleted is passed over. Errors: Unavailable.
func (c *flowClient[S, P]) Recover(ctx context.Context, in saga.RecoverInput) (saga.RecoverResult, error) {
	next := in.Cursor
	if len(next.Runs) == 0 {
		var err error
		if next, err = c.predecessors(ctx, in.ID, in.Cursor.Run); err != nil {
			return saga.RecoverResult{}, err
		}
	}
	collected := c.flow.Collect(in.ID, in.Ended)
	upTo, more, err := c.addRun(ctx, collected, in.ID, next.Runs[0], next.After)
	if err != nil {
		return saga.RecoverResult{}, err
	}
	result := saga.RecoverResult{Facts: collected.Facts()}
	switch {
	case more:
		result.Next = &saga.RecoverCursor{Runs: next.Runs, After: upTo}
	case len(next.Runs) > 1:
		result.Next = &saga.RecoverCursor{Runs: next.Runs[1:]}
	}
	return result, nil
}

// predecessors finds the runs that are to be read: the newest interrupted one, and those that it was to take over from.
func (c *flowClient[S, P]) predecessors(ctx context.Context, id, newest string) (saga.RecoverCursor, error) {
	runs := []string{newest}
	for len(runs) < saga.MaxPredecessors {
		in, found, err := c.inputOf(ctx, id, runs[len(runs)-1])
		if err != nil {
			return saga.RecoverCursor{}, err
		}
		if !found || in.Resume == nil || in.Resume.Recover == nil {
			break
		}
		before := in.Resume.Recover
		if len(before.Runs) > 0 {
			// It was itself continued while it took over: these are left.
			slices.Reverse(runs)
			left, after := before.Runs, before.After
			if over := len(left) + len(runs) - saga.MaxPredecessors; over > 0 {
				// The oldest are left out.
				left, after = left[min(over, len(left)):], 0
			}
			return saga.RecoverCursor{Runs: append(slices.Clone(left), runs...), After: after}, nil
		}
		if slices.Contains(runs, before.Run) {
			break
		}
		runs = append(runs, before.Run)
	}
	slices.Reverse(runs)
	return saga.RecoverCursor{Runs: runs}, nil
}

// inputOf is the input of a run; found is false when it is deleted or cannot be read.
func (c *flowClient[S, P]) inputOf(ctx context.Context, id, runID string) (in saga.Input, found bool, err error) {
	history := c.history(ctx, id, runID)
	if !history.HasNext() {
		return in, false, nil
	}
	first, err := history.Next()
	switch {
	case isNotFound(err):
		return in, false, nil
	case err != nil:
		return in, false, fault.Wrap(err, fault.Unavailable, "read the input of a run of %s", c.name(id))
	}
	err = c.converter.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
	if errors.Is(err, fault.Unavailable) {
		return in, false, fault.Wrap(err, fault.Unavailable, "read the input of a run of %s", c.name(id))
	}
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelError, "the input of an interrupted run cannot be read", c.logID(id), slog.Any("error", err))
	}
	return in, err == nil, nil
}

// collect merges the facts that runs have received.
func (c *flowClient[S, P]) collect(ctx context.Context, id string, runs []string) (*saga.Collected[S, P], error) {
	collected := c.flow.Collect(id, false)
	for _, run := range runs {
		if _, _, err := c.addRun(ctx, collected, id, run, 0); err != nil {
			return nil, err
		}
	}
	return collected, nil
}

// addRun adds the facts that a run received after a history event. More reports that the rest does not fit; upTo is the event up to which
// it was read.
func (c *flowClient[S, P]) addRun(ctx context.Context, collected *saga.Collected[S, P], id, runID string, after int64) (upTo int64, more bool, err error) {
	history := c.history(ctx, id, runID)
	for n := 1; history.HasNext(); n++ {
		e, err := history.Next()
		if isNotFound(err) {
			// It is being deleted: nothing is left to be read.
			return upTo, false, nil
		}
		if err != nil {
			return upTo, false, fault.Wrap(err, fault.Unavailable, "read the facts that the saga of %s received", c.name(id))
		}
		if n%recoverHeartbeat == 0 && activity.IsActivity(ctx) {
			activity.RecordHeartbeat(ctx, n)
		}
		if e.GetEventId() <= after && after > 0 {
			continue
		}
		err = c.addHistoryEvent(collected, e, id, runID)
		if errors.Is(err, fault.Unavailable) {
			return upTo, false, fault.Wrap(err, fault.Unavailable, "read the facts that the saga of %s received", c.name(id))
		}
		if err != nil {
			c.logger.LogAttrs(ctx, slog.LevelError, "an event of an interrupted run cannot be read", c.logID(id),
				slog.Int64("history_event", e.GetEventId()), slog.Any("error", err))
		}
		if upTo = e.GetEventId(); collected.Len() >= recoverPage {
			return upTo, true, nil
		}
	}
	return upTo, false, nil
}

// addHistoryEvent adds the fact of a history event.
func (c *flowClient[S, P]) addHistoryEvent(collected *saga.Collected[S, P], e *historypb.HistoryEvent, id, runID string) error {
	codec := c.converter
	switch {
	case e.GetWorkflowExecutionStartedEventAttributes() != nil:
		var before saga.Input
		if err := codec.FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), &before); err != nil {
			return err
		}
		if before.Resume != nil {
			collected.Before(*before.Resume)
		}
	case e.GetWorkflowExecutionSignaledEventAttributes() != nil:
		signal := e.GetWorkflowExecutionSignaledEventAttributes()
		var payload json.RawMessage
		if err := codec.FromPayloads(signal.GetInput(), &payload); err != nil {
			return err
		}
		return collected.Signal(signal.GetSignalName(), payload)
	case e.GetWorkflowExecutionCancelRequestedEventAttributes() != nil:
		collected.Add(c.flow.CancelledInTemporal(id, runID))
	}
	return nil
}
