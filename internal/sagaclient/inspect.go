package sagaclient

import (
	"context"
	"iter"
	"log/slog"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows"
)

// Inspect describes the newest run of an order's workflow. Errors: Unavailable.
func (c *Client) Inspect(ctx context.Context, orderID string) (reconcile.Run, error) {
	return c.inspect(ctx, workflows.OrderWorkflowID(orderID), orderID)
}

// InspectLate describes the newest run of the saga that settles what came after the order had ended. Errors: Unavailable.
func (c *Client) InspectLate(ctx context.Context, orderID string) (reconcile.Run, error) {
	return c.inspect(ctx, workflows.LateWorkflowID(orderID), orderID)
}

// InspectShortage describes the newest run of the saga that settles a SKU's shortage. Errors: Unavailable.
func (c *Client) InspectShortage(ctx context.Context, sku string) (reconcile.Run, error) {
	return c.inspect(ctx, workflows.ShortageWorkflowID(sku), sku)
}

func (c *Client) inspect(ctx context.Context, workflowID, orderID string) (reconcile.Run, error) {
	d, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if isNotFound(err) {
		return reconcile.Run{}, nil
	}
	if err != nil {
		return reconcile.Run{}, fault.Wrap(err, fault.Unavailable, "describe the saga of order %s", orderID)
	}
	info := d.GetWorkflowExecutionInfo()
	run := reconcile.Run{
		Found: true, Status: strings.ToLower(info.GetStatus().String()), StartedAt: info.GetStartTime().AsTime(),
		Running:    info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		Completed:  info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED,
		Activities: len(d.GetPendingActivities()),
	}
	if task := d.GetPendingWorkflowTask(); task != nil {
		run.TaskAttempts, run.TaskSince = int(task.GetAttempt()), task.GetScheduledTime().AsTime()
		if first := task.GetOriginalScheduledTime(); first != nil {
			run.TaskSince = first.AsTime()
		}
	}
	return run, nil
}

// ordersQuery selects the sagas that run, those that closed without having come to their end, and those that completed at since
// or later.
func ordersQuery(since time.Time) string {
	completed := "ExecutionStatus = 'Completed'"
	if !since.IsZero() {
		completed += " AND CloseTime >= '" + since.UTC().Format(time.RFC3339Nano) + "'"
	}
	return "WorkflowType = '" + workflows.NameOrder + "' AND (ExecutionStatus IN ('Running', 'Failed', 'Canceled', 'Terminated', 'TimedOut')" +
		" OR (" + completed + "))"
}

// brokenOff selects the sagas that closed without having come to their end.
const brokenOff = "WorkflowType = '" + workflows.NameOrder +
	"' AND ExecutionStatus IN ('Failed', 'Canceled', 'Terminated', 'TimedOut')"

// runsPage is how many runs one round trip brings.
const runsPage = 1000

// Orders yields the ids of the orders of which Temporal lists a run; those whose run completed only if that was at since or
// later, unless since is zero. An order of several such runs comes several times. The list follows with a delay: it is for
// finding orders that nothing else knows. An error ends it. Errors: Unavailable.
func (c *Client) Orders(ctx context.Context, since time.Time) iter.Seq2[string, error] {
	return c.listed(ctx, ordersQuery(since))
}

// BrokenOff yields, like Orders, the ids of the orders of which Temporal lists a run that closed without having come to its
// end. Errors: Unavailable.
func (c *Client) BrokenOff(ctx context.Context) iter.Seq2[string, error] {
	return c.listed(ctx, brokenOff)
}

// listed yields the ids of the orders whose runs a query selects.
func (c *Client) listed(ctx context.Context, query string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: runsPage}
		for {
			page, err := c.temporal.ListWorkflow(ctx, request)
			if err != nil {
				yield("", fault.Wrap(err, fault.Unavailable, "list the sagas of orders"))
				return
			}
			for _, e := range page.GetExecutions() {
				id, ours := workflows.OrderIDOf(e.GetExecution().GetWorkflowId())
				if ours && event.ValidID(id) && !yield(id, nil) {
					return
				}
			}
			if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
				return
			}
		}
	}
}

// Republish starts a run of an order that has ended: it publishes every event of the order again and closes. It is for
// orders whose run was broken off behind their end, so that nobody knows what was published. It does nothing while a run
// is there. Errors: NotFound for an order without events, Invalid for one that has not ended, Unavailable.
func (c *Client) Republish(ctx context.Context, orderID string) error {
	state, err := c.state(ctx, orderID)
	switch {
	case err != nil:
		return err
	case !state.Opened():
		return fault.New(fault.NotFound, "there is no order %s", orderID)
	case !state.Ended:
		return fault.New(fault.Invalid, "order %s has not ended", orderID)
	}
	in := workflows.OrderInput{Order: state.Order, CorrelationID: state.CorrelationID}
	err = c.start(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	if err == nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "an ended order's run was broken off: a new one publishes its events again",
			slog.String("order_id", orderID), slog.Int64("version", state.Head.Version))
	}
	return ignoreConflict(err)
}
