package sagaclient

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Rerun runs an order of which Temporal has a run and the log has no event, as after the log was restored from an older
// backup. The new run begins with the order that Temporal knows, and gets the signals of the earlier run. A run that is
// still open decided on events that are gone: it is terminated. An order whose run ended other than completed is run with a
// cancellation: its customer was told that it is off, and must not be charged now. It does nothing once the log has an event.
//
// Errors: OrderUnknown when Temporal has no run; Conflict when its run did nothing, because its ID belonged to an order with
// other content; Unavailable.
func (c *Client) Rerun(ctx context.Context, orderID string) error {
	// Two, because the first one alone may be remembered by this process, and the server may have lost it.
	records, err := c.log.Read(ctx, event.OrderStream(orderID), 0, 2)
	if err != nil || len(records) > 0 {
		return err
	}
	id := workflows.OrderWorkflowID(orderID)
	described, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	switch {
	case isNotFound(err):
		return fault.New(fault.OrderUnknown, "order %s is not known", orderID)
	case err != nil:
		return fault.Wrap(err, fault.Unavailable, "describe the saga of order %s", orderID)
	}
	info := described.GetWorkflowExecutionInfo()
	runID := info.GetExecution().GetRunId()
	if info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		// Terminated first: signals from here on go to the new run.
		err := c.temporal.TerminateWorkflow(ctx, id, runID, "the log has no event of the order: a new run begins anew")
		if err != nil && !isNotFound(err) {
			return fault.Wrap(err, fault.Unavailable, "terminate the saga of order %s", orderID)
		}
	}
	in, err := c.rerunInput(ctx, orderID, runID)
	if err != nil {
		return err
	}
	if err := c.execute(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE); err != nil {
		return ignoreConflict(err)
	}
	c.logger.LogAttrs(ctx, slog.LevelWarn, "the log had no event of an order that Temporal knows: a new run begins anew",
		slog.String("order_id", orderID))
	return nil
}

// rerunInput is the input of a run that replaces an earlier one of which the log has nothing.
func (c *Client) rerunInput(ctx context.Context, orderID, runID string) (workflows.OrderInput, error) {
	before, err := c.readRun(ctx, orderID, runID)
	switch {
	case err != nil:
		return workflows.OrderInput{}, err
	case before.input == nil:
		return workflows.OrderInput{}, fault.New(fault.OrderUnknown, "order %s is not known", orderID)
	case before.conflict():
		return workflows.OrderInput{}, fault.New(fault.Conflict, "the run of order %s did nothing: its ID was used with different content", orderID)
	}
	in := *before.input
	in.Resume, err = c.resumeAfter(ctx, orderID, runID, before)
	return in, err
}

// inheritFromEnd adds to the input of a new run what a run that completed was told, if the log does not have the order's end: it
// was restored from a backup that is older than that. Otherwise the run has looked at everything.
func (c *Client) inheritFromEnd(ctx context.Context, in workflows.OrderInput, runID string) (workflows.OrderInput, error) {
	state, err := c.state(ctx, in.Order.ID)
	if err != nil || state.Ended {
		return in, err
	}
	before, err := c.readRun(ctx, in.Order.ID, runID)
	if errors.Is(err, fault.Corrupt) {
		// The order goes on from the log all the same.
		c.logger.LogAttrs(ctx, slog.LevelError, "the history of a completed saga cannot be read", slog.String("order_id", in.Order.ID), slog.Any("error", err))
		return in, nil
	}
	if err != nil || before.input == nil || before.conflict() {
		return in, err
	}
	in.Resume, err = c.resumeAfter(ctx, in.Order.ID, runID, before)
	return in, err
}

// resumeAfter is what a new run gets of an earlier one whose events are gone; nil when there is nothing. What that one was told
// is merged, so that it is bounded.
func (c *Client) resumeAfter(ctx context.Context, orderID, runID string, before earlierRun) (*workflows.Resume, error) {
	told, err := c.toldInAll(ctx, orderID, runID)
	if err != nil {
		return nil, err
	}
	signals, err := before.cancelAgain(told, runID)
	if err != nil || len(signals) == 0 {
		return nil, err
	}
	return &workflows.Resume{Missed: signals}, nil
}

// toldInAll are the merged signals of a run and of those that it was to take over from.
func (c *Client) toldInAll(ctx context.Context, orderID, runID string) ([]activities.Signal, error) {
	from, err := c.predecessors(ctx, orderID, runID)
	if err != nil {
		return nil, err
	}
	told := workflows.NewTold(orderID, false)
	for _, run := range from.Runs {
		if _, _, err := c.told(ctx, told, orderID, run, 0); err != nil {
			return nil, err
		}
	}
	// Whether stock is missing now is asked again by who knows: what an earlier run was told of it says nothing about the stock
	// of today, and must not undo an order that was completed.
	return slices.DeleteFunc(told.Signals(), func(s activities.Signal) bool { return s.Name == workflows.SignalStockLost }), nil
}

// earlierRun is what the history of a run says besides its signals.
type earlierRun struct {
	// input is nil when the history is gone.
	input *workflows.OrderInput
	// result is nil unless the run completed.
	result *workflows.OrderResult
	// cancelled is the newest cancellation that was asked for by an Update and accepted.
	cancelled *order.Cancellation
	// asked are the Updates that ask to cancel, by the history event that accepted them for execution.
	asked map[int64]order.Cancellation
}

// conflict reports whether the run did nothing, because the ID belonged to an order with other content.
func (r earlierRun) conflict() bool { return r.result != nil && r.result.Conflict }

// cancelAgain makes a new run decide about cancellations as the earlier one did. It returns the signals that it is to get.
func (r earlierRun) cancelAgain(told []activities.Signal, runID string) ([]activities.Signal, error) {
	switch {
	case r.result != nil && r.result.Status == order.StatusCompleted:
		// All of them were refused.
		return slices.DeleteFunc(told, func(s activities.Signal) bool { return s.Name == workflows.SignalCancel }), nil
	case r.cancelled != nil:
	case r.result != nil:
		text := "the order had ended as " + string(r.result.Status)
		if r.result.Reason != "" {
			text += " (" + r.result.Reason + ")"
		}
		r.cancelled = &order.Cancellation{ID: "rerun-" + runID, Reason: text + " before its events were lost"}
	default:
		return told, nil
	}
	payload, err := json.Marshal(*r.cancelled)
	return append(told, activities.Signal{Name: workflows.SignalCancel, Payload: payload}), err
}

// readRun reads the history of a run. Errors: Unavailable; Corrupt when it cannot be understood.
func (c *Client) readRun(ctx context.Context, orderID, runID string) (earlierRun, error) {
	run := earlierRun{asked: make(map[int64]order.Cancellation)}
	history := c.temporal.GetWorkflowHistory(ctx, workflows.OrderWorkflowID(orderID), runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		e, err := history.Next()
		if isNotFound(err) {
			return earlierRun{}, nil
		}
		if err != nil {
			return run, fault.Wrap(err, fault.Unavailable, "read the saga of order %s", orderID)
		}
		if err := run.read(e); err != nil {
			return run, fault.Wrap(err, fault.Corrupt, "read event %d of the saga of order %s", e.GetEventId(), orderID)
		}
	}
	return run, nil
}

// read adds what an event says.
func (r *earlierRun) read(e *historypb.HistoryEvent) error {
	codec := converter.GetDefaultDataConverter()
	switch {
	case e.GetWorkflowExecutionStartedEventAttributes() != nil:
		r.input = &workflows.OrderInput{}
		return codec.FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), r.input)
	case e.GetWorkflowExecutionCompletedEventAttributes() != nil:
		r.result = &workflows.OrderResult{}
		return codec.FromPayloads(e.GetWorkflowExecutionCompletedEventAttributes().GetResult(), r.result)
	case e.GetWorkflowExecutionUpdateAcceptedEventAttributes() != nil:
		input := e.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest().GetInput()
		if input.GetName() != workflows.UpdateCancel {
			return nil
		}
		var asked order.Cancellation
		if err := codec.FromPayloads(input.GetArgs(), &asked); err != nil {
			return err
		}
		r.asked[e.GetEventId()] = asked
	case e.GetWorkflowExecutionUpdateCompletedEventAttributes() != nil:
		completed := e.GetWorkflowExecutionUpdateCompletedEventAttributes()
		asked, isCancel := r.asked[completed.GetAcceptedEventId()]
		if !isCancel || completed.GetOutcome().GetSuccess() == nil {
			return nil
		}
		var verdict workflows.CancelVerdict
		if err := codec.FromPayloads(completed.GetOutcome().GetSuccess(), &verdict); err != nil {
			return err
		}
		if verdict.Accepted {
			r.cancelled = &asked
		}
	}
	return nil
}
