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
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
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

// Cancel requests the cancellation of an order and waits for the verdict, which is in the log then. What the log answers
// already makes no Update. Errors: NotFound; Unavailable when no worker answers in time: ask again with the same id.
func (c *Client) Cancel(ctx context.Context, orderID string, request order.Cancellation) (workflows.CancelVerdict, error) {
	q := question{workflows.OrderWorkflowID(orderID), workflows.UpdateCancel, request.ID, request}
	return ask(ctx, c, orderID, q, func(s order.State) (workflows.CancelVerdict, bool) {
		v := workflows.VerdictOf(s)
		if !s.AnswersCancellation() {
			return v, false
		}
		if !v.Accepted {
			c.refused(ctx, orderID, request.ID, v.Detail)
		}
		return v, true
	})
}

// refused notes a refusal that makes no event: an earlier one, or the end of the order, is the answer.
func (c *Client) refused(ctx context.Context, orderID, requestID, detail string) {
	c.logger.LogAttrs(ctx, slog.LevelInfo, "a cancellation is refused", slog.String("order_id", orderID),
		slog.String("request_id", requestID), slog.String("detail", detail))
	if c.onRefusal != nil {
		c.onRefusal()
	}
}

// ask answers a question from the log, if answer can, or sends it to the order's run and waits.
func ask[V any](ctx context.Context, c *Client, orderID string, q question, answer func(order.State) (V, bool)) (V, error) {
	var none V
	leave := func() {}
	defer func() { leave() }()
	for entered, rejected, closed := false, 0, 0; ; {
		state, err := c.state(ctx, orderID)
		if err != nil {
			return none, err
		}
		if verdict, ok := answer(state); state.Opened() && ok {
			c.lookAfter(ctx, state)
			return verdict, nil
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
		verdict, err := update[V](ctx, c, q)
		switch {
		case err == nil:
			return verdict, nil
		case isTryAgain(err) && pause(ctx, rejected):
			// The log has the answer, or the run is about to continue as new.
			rejected++
			continue
		case ctx.Err() != nil || !gone(err):
			return none, fault.Wrap(err, fault.Unavailable, "%s order %s", q.name, orderID)
		case closed == askAttempts-1:
			return none, fault.New(fault.Unavailable, "the saga of order %s does not answer", orderID)
		}
		closed++
		switch _, err := c.Resume(ctx, orderID); {
		case errors.Is(err, fault.OrderUnknown):
			return none, fault.New(fault.NotFound, "there is no order %s", orderID)
		case err != nil:
			return none, err
		}
		c.logger.LogAttrs(ctx, slog.LevelInfo, "ask the saga again", slog.String("order_id", orderID),
			slog.String("update", q.name), slog.Int("attempt", closed))
	}
}

// pause waits before an Update is sent again. It reports whether ctx goes on.
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

// lookAfter starts a new run of an open order whose workflow is gone, as an Update would have done. It looks once in a while:
// who asks often is not to cost a look each time. What it cannot do is done by whoever asks next, or by reconcile.
func (c *Client) lookAfter(ctx context.Context, s order.State) {
	if s.Ended || c.looked.again(s.Order.ID, time.Now()) {
		return
	}
	run, err := c.Inspect(ctx, s.Order.ID)
	if err == nil && !run.Running {
		_, err = c.Resume(ctx, s.Order.ID)
	}
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "cannot look after the run of an order", slog.String("order_id", s.Order.ID), slog.Any("error", err))
	}
}

// update sends a question once and waits for the answer.
func update[V any](ctx context.Context, c *Client, q question) (verdict V, err error) {
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: q.workflowID, UpdateID: q.id, UpdateName: q.name,
		WaitForStage: client.WorkflowUpdateStageCompleted, Args: []any{q.request},
	})
	if err != nil {
		return verdict, err
	}
	err = handle.Get(ctx, &verdict)
	return verdict, err
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
	return errors.As(err, &failed) && failed.Type() == workflows.TryAgain
}

// gone reports that the run which was asked does not answer any more: another one may.
func gone(err error) bool { return isNotFound(err) || isAborted(err) }
