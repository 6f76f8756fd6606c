package sagaclient

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/payloads"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// wake signals a workflow that closes when it has nothing left to do, and starts it when it is not there.
func wake(
	ctx context.Context, c client.Client, workflowID, signal, summary string, attributes []temporal.SearchAttributeUpdate, workflow string, in any,
) error {
	_, err := c.SignalWithStartWorkflow(ctx, workflowID, signal, nil, client.StartWorkflowOptions{
		TaskQueue:                saga.QueueOrders,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            saga.Summary(summary),
		TypedSearchAttributes:    temporal.NewSearchAttributes(attributes...),
	}, workflow, in)
	return err
}

// Wake has the saga of a state of an endless flow do what is left to be done. Where the flow has a signal More, the run that is there reads its
// stream again; otherwise a saga has one run, and one more when it is resumed. Fresh reports that the saga is new. Errors: Unavailable.
func (c *flowClient[S, P]) Wake(ctx context.Context, s S, fresh bool) (err error) {
	id := c.flow.Kit(&s).ID
	in := saga.Input{ID: id}
	if !fresh && !c.flow.Private {
		in.Resume = &saga.Resume{}
		if in.Resume.Published, err = c.published(ctx, id); err != nil {
			return err
		}
	}
	if c.flow.More != "" {
		err = wake(ctx, c.temporal, c.flow.WorkflowID(id), c.flow.More, c.rule.Summary(&s), c.rule.Attributes(&s), c.flow.WorkflowType(), in)
	} else {
		err = c.startEndless(ctx, &s, in, fresh)
	}
	return fault.Wrap(err, fault.Unavailable, "start the saga of %s", c.name(id))
}

// startEndless starts a run, unless one is there, or has been there and the saga is new.
func (c *flowClient[S, P]) startEndless(ctx context.Context, s *S, in saga.Input, fresh bool) error {
	reuse := enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	if fresh {
		reuse = enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	}
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: c.flow.WorkflowID(in.ID), TaskQueue: c.flow.Queue, WorkflowIDReusePolicy: reuse,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            saga.Summary(c.rule.Summary(s)),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(c.rule.Attributes(s)...),
	}, c.flow.WorkflowType(), in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return nil
	}
	return err
}

// published returns the version up to which the newest run of a saga has published: 0 when it did not come to its end, or is forgotten. Then
// everything is published once more.
func (c *flowClient[S, P]) published(ctx context.Context, id string) (int64, error) {
	described, err := c.describe(ctx, id)
	if err != nil || described == nil {
		return 0, err
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return 0, nil
	}
	var result saga.Result
	run := c.temporal.GetWorkflow(ctx, c.flow.WorkflowID(id), info.GetExecution().GetRunId())
	err = payloads.Guard(func() error { return run.Get(ctx, &result) })
	if isNotFound(err) {
		return 0, nil
	}
	return result.Version, fault.Wrap(err, fault.Unavailable, "read the result of the saga of %s", c.name(id))
}

// SettleLate has the saga that the flow's rule names handle what came after the end of a saga. What came is in the log. Errors: Unavailable.
func (c *flowClient[S, P]) SettleLate(ctx context.Context, s S) error {
	id, rule := c.flow.Kit(&s).ID, c.flow.Late
	err := wake(ctx, c.temporal, rule.WorkflowID(id), rule.Signal, rule.Summary(id), rule.Attributes(&s), rule.Workflow, saga.Input{ID: id})
	return fault.Wrap(err, fault.Unavailable, "handle what came late for %s", c.name(id))
}

// ResumeLate is SettleLate for a caller that has only the saga's ID. Errors: NotFound for a saga without events, Unavailable.
func (c *flowClient[S, P]) ResumeLate(ctx context.Context, id string) error {
	s, err := c.state(ctx, id)
	switch {
	case err != nil:
		return err
	case !c.flow.Kit(&s).Opened():
		return c.notFound(id)
	}
	return c.SettleLate(ctx, s)
}
