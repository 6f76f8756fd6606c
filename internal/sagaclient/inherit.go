package sagaclient

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
)

const (
	// recoverPage is how many signals of an order that has ended fit one answer.
	recoverPage = 200
	// recoverHeartbeat is after how many events of a history it is said that the reading goes on.
	recoverHeartbeat = 500
)

// inherit adds to the input of a run that takes over which run it takes over from: signals were acknowledged to their senders,
// so nobody sends again what that run has not written down. The error is Conflict when a run is there.
func (c *Client) inherit(ctx context.Context, in workflows.OrderInput) (workflows.OrderInput, error) {
	id := workflows.OrderWorkflowID(in.Order.ID)
	described, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if isNotFound(err) {
		return in, nil
	}
	if err != nil {
		return in, fault.Wrap(err, fault.Unavailable, "describe the saga of order %s", in.Order.ID)
	}
	info := described.GetWorkflowExecutionInfo()
	switch info.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return in, conflict(in.Order.ID)
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return c.inheritFromEnd(ctx, in, info.GetExecution().GetRunId())
	}
	in.Resume = &workflows.Resume{Recover: &activities.RecoverCursor{Run: info.GetExecution().GetRunId()}}
	return in, nil
}

var _ activities.Predecessors = (*Client)(nil)

// Recover reads what the runs that a run takes over from were told: by their inputs, by signals, and by Temporal's own
// cancellation. It goes through one history a call, or a part of it. What is deleted is passed over. Errors: Unavailable.
func (c *Client) Recover(ctx context.Context, in activities.RecoverInput) (activities.RecoverResult, error) {
	next := in.Cursor
	if len(next.Runs) == 0 {
		var err error
		if next, err = c.predecessors(ctx, in.OrderID, in.Cursor.Run); err != nil {
			return activities.RecoverResult{}, err
		}
	}
	told := workflows.NewTold(in.OrderID, in.Ended)
	upTo, more, err := c.told(ctx, told, in.OrderID, next.Runs[0], next.After)
	if err != nil {
		return activities.RecoverResult{}, err
	}
	result := activities.RecoverResult{Signals: told.Signals()}
	switch {
	case more:
		result.Next = &activities.RecoverCursor{Runs: next.Runs, After: upTo}
	case len(next.Runs) > 1:
		result.Next = &activities.RecoverCursor{Runs: next.Runs[1:]}
	}
	return result, nil
}

// predecessors finds the runs that are to be read: the newest that was broken off, and those that it was to take over from.
func (c *Client) predecessors(ctx context.Context, orderID, newest string) (activities.RecoverCursor, error) {
	runs := []string{newest}
	for len(runs) < activities.MaxPredecessors {
		in, found, err := c.inputOf(ctx, orderID, runs[len(runs)-1])
		if err != nil {
			return activities.RecoverCursor{}, err
		}
		if !found || in.Resume == nil || in.Resume.Recover == nil {
			break
		}
		before := in.Resume.Recover
		if len(before.Runs) > 0 {
			// It was itself continued while it took over: these are left.
			slices.Reverse(runs)
			left, after := before.Runs, before.After
			if over := len(left) + len(runs) - activities.MaxPredecessors; over > 0 {
				// The oldest are left out.
				left, after = left[min(over, len(left)):], 0
			}
			return activities.RecoverCursor{Runs: append(slices.Clone(left), runs...), After: after}, nil
		}
		if slices.Contains(runs, before.Run) {
			break
		}
		runs = append(runs, before.Run)
	}
	slices.Reverse(runs)
	return activities.RecoverCursor{Runs: runs}, nil
}

// inputOf is the input of a run; found is false when it is deleted or cannot be read.
func (c *Client) inputOf(ctx context.Context, orderID, runID string) (in workflows.OrderInput, found bool, err error) {
	history := c.temporal.GetWorkflowHistory(ctx, workflows.OrderWorkflowID(orderID), runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !history.HasNext() {
		return in, false, nil
	}
	first, err := history.Next()
	switch {
	case isNotFound(err):
		return in, false, nil
	case err != nil:
		return in, false, fault.Wrap(err, fault.Unavailable, "read the input of a run of order %s", orderID)
	}
	err = converter.GetDefaultDataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelError, "the input of a broken-off saga cannot be read", slog.String("order_id", orderID), slog.Any("error", err))
	}
	return in, err == nil, nil
}

// told adds what a run was told behind a history event. More reports that the rest does not fit; upTo is the event up to which
// it was read.
func (c *Client) told(ctx context.Context, told *workflows.Told, orderID, runID string, after int64) (upTo int64, more bool, err error) {
	history := c.temporal.GetWorkflowHistory(ctx, workflows.OrderWorkflowID(orderID), runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for n := 1; history.HasNext(); n++ {
		e, err := history.Next()
		if isNotFound(err) {
			// It is being deleted: nothing is left to be read.
			return upTo, false, nil
		}
		if err != nil {
			return upTo, false, fault.Wrap(err, fault.Unavailable, "read what the saga of order %s was told", orderID)
		}
		if n%recoverHeartbeat == 0 && activity.IsActivity(ctx) {
			activity.RecordHeartbeat(ctx, n)
		}
		if e.GetEventId() <= after && after > 0 {
			continue
		}
		if err := hear(told, e, runID); err != nil {
			c.logger.LogAttrs(ctx, slog.LevelError, "an event of a broken-off saga cannot be read", slog.String("order_id", orderID),
				slog.Int64("history_event", e.GetEventId()), slog.Any("error", err))
		}
		if upTo = e.GetEventId(); told.Len() >= recoverPage {
			return upTo, true, nil
		}
	}
	return upTo, false, nil
}

// hear adds what an event of a history tells.
func hear(told *workflows.Told, e *historypb.HistoryEvent, runID string) error {
	codec := converter.GetDefaultDataConverter()
	switch {
	case e.GetWorkflowExecutionStartedEventAttributes() != nil:
		var before workflows.OrderInput
		if err := codec.FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), &before); err != nil {
			return err
		}
		if before.Resume != nil {
			return told.Before(*before.Resume)
		}
	case e.GetWorkflowExecutionSignaledEventAttributes() != nil:
		signal := e.GetWorkflowExecutionSignaledEventAttributes()
		var payload json.RawMessage
		if err := codec.FromPayloads(signal.GetInput(), &payload); err != nil {
			return err
		}
		return told.Signal(signal.GetSignalName(), payload)
	case e.GetWorkflowExecutionCancelRequestedEventAttributes() != nil:
		told.Cancellation(workflows.CancelledInTemporal(runID))
	}
	return nil
}
