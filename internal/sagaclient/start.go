package sagaclient

import (
	"context"
	"errors"
	"log/slog"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// start starts a saga. Replayed is true when it was there already, with the same data; the error is Conflict when it was there
// with other data, and that of check, which may be nil, for a new one that breaks a rule for new sagas. Fresh reports that the ID
// was made for this request: it cannot have been used before, so the log is not asked. A saga that has ended stays as it is; an open
// one whose workflow is gone gets a new run.
func (c *flowClient[S, P]) start(ctx context.Context, in saga.Input, fresh bool, check func() error) (replayed bool, err error) {
	reuse := enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	if !fresh {
		state, err := c.started(ctx, in.ID)
		kit := c.flow.Kit(&state)
		switch {
		case err != nil:
			return false, err
		case kit.Opened() && !c.flow.SameStart(&state, in.Data):
			return false, c.conflict(in.ID)
		case kit.Ended:
			return true, nil
		case kit.Opened():
			// Running, most likely; else the new run finishes it.
			replayed, reuse = true, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
		}
	}
	if !replayed {
		if err := c.checkNew(ctx, in.ID, fresh, check); err != nil {
			return false, err
		}
	}
	err = c.run(ctx, in, reuse)
	if !errors.Is(err, fault.Conflict) {
		return replayed, err
	}
	if replayed {
		return true, nil
	}
	return true, c.compare(ctx, in)
}

// started is state for a saga that most likely is not there yet: that costs a look at one record.
func (c *flowClient[S, P]) started(ctx context.Context, id string) (none S, err error) {
	first, err := c.log.Read(ctx, c.flow.StreamOf(id), 0, 1)
	if err != nil || len(first) == 0 {
		return none, err
	}
	return c.state(ctx, id)
}

// checkNew holds a saga that the log does not have to the rules for new ones, unless Temporal has it. The error is
// Invalid, or Unavailable when Temporal cannot be asked.
func (c *flowClient[S, P]) checkNew(ctx context.Context, id string, fresh bool, check func() error) error {
	if check == nil {
		return nil
	}
	invalid := check()
	if invalid == nil || fresh {
		return invalid
	}
	_, err := c.find(ctx, id)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.NotFound):
		return invalid
	}
	return err
}

// compare is called when a workflow of the saga's ID is there, or was. It compares the data, and starts
// a new run when the workflow is closed and the saga is not.
func (c *flowClient[S, P]) compare(ctx context.Context, in saga.Input) error {
	standing, err := c.find(ctx, in.ID)
	if err != nil {
		// It existed a moment ago; the caller must ask again.
		return fault.Wrap(err, fault.Unavailable, "compare %s", c.name(in.ID))
	}
	if !c.flow.SameStart(&standing.state, in.Data) {
		return c.conflict(in.ID)
	}
	if standing.running {
		return nil
	}
	state, err := c.state(ctx, in.ID)
	if err != nil || c.flow.Kit(&state).Ended {
		return err
	}
	return ignoreConflict(c.run(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE))
}

// Resume starts a new run of an open saga whose workflow is gone. It does nothing to a saga that runs. It
// returns its state, which is zero for a saga whose workflow ended before its first event; the error is
// OrderUnknown when neither the log nor Temporal knows it.
func (c *flowClient[S, P]) Resume(ctx context.Context, id string) (S, error) {
	state, err := c.state(ctx, id)
	if err != nil || c.flow.Kit(&state).Ended {
		return state, err
	}
	err = c.resume(ctx, id, &state)
	return state, err
}

// StartRun starts a run of a saga that has none and is not over. Errors: as of Resume.
func (c *flowClient[S, P]) StartRun(ctx context.Context, id string) error {
	_, err := c.Resume(ctx, id)
	return err
}

// resume is Resume for a saga whose state is known: it has not ended.
func (c *flowClient[S, P]) resume(ctx context.Context, id string, s *S) error {
	if c.flow.Endless {
		if !c.flow.Kit(s).Opened() {
			return c.unknown(id)
		}
		return c.Wake(ctx, *s, false)
	}
	in := c.input(id, s)
	// It is unknown who chose the ID, and whether the previous run checked for early cancellations.
	in.CallerID = true
	kit := c.flow.Kit(s)
	if !kit.Opened() {
		// It may have been accepted all the same: its workflow was terminated before it had done anything.
		found, err := c.find(ctx, id)
		switch {
		case errors.Is(err, fault.NotFound):
			return c.unknown(id)
		case err != nil:
			return err
		}
		in = found.input
		in.Resume = nil
	}
	err := c.run(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	if err == nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "an open saga had no workflow: a new run continues it",
			c.logID(id), slog.Int64("version", kit.Head.Version))
	}
	return ignoreConflict(err)
}

// run starts a run, which takes over from the one before if it may replace it. The error is Conflict when a run of that ID is there, or
// was and the policy minds.
func (c *flowClient[S, P]) run(ctx context.Context, in saga.Input, reuse enumspb.WorkflowIdReusePolicy) (err error) {
	if reuse == enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE {
		if in, err = c.carryOver(ctx, in); err != nil {
			return err
		}
	}
	return c.execute(ctx, in, reuse)
}

// execute starts a run with just this input. Errors: as of run.
func (c *flowClient[S, P]) execute(ctx context.Context, in saga.Input, reuse enumspb.WorkflowIdReusePolicy) error {
	s, err := c.begun(in)
	if err != nil {
		return err
	}
	attributes := append(c.rule.Attributes(&s), c.flow.StatusKey().ValueSet(string(saga.Accepted)), saga.NeedsAttentionAttribute.ValueSet(false))
	workflowID := c.flow.WorkflowID(in.ID)
	var memo map[string]any
	if _, derivable := c.flow.IDOf(workflowID); !derivable {
		memo = map[string]any{saga.MemoID: in.ID}
	}
	_, err = c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflowID,
		Memo:                                     memo,
		TaskQueue:                                c.flow.Queue,
		WorkflowIDReusePolicy:                    reuse,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         c.eager,
		StaticSummary:                            saga.Summary(c.rule.Summary(&s)),
		StaticDetails:                            saga.Details(c.rule.Details(&s)),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
	}, c.flow.WorkflowType(), in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return c.conflict(in.ID)
	}
	return fault.Wrap(err, fault.Unavailable, "start the saga of %s", c.name(in.ID))
}
