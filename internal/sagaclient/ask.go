package sagaclient

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/payloads"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	// askAttempts bounds how often something is sent again after its run closed under it.
	askAttempts = 4
	// askAgain is the pause before an Update that a run has rejected is sent again; it doubles up to askAgainMax.
	askAgain    = 20 * time.Millisecond
	askAgainMax = time.Second
)

// question is an Update of a saga.
type question struct {
	workflowID, name, id string
	request              any
}

// Cancel requests the cancellation of a saga and waits for the answer, which is then in the log. What the log answers
// already makes no Update. Errors: NotFound; Unavailable when no worker answers in time: ask again with the same ID.
func (c *flowClient[S, P]) Cancel(ctx context.Context, id string, request saga.Cancellation) (saga.CancelAnswer, error) {
	if c.flow.Endless {
		s, err := c.state(ctx, id)
		if err == nil && !c.flow.Kit(&s).Opened() {
			err = c.notFound(id)
		}
		return saga.CancelAnswer{Status: c.flow.ViewOf(&s).Status, Detail: c.flow.RefusalText(&s)}, err
	}
	q := question{c.flow.WorkflowID(id), saga.UpdateCancel, request.ID, request}
	return ask(ctx, c, id, q, func(s *S) (saga.CancelAnswer, bool) {
		v := c.flow.CancelAnswer(s)
		if !c.flow.Kit(s).AnswersCancellation() {
			return v, false
		}
		if !v.Accepted {
			c.refused(ctx, id, request.ID, v.Detail)
		}
		return v, true
	})
}

// refused notes a refusal that makes no event: an earlier one, or the end of the saga, is the answer.
func (c *flowClient[S, P]) refused(ctx context.Context, id, requestID, detail string) {
	c.logger.LogAttrs(ctx, slog.LevelInfo, "cancellation refused", c.logID(id),
		slog.String("request_id", requestID), slog.String("detail", detail))
	if c.onRefusal != nil {
		c.onRefusal()
	}
}

// ask answers a question from the log, if answer can, or sends it to the saga's run and waits.
func ask[V, S, P any](ctx context.Context, c *flowClient[S, P], id string, q question, answer func(*S) (V, bool)) (V, error) {
	var none V
	leave := func() {}
	defer func() { leave() }()
	for entered, rejected, closed := false, 0, 0; ; {
		state, err := c.state(ctx, id)
		if err != nil {
			return none, err
		}
		if result, ok := answer(&state); c.flow.Kit(&state).Opened() && ok {
			c.lookAfter(ctx, id, &state)
			return result, nil
		}
		if !entered {
			out, waited, err := c.gate.enter(ctx, q.workflowID)
			if err != nil {
				return none, err
			}
			if leave, entered = out, true; waited {
				continue
			}
		}
		result, err := update[V](ctx, c.temporal, q)
		switch {
		case err == nil:
			return result, nil
		case isTryAgain(err) && pause(ctx, rejected):
			// The log has the answer, or the run is about to continue as new.
			rejected++
			continue
		case ctx.Err() != nil || !gone(err):
			return none, fault.Wrap(err, fault.Unavailable, "%s %s", q.name, c.name(id))
		case closed == askAttempts-1:
			return none, fault.New(fault.Unavailable, "the saga of %s does not answer", c.name(id))
		}
		closed++
		switch _, err := c.Resume(ctx, id); {
		case errors.Is(err, fault.OrderUnknown):
			return none, c.notFound(id)
		case err != nil:
			return none, err
		}
		c.logger.LogAttrs(ctx, slog.LevelInfo, "ask the saga again", c.logID(id),
			slog.String("update", q.name), slog.Int("attempt", closed))
	}
}

// pause waits before an Update is sent again. It reports false when ctx is done.
func pause(ctx context.Context, n int) bool {
	timer := time.NewTimer(min(askAgain<<min(n, 10), askAgainMax))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// lookAfter starts a new run of an open saga whose workflow is gone, as an Update would have done. It looks once in a while:
// frequent requests must not cause a check each. What it cannot do is done with the next request, or by reconcile.
func (c *flowClient[S, P]) lookAfter(ctx context.Context, id string, s *S) {
	if c.flow.Kit(s).Ended || c.looked.again(id, time.Now()) {
		return
	}
	run, err := c.Inspect(ctx, id)
	if err == nil && !run.Running {
		_, err = c.Resume(ctx, id)
	}
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "cannot check or resume the run of a saga", c.logID(id), slog.Any("error", err))
	}
}

// update sends a question once and waits for the answer.
func update[V any](ctx context.Context, c client.Client, q question) (result V, err error) {
	handle, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: q.workflowID, UpdateID: q.id, UpdateName: q.name,
		WaitForStage: client.WorkflowUpdateStageCompleted, Args: []any{q.request},
	})
	if err != nil {
		return result, err
	}
	err = payloads.Guard(func() error { return handle.Get(ctx, &result) })
	return result, err
}

// isNotFound reports that no open run is there: never started, closed, or deleted.
func isNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

// isAborted reports that an Update was thrown away because its run closed or its workflow task failed.
func isAborted(err error) bool {
	var aborted *serviceerror.Aborted
	var notReady *serviceerror.WorkflowNotReady
	var failed *temporal.ApplicationError
	return errors.As(err, &aborted) || errors.As(err, &notReady) ||
		errors.As(err, &failed) && failed.Type() == "AcceptedUpdateCompletedWorkflow"
}

// isTryAgain reports that a run has rejected an Update, which is to be sent again under the same id.
func isTryAgain(err error) bool {
	var failed *temporal.ApplicationError
	return errors.As(err, &failed) && failed.Type() == saga.TryAgain
}

// gone reports that the run which was asked does not answer any more: another one may.
func gone(err error) bool { return isNotFound(err) || isAborted(err) }

// Resolve sends an operator's decision to its saga, or to the one that handles late events when the saga has ended, and waits for the answer. An
// accepted decision is then in the log. It returns the decision with its ID and the number of the attention; see saga.Resolution.Identified for
// the key. Errors: NotFound; Unavailable when no worker answers in time: ask again.
func (c *flowClient[S, P]) Resolve(ctx context.Context, id string, d saga.Resolution, key string) (saga.Resolution, saga.ResolveAnswer, error) {
	s, err := c.state(ctx, id)
	if err != nil {
		return d, saga.ResolveAnswer{}, err
	}
	kit := c.flow.Kit(&s)
	about := d.Identified(c.flow.StreamOf(id), kit.Attention, key)
	if kit.Ended && c.late != nil {
		return c.resolveLate(ctx, &s, d, about, key)
	}
	q := question{c.flow.WorkflowID(id), saga.UpdateResolve, about.ID, about}
	result, err := ask(ctx, c, id, q, func(s *S) (saga.ResolveAnswer, bool) {
		return c.flow.ResolveAnswer(s, about), c.flow.Kit(s).Recorded(about.ID) || c.flow.RejectResolution(s, about) != ""
	})
	return about, result, err
}

// resolveLate brings a decision about a saga that has ended. About is the decision as one about that saga itself: it may have been followed
// before the saga ended.
func (c *flowClient[S, P]) resolveLate(
	ctx context.Context, s *S, d, about saga.Resolution, key string,
) (saga.Resolution, saga.ResolveAnswer, error) {
	itself := c.flow.ResolveAnswer(s, about)
	kit := c.flow.Kit(s)
	late, err := c.late.View(ctx, kit.ID)
	switch {
	case errors.Is(err, fault.NotFound):
		return about, itself, nil
	case err != nil:
		return d, saga.ResolveAnswer{}, err
	case kit.Recorded(about.ID) && (late.Attention == nil || d.Attention != 0 || key != ""):
		// A decision without an attention and a key is about what is open now.
		return about, itself, nil
	}
	decision, result, err := c.late.Resolve(ctx, kit.ID, d, key)
	if err == nil && !result.Accepted && late.Status == saga.Completed {
		return about, itself, nil
	}
	return decision, result, err
}
