package sagaclient

import (
	"context"
	"log/slog"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Lost returns the facts that interrupted runs received by signals, and that no later run was to take over. Such
// runs are followed by one that was started without sagaclient, or by an older version, which cut off what was too much. Of a
// run that is to take over now, nothing is lost. Errors: Unavailable.
func (c *flowClient[S, P]) Lost(ctx context.Context, id string) (saga.Facts, error) {
	runs, err := c.abandonedRuns(ctx, id)
	if err != nil {
		return saga.Facts{}, err
	}
	collected, err := c.collect(ctx, id, runs)
	if err != nil {
		return saga.Facts{}, err
	}
	return collected.Merged(), nil
}

// abandonedRuns returns the runs of a saga that were interrupted and that the newest run was not to take over from, oldest
// first; none when the newest run was interrupted itself.
func (c *flowClient[S, P]) abandonedRuns(ctx context.Context, id string) ([]string, error) {
	described, err := c.describe(ctx, id)
	if err != nil || described == nil {
		return nil, err
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
	newest, _, err := c.inputOf(ctx, id, first)
	if err != nil {
		return nil, err
	}
	var taken []string
	if r := newest.Resume; r != nil && r.Recover != nil {
		taken = r.Recover.Runs
		if r.Recover.Run != "" {
			cursor, err := c.predecessors(ctx, id, r.Recover.Run)
			if err != nil {
				return nil, err
			}
			taken = cursor.Runs
		}
	}
	page, err := c.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: "WorkflowId = '" + c.flow.WorkflowID(id) + "' AND " + c.isInterrupted(), PageSize: saga.MaxPredecessors,
	})
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "list the runs of %s", c.name(id))
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

// ResendSignals sends a saga again what Lost returns: an open run gets signals; of a saga that has ended, a new run records
// the late events. Errors: Unavailable.
func (c *flowClient[S, P]) ResendSignals(ctx context.Context, id string) error {
	state, err := c.state(ctx, id)
	if err != nil {
		return err
	}
	runs, err := c.abandonedRuns(ctx, id)
	if err != nil || len(runs) == 0 {
		return err
	}
	if kit := c.flow.Kit(&state); kit.Ended {
		in := c.input(id, &state)
		in.Resume = &saga.Resume{Recover: &saga.RecoverCursor{Runs: runs}, Published: kit.Head.Version}
		err = ignoreConflict(c.execute(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE))
		return fault.Wrap(err, fault.CodeOf(err), "signal %s again", c.name(id))
	}
	collected, err := c.collect(ctx, id, runs)
	if err != nil {
		return err
	}
	for _, fact := range collected.Facts() {
		if err := c.temporal.SignalWorkflow(ctx, c.flow.WorkflowID(id), "", saga.SignalFact, fact); err != nil {
			return fault.Wrap(err, fault.Unavailable, "signal %s again", c.name(id))
		}
	}
	c.logger.LogAttrs(ctx, slog.LevelWarn, "facts received by an interrupted run were sent to the saga again", c.logID(id))
	return nil
}
