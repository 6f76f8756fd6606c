package sagaclient

import (
	"context"
	"log/slog"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Lost returns what an order was told by signals to runs that were broken off, and that no later run was to take over. Such
// runs are followed by one that was started without sagaclient, or by an older version, which cut off what was too much. Of a
// run that is to take over now, nothing is lost. Errors: Unavailable.
func (c *Client) Lost(ctx context.Context, orderID string) (order.Facts, error) {
	told := workflows.NewTold(orderID, false)
	runs, err := c.notTakenOver(ctx, orderID)
	if err != nil {
		return order.Facts{}, err
	}
	for _, run := range runs {
		if _, _, err := c.told(ctx, told, orderID, run, 0); err != nil {
			return order.Facts{}, err
		}
	}
	return told.Facts(), nil
}

// notTakenOver returns the runs of an order that were broken off and that the newest run was not to take over from, oldest
// first; none when the newest run was broken off itself.
func (c *Client) notTakenOver(ctx context.Context, orderID string) ([]string, error) {
	id := workflows.OrderWorkflowID(orderID)
	described, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "describe the saga of order %s", orderID)
	}
	info := described.GetWorkflowExecutionInfo()
	switch info.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
	default:
		return nil, nil
	}
	first := info.GetFirstRunId()
	if first == "" {
		first = info.GetExecution().GetRunId()
	}
	newest, _, err := c.inputOf(ctx, orderID, first)
	if err != nil {
		return nil, err
	}
	var taken []string
	if r := newest.Resume; r != nil && r.Recover != nil {
		taken = r.Recover.Runs
		if r.Recover.Run != "" {
			cursor, err := c.predecessors(ctx, orderID, r.Recover.Run)
			if err != nil {
				return nil, err
			}
			taken = cursor.Runs
		}
	}
	page, err := c.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: "WorkflowId = '" + id + "' AND " + brokenOff, PageSize: activities.MaxPredecessors,
	})
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "list the runs of order %s", orderID)
	}
	var runs []string
	for _, e := range page.GetExecutions() {
		if run := e.GetExecution().GetRunId(); !slices.Contains(taken, run) {
			runs = append(runs, run)
		}
	}
	slices.Reverse(runs)
	return runs, nil
}

// TellAgain tells an order again what Lost returns: a run that is there by signals; of an order that has ended, a new run gives
// the verdicts. Errors: Unavailable.
func (c *Client) TellAgain(ctx context.Context, orderID string) error {
	state, err := c.state(ctx, orderID)
	if err != nil {
		return err
	}
	runs, err := c.notTakenOver(ctx, orderID)
	if err != nil || len(runs) == 0 {
		return err
	}
	if state.Ended {
		in := workflows.OrderInput{Order: state.Order, CorrelationID: state.CorrelationID, Resume: &workflows.Resume{
			Recover: &activities.RecoverCursor{Runs: runs}, Published: state.Head.Version,
		}}
		err = ignoreConflict(c.execute(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE))
		return fault.Wrap(err, fault.CodeOf(err), "tell order %s again", orderID)
	}
	told := workflows.NewTold(orderID, false)
	for _, run := range runs {
		if _, _, err := c.told(ctx, told, orderID, run, 0); err != nil {
			return err
		}
	}
	for _, s := range told.Signals() {
		if err := c.temporal.SignalWorkflow(ctx, workflows.OrderWorkflowID(orderID), "", s.Name, s.Payload); err != nil {
			return fault.Wrap(err, fault.Unavailable, "tell order %s again", orderID)
		}
	}
	c.logger.LogAttrs(ctx, slog.LevelWarn, "an order was told again what a run that was broken off had been told", slog.String("order_id", orderID))
	return nil
}
