package sagaclient

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Inspect describes the newest run of a saga. Errors: Unavailable.
func (c *flowClient[S, P]) Inspect(ctx context.Context, id string) (reconcile.Run, error) {
	return inspect(ctx, c.temporal, c.flow.WorkflowID(id), c.name(id))
}

// describe describes the newest run of a saga; nil when there is none. Errors: Unavailable.
func (c *flowClient[S, P]) describe(ctx context.Context, id string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return describe(ctx, c.temporal, c.flow.WorkflowID(id), c.name(id))
}

// history is the history of a run of a saga.
func (c *flowClient[S, P]) history(ctx context.Context, id, runID string) client.HistoryEventIterator {
	return c.temporal.GetWorkflowHistory(ctx, c.flow.WorkflowID(id), runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
}

// describe describes the newest run of a workflow, which name names in errors; nil when there is none. Errors: Unavailable.
func describe(ctx context.Context, c client.Client, workflowID, name string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	if isNotFound(err) {
		return nil, nil
	}
	return d, fault.Wrap(err, fault.Unavailable, "describe the saga of %s", name)
}

// inspect describes the newest run of a workflow, which name names in errors. Errors: Unavailable.
func inspect(ctx context.Context, c client.Client, workflowID, name string) (reconcile.Run, error) {
	d, err := describe(ctx, c, workflowID, name)
	if err != nil || d == nil {
		return reconcile.Run{}, err
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

// isInterrupted selects the sagas that closed without having come to their end.
func (c *flowClient[S, P]) isInterrupted() string {
	return c.ofType() + " AND ExecutionStatus IN ('Failed', 'Canceled', 'Terminated', 'TimedOut')"
}

// ofType selects the sagas of the flow.
func (c *flowClient[S, P]) ofType() string { return "WorkflowType = '" + c.flow.WorkflowType() + "'" }

// runsPage is how many runs one round trip brings.
const runsPage = 1000

// All yields the IDs of the sagas of which Temporal lists a run; those whose run completed only if that was at since or
// later, unless since is zero. A saga of several such runs comes several times. The list follows with a delay: it is for
// finding sagas that nothing else knows. An error ends it. Errors: Unavailable.
func (c *flowClient[S, P]) All(ctx context.Context, since time.Time) iter.Seq2[string, error] {
	completed := "ExecutionStatus = 'Completed'"
	if !since.IsZero() {
		completed += " AND CloseTime >= '" + since.UTC().Format(time.RFC3339Nano) + "'"
	}
	return c.listed(ctx, c.ofType()+" AND (ExecutionStatus IN ('Running', 'Failed', 'Canceled', 'Terminated', 'TimedOut') OR ("+completed+"))")
}

// Interrupted yields, like All, the IDs of the sagas of which Temporal lists a run that closed without having come to its
// end. Errors: Unavailable.
func (c *flowClient[S, P]) Interrupted(ctx context.Context) iter.Seq2[string, error] {
	return c.listed(ctx, c.isInterrupted())
}

// listed yields the IDs of the sagas whose runs a query selects.
func (c *flowClient[S, P]) listed(ctx context.Context, query string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: runsPage}
		for {
			page, err := c.temporal.ListWorkflow(ctx, request)
			if err != nil {
				yield("", fault.Wrap(err, fault.Unavailable, "list the sagas of %ss", c.flow.Name))
				return
			}
			for _, e := range page.GetExecutions() {
				id, ours, err := c.idOf(e)
				if err != nil {
					yield("", err)
					return
				}
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

// idOf is the ID of the saga of a run. A workflow ID that was cut does not contain it, but the memo does. The error is Unavailable, for a memo whose
// key is missing.
func (c *flowClient[S, P]) idOf(run *workflowpb.WorkflowExecutionInfo) (id string, ours bool, err error) {
	workflowID := run.GetExecution().GetWorkflowId()
	if id, ours = c.flow.IDOf(workflowID); ours {
		return id, true, nil
	}
	err = c.converter.FromPayload(run.GetMemo().GetFields()[saga.MemoID], &id)
	if errors.Is(err, fault.Unavailable) {
		return "", false, fault.Wrap(err, fault.Unavailable, "read the memo of %s", workflowID)
	}
	return id, err == nil && c.flow.WorkflowID(id) == workflowID, nil
}

// Republish starts a run of a saga that has ended: it publishes every event of the saga again and closes. It is for
// sagas whose run was interrupted after their end, so that it is not known what was published. It does nothing while a run
// is there. Errors: NotFound for a saga without events, Invalid for one that has not ended, Unavailable.
func (c *flowClient[S, P]) Republish(ctx context.Context, id string) error {
	state, err := c.state(ctx, id)
	kit := c.flow.Kit(&state)
	switch {
	case err != nil:
		return err
	case !kit.Opened():
		return c.notFound(id)
	case !kit.Ended:
		return fault.New(fault.Invalid, "%s has not ended", c.name(id))
	}
	err = c.run(ctx, c.input(id, &state), enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	if err == nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "the run of an ended saga was interrupted: a new run publishes its events again",
			c.logID(id), slog.Int64("version", kit.Head.Version))
	}
	return ignoreConflict(err)
}

// found is a saga's workflow as Temporal has it.
type found[S any] struct {
	input saga.Input
	// state is the one that the input makes.
	state S
	// running reports that the workflow has not closed; startedAt is when its newest run started.
	running   bool
	startedAt time.Time
}

// find asks Temporal about a saga that the log does not know yet. The error is NotFound when Temporal does not know it either.
func (c *flowClient[S, P]) find(ctx context.Context, id string) (none found[S], err error) {
	described, err := c.temporal.DescribeWorkflowExecution(ctx, c.flow.WorkflowID(id), "")
	if err != nil {
		return none, c.notFoundOr(err, id)
	}
	info := described.GetWorkflowExecutionInfo()
	history := c.history(ctx, id, info.GetExecution().GetRunId())
	if !history.HasNext() {
		return none, fault.New(fault.NotFound, "%s has no history", c.name(id))
	}
	first, err := history.Next()
	if err != nil {
		return none, c.notFoundOr(err, id)
	}
	f := found[S]{running: info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, startedAt: info.GetStartTime().AsTime()}
	err = c.converter.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &f.input)
	if err != nil {
		return none, unreadable(err, "read the input of %s", c.name(id))
	}
	f.state, err = c.begun(f.input)
	return f, err
}

func (c *flowClient[S, P]) notFoundOr(err error, id string) error {
	if isNotFound(err) {
		return c.notFound(id)
	}
	return fault.Wrap(err, fault.Unavailable, "find the saga of %s", c.name(id))
}
