package sagaclient

import (
	"context"
	"encoding/json"
	"log/slog"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
)

// maxInherited bounds how many bytes of signals a run takes over: with the input's other parts they stay below what a
// payload may take. An order gets a handful.
const maxInherited = 1 << 20

// inherit adds to the input of a run that takes over what the one before it was told and may not have written down: its
// signals were acknowledged to their senders, so nobody sends them again. The error is Conflict when a run is there.
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
	told, err := c.told(ctx, in.Order.ID, info.GetExecution().GetRunId())
	if !told.Empty() {
		in.Resume = &told
	}
	return in, err
}

// told reads what a run was told: by its input, by signals, and by Temporal's own cancellation.
func (c *Client) told(ctx context.Context, orderID, runID string) (workflows.Resume, error) {
	var told workflows.Resume
	history := c.temporal.GetWorkflowHistory(ctx, workflows.OrderWorkflowID(orderID), runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	bytes := 0
	for history.HasNext() {
		e, err := history.Next()
		if isNotFound(err) {
			// It is being deleted: nothing is left to be read.
			return told, nil
		}
		if err != nil {
			return told, fault.Wrap(err, fault.Unavailable, "read what the saga of order %s was told", orderID)
		}
		if bytes += proto.Size(e.GetWorkflowExecutionSignaledEventAttributes()); bytes > maxInherited {
			c.logger.LogAttrs(ctx, slog.LevelError, "a broken-off saga was told more than another one can be handed", slog.String("order_id", orderID))
			return told, nil
		}
		if err := hear(&told, e, runID); err != nil {
			c.logger.LogAttrs(ctx, slog.LevelError, "an event of a broken-off saga cannot be read", slog.String("order_id", orderID),
				slog.Int64("history_event", e.GetEventId()), slog.Any("error", err))
		}
	}
	return told, nil
}

// hear adds what an event of a history tells.
func hear(told *workflows.Resume, e *historypb.HistoryEvent, runID string) error {
	codec := converter.GetDefaultDataConverter()
	switch {
	case e.GetWorkflowExecutionStartedEventAttributes() != nil:
		var before workflows.OrderInput
		if err := codec.FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), &before); err != nil {
			return err
		}
		if before.Resume != nil {
			told.Inherit(*before.Resume)
		}
	case e.GetWorkflowExecutionSignaledEventAttributes() != nil:
		signal := e.GetWorkflowExecutionSignaledEventAttributes()
		missed := workflows.Missed{Name: signal.GetSignalName()}
		if err := codec.FromPayloads(signal.GetInput(), &missed.Payload); err != nil {
			return err
		}
		told.Missed = append(told.Missed, missed)
	case e.GetWorkflowExecutionCancelRequestedEventAttributes() != nil:
		payload, err := json.Marshal(workflows.CancelledInTemporal(runID))
		if err != nil {
			return err
		}
		told.Missed = append(told.Missed, workflows.Missed{Name: workflows.SignalCancel, Payload: payload})
	}
	return nil
}
