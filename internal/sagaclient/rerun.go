package sagaclient

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Rerun runs a saga of which Temporal has a run and the log has no event, as after the log was restored from an older
// backup. The new run begins with the data that Temporal knows, and gets the signals of the earlier run. A run that is
// still open decided on events that are gone: it is terminated. A saga whose run ended other than completed is run with a
// cancellation: its customer was notified of the cancellation, and must not be charged now. It does nothing once the log has an event.
//
// Errors: OrderUnknown when Temporal has no run; Conflict when its run did nothing, because its ID belonged to a saga with
// other content; Unavailable.
func (c *flowClient[S, P]) Rerun(ctx context.Context, id string) error {
	// Two, because the first one alone may be remembered by this process, and the server may have lost it.
	records, err := c.log.Read(ctx, c.flow.StreamOf(id), 0, 2)
	if err != nil || len(records) > 0 {
		return err
	}
	described, err := c.describe(ctx, id)
	switch {
	case err != nil:
		return err
	case described == nil:
		return c.unknown(id)
	}
	info := described.GetWorkflowExecutionInfo()
	runID := info.GetExecution().GetRunId()
	if info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		// Terminated first: signals from here on go to the new run.
		err := c.temporal.TerminateWorkflow(ctx, c.flow.WorkflowID(id), runID, "the log has no event of the "+c.flow.Name+": a new run starts from the beginning")
		if err != nil && !isNotFound(err) {
			return fault.Wrap(err, fault.Unavailable, "terminate the saga of %s", c.name(id))
		}
	}
	in, err := c.rerunInput(ctx, id, runID)
	if err != nil {
		return err
	}
	if err := c.execute(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE); err != nil {
		return ignoreConflict(err)
	}
	c.logger.LogAttrs(ctx, slog.LevelWarn, "the log had no event of a saga that Temporal knows: a new run starts from the beginning", c.logID(id))
	return nil
}

// rerunInput is the input of a run that replaces an earlier one of which the log has nothing.
func (c *flowClient[S, P]) rerunInput(ctx context.Context, id, runID string) (saga.Input, error) {
	before, err := c.readRun(ctx, id, runID)
	switch {
	case err != nil:
		return saga.Input{}, err
	case before.input == nil:
		return saga.Input{}, c.unknown(id)
	case before.conflict():
		return saga.Input{}, fault.New(fault.Conflict, "the run of %s did nothing: its ID was used with different content", c.name(id))
	}
	in := *before.input
	in.Resume, err = c.resumeAfter(ctx, id, runID, before)
	return in, err
}

// carryOverFromEnd adds to the input of a new run the facts that a run which completed had received, if the log does not have the saga's end: it
// was restored from a backup that is older than that. Otherwise the run has looked at everything.
func (c *flowClient[S, P]) carryOverFromEnd(ctx context.Context, in saga.Input, runID string) (saga.Input, error) {
	state, err := c.state(ctx, in.ID)
	if err != nil || c.flow.Kit(&state).Ended {
		return in, err
	}
	before, err := c.readRun(ctx, in.ID, runID)
	if errors.Is(err, fault.Corrupt) {
		// The saga continues from the log all the same.
		c.logger.LogAttrs(ctx, slog.LevelError, "the history of a completed saga cannot be read", c.logID(in.ID), slog.Any("error", err))
		return in, nil
	}
	if err != nil || before.input == nil || before.conflict() {
		return in, err
	}
	in.Resume, err = c.resumeAfter(ctx, in.ID, runID, before)
	return in, err
}

// resumeAfter is what a new run gets of an earlier one whose events are gone; nil when there is nothing. What that one was told
// is merged, so that it is bounded.
func (c *flowClient[S, P]) resumeAfter(ctx context.Context, id, runID string, before earlierRun) (*saga.Resume, error) {
	collected, err := c.allFacts(ctx, id, runID)
	if err != nil {
		return nil, err
	}
	facts := c.cancelAgain(before, collected, id, runID)
	if len(facts) == 0 {
		return nil, nil
	}
	return &saga.Resume{Missed: facts}, nil
}

// allFacts are the merged facts of a run and of those that it was to take over from.
func (c *flowClient[S, P]) allFacts(ctx context.Context, id, runID string) ([]saga.Fact, error) {
	from, err := c.predecessors(ctx, id, runID)
	if err != nil {
		return nil, err
	}
	collected, err := c.collect(ctx, id, from.Runs)
	if err != nil {
		return nil, err
	}
	// A signal that turns a saga back says how things are, such as that stock is missing. It is sent again as long as they are so: what an
	// earlier run received about it is outdated, and must not compensate a completed saga.
	return slices.DeleteFunc(collected.Facts(), func(f saga.Fact) bool { return c.flow.TurnBack != nil && f.Type == c.flow.TurnBack.Signal }), nil
}

// earlierRun is what the history of a run says besides its signals.
type earlierRun struct {
	// input is nil when the history is gone.
	input *saga.Input
	// result is nil unless the run completed.
	result *saga.Result
	// cancelled is the newest cancellation that was asked for by an Update and accepted.
	cancelled *saga.Cancellation
	// asked are the Updates that ask to cancel, by the history event that accepted them for execution.
	asked map[int64]saga.Cancellation
}

// conflict reports whether the run did nothing, because the ID belonged to a saga with other content.
func (r earlierRun) conflict() bool { return r.result != nil && r.result.Conflict }

// cancelAgain makes a new run decide about cancellations as the earlier one did. It returns the facts that it is to get.
func (c *flowClient[S, P]) cancelAgain(r earlierRun, facts []saga.Fact, id, runID string) []saga.Fact {
	switch {
	case r.result != nil && r.result.Status == saga.Completed:
		// All of them were refused.
		return slices.DeleteFunc(facts, c.flow.Cancels)
	case r.cancelled != nil:
	case r.result != nil:
		text := "the " + c.flow.Name + " had ended as " + string(r.result.Status)
		if r.result.Reason != "" {
			text += " (" + r.result.Reason + ")"
		}
		r.cancelled = &saga.Cancellation{ID: "rerun-" + runID, Reason: text + " before its events were lost"}
	default:
		return facts
	}
	return append(facts, c.flow.Cancellation(id, *r.cancelled))
}

// readRun reads the history of a run. Errors: Unavailable, also when a key is missing; Corrupt when it cannot be understood.
func (c *flowClient[S, P]) readRun(ctx context.Context, id, runID string) (earlierRun, error) {
	run := earlierRun{asked: make(map[int64]saga.Cancellation)}
	history := c.history(ctx, id, runID)
	for history.HasNext() {
		e, err := history.Next()
		if isNotFound(err) {
			return earlierRun{}, nil
		}
		if err != nil {
			return run, fault.Wrap(err, fault.Unavailable, "read the saga of %s", c.name(id))
		}
		if err := run.read(e, c.converter); err != nil {
			return run, unreadable(err, "read event %d of the saga of %s", e.GetEventId(), c.name(id))
		}
	}
	return run, nil
}

// read adds what an event says.
func (r *earlierRun) read(e *historypb.HistoryEvent, codec converter.DataConverter) error {
	switch {
	case e.GetWorkflowExecutionStartedEventAttributes() != nil:
		r.input = &saga.Input{}
		return codec.FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), r.input)
	case e.GetWorkflowExecutionCompletedEventAttributes() != nil:
		r.result = &saga.Result{}
		return codec.FromPayloads(e.GetWorkflowExecutionCompletedEventAttributes().GetResult(), r.result)
	case e.GetWorkflowExecutionUpdateAcceptedEventAttributes() != nil:
		input := e.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest().GetInput()
		if input.GetName() != saga.UpdateCancel {
			return nil
		}
		var asked saga.Cancellation
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
		var verdict saga.CancelAnswer
		if err := codec.FromPayloads(completed.GetOutcome().GetSuccess(), &verdict); err != nil {
			return err
		}
		if verdict.Accepted {
			r.cancelled = &asked
		}
	}
	return nil
}
