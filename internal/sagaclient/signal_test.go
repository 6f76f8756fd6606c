package sagaclient_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var hint = order.PaymentHint{ID: "h-1", Cause: "evt-1", Succeeded: true}

func TestSignalReachesTheRun(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), true)
	late, err := w.client.Signal(t.Context(), "42", order.SignalPayment, hint)
	require.NoError(t, err)
	require.Nil(t, late)
	require.Equal(t, []signal{{"order-42", order.SignalPayment, hint}}, w.temporal.signals)
	require.Zero(t, w.log.reads, "the log is not asked as long as the run answers")
	require.Empty(t, w.temporal.starts)
}

func TestSignalToUnknownOrder(t *testing.T) {
	w := newWorld(t)
	late, err := w.client.Signal(t.Context(), "42", order.SignalPayment, hint)
	require.Equal(t, fault.OrderUnknown, fault.CodeOf(err))
	require.Nil(t, late)
	require.Empty(t, w.temporal.starts)
}

// TestAcceptedOrderIsNotLost: its workflow was terminated before the first event was written, so Temporal alone
// knows of it.
func TestAcceptedOrderIsNotLost(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	late, err := w.client.Signal(t.Context(), "42", order.SignalPayment, hint)
	require.NoError(t, err)
	require.Nil(t, late)
	require.Equal(t, tea(), w.temporal.beganWith(t), "a new run begins with what the first was given")
	require.Len(t, w.temporal.signals, 1, "and gets the signal")
}

func TestSignalToEndedOrderIsLate(t *testing.T) {
	w := newWorld(t)
	state := w.cancelled(tea(), "evt-7")
	w.ran(tea(), false)
	late, err := w.client.Signal(t.Context(), "42", order.SignalPayment, hint)
	require.NoError(t, err)
	require.NotNil(t, late)
	require.Equal(t, state, late.State)
	require.True(t, order.Recorded(late.State, order.Cancellation{ID: "c-1", Cause: "evt-7"}))
	require.False(t, order.Recorded(late.State, order.Cancellation{ID: "c-2", Cause: "evt-7"}), "the id of another source")
	require.False(t, order.Recorded(late.State, order.PaymentHint{ID: "c-1", Cause: "evt-7"}), "another type")
	require.Empty(t, w.temporal.starts, "what has ended is not run again")
	require.Empty(t, w.temporal.signals)
}

func TestSignalToOpenOrderWithoutRunStartsOne(t *testing.T) {
	for name, deleted := range map[string]bool{"closed": false, "deleted": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open(tea())
			if !deleted {
				w.ran(tea(), false)
			}
			late, err := w.client.Signal(t.Context(), "42", order.SignalPayment, hint)
			require.NoError(t, err)
			require.Nil(t, late)
			require.Len(t, w.temporal.starts, 1)
			require.Equal(t, allowDuplicate, w.temporal.starts[0].WorkflowIDReusePolicy)
			in := inputOf(t, tea())
			in.CorrelationID, in.CallerID = "first", true
			if !deleted {
				in.Resume = &saga.Resume{Recover: &saga.RecoverCursor{Run: "r-1"}}
			}
			require.Equal(t, in, w.temporal.began(t), "it goes on from the log, and takes over what the run before was told")
			require.Equal(t, []signal{{"order-42", order.SignalPayment, hint}}, w.temporal.signals)
		})
	}
}

func TestSignalRetriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.open(tea())
	w.temporal.brief = true
	_, err := w.client.Signal(t.Context(), "42", order.SignalPayment, hint)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.Len(t, w.temporal.starts, 4)
}

func TestSignalIsUnavailable(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"without Temporal":       func(w *world) { w.temporal.down["signal"] = errNoWay },
		"without the log":        func(w *world) { w.log.down = true },
		"without a way to start": func(w *world) { w.open(tea()); w.temporal.down["start"] = errNoWay },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spoil(w)
			late, err := w.client.Signal(t.Context(), "42", order.SignalPayment, hint)
			require.Equal(t, fault.Unavailable, fault.CodeOf(err))
			require.Nil(t, late)
		})
	}
}

func TestResume(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.Resume(t.Context(), "42")
	require.Equal(t, fault.OrderUnknown, fault.CodeOf(err))

	open := w.open(tea())
	w.ran(tea(), true)
	state, err := w.client.Resume(t.Context(), "42")
	require.NoError(t, err, "an order that runs is left alone")
	require.Equal(t, open, state)
	require.Equal(t, "first", w.temporal.began(t).CorrelationID)
}

var cancellation = order.Cancellation{ID: "c-1", Reason: "no tea"}

func TestCancelReturnsTheAnswer(t *testing.T) {
	for _, answer := range []saga.CancelAnswer{
		{Accepted: true, Status: order.StatusCompensating},
		{Status: order.StatusShipped, Detail: "the goods have been dispatched"},
	} {
		w := newWorld(t)
		w.ran(tea(), true)
		w.temporal.answers = []any{answer}
		got, err := w.client.Cancel(t.Context(), "42", cancellation)
		require.NoError(t, err)
		require.Equal(t, answer, got)
		require.Equal(t, []client.UpdateWorkflowOptions{{
			UpdateID: "c-1", WorkflowID: "order-42", UpdateName: "cancel", Args: []any{cancellation},
			WaitForStage: client.WorkflowUpdateStageCompleted,
		}}, w.temporal.updates)
	}
}

// Requests that the log can answer send no Update.
func TestAnswerFromLogNeedsNoUpdate(t *testing.T) {
	for name, c := range map[string]struct {
		stream   func(w *world) order.State
		accepted bool
	}{
		"cancelled": {func(w *world) order.State { return w.stuck(tea()) }, true},
		"refused":   {func(w *world) order.State { return w.refused(tea()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := c.stream(w)
			require.False(t, s.Ended)
			w.ran(tea(), true)
			for range 3 {
				answer, err := w.client.Cancel(t.Context(), "42", cancellation)
				require.NoError(t, err)
				require.Equal(t, order.Flow.CancelAnswer(&s), answer)
				require.Equal(t, c.accepted, answer.Accepted)
				late, err := w.client.Signal(t.Context(), "42", saga.SignalCancel, cancellation)
				require.NoError(t, err)
				require.Nil(t, late)
			}
			require.Empty(t, w.temporal.updates)
			require.Empty(t, w.temporal.signals)
			require.Empty(t, w.temporal.starts)

			w.ran(tea(), false)
			w.client = w.newClient()
			_, err := w.client.Cancel(t.Context(), "42", cancellation)
			require.NoError(t, err)
			require.Len(t, w.temporal.starts, 1, "a run that is gone is replaced all the same")
		})
	}
}

// A run that is about to continue as new rejects Updates; the same one is sent again.
func TestRejectedUpdateIsResent(t *testing.T) {
	again := sdk.NewApplicationError("again", saga.TryAgain)
	w := newWorld(t)
	w.open(tea())
	w.ran(tea(), true)
	w.temporal.answers = []any{again, again, again, again, again, saga.CancelAnswer{Accepted: true}}
	answer, err := w.client.Cancel(t.Context(), "42", cancellation)
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.Len(t, w.temporal.updates, 6)
	for _, u := range w.temporal.updates {
		require.Equal(t, cancellation.ID, u.UpdateID)
	}
}

func TestCancelOfEndedOrderReturnsItsStatus(t *testing.T) {
	w := newWorld(t)
	w.cancelled(tea(), "evt-7")
	answer, err := w.client.Cancel(t.Context(), "42", cancellation)
	require.NoError(t, err)
	require.True(t, answer.Accepted, "it is cancelled, by whichever request")
	require.Equal(t, order.StatusCancelled, answer.Status)

	w = newWorld(t)
	w.rejected(tea())
	answer, err = w.client.Cancel(t.Context(), "42", cancellation)
	require.NoError(t, err)
	require.Equal(t, saga.CancelAnswer{Status: order.StatusRejected, Detail: "the order has ended: it is rejected"}, answer)
	require.Empty(t, w.temporal.starts)
}

func TestCancelOfUnknownOrderIsNotFound(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.Cancel(t.Context(), "42", cancellation)
	require.Equal(t, fault.NotFound, fault.CodeOf(err))
}

func TestCancelOfOpenOrderWithoutRunStartsOne(t *testing.T) {
	w := newWorld(t)
	w.open(tea())
	w.ran(tea(), false)
	w.temporal.answers = []any{saga.CancelAnswer{Accepted: true, Status: order.StatusCompensating}}
	answer, err := w.client.Cancel(t.Context(), "42", cancellation)
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.Len(t, w.temporal.starts, 1)
	require.Len(t, w.temporal.updates, 2)
	require.Equal(t, w.temporal.updates[0], w.temporal.updates[1], "the id makes it the same request")
}

func TestCancelIsRetriedWhenItsRunCloses(t *testing.T) {
	for name, thrown := range map[string]error{
		"aborted":   serviceerror.NewAborted("the workflow task failed"),
		"not ready": serviceerror.NewWorkflowNotReady("not ready"),
		"not found": serviceerror.NewNotFound("workflow execution already completed"),
		"completed": sdk.NewApplicationError("the workflow completed", "AcceptedUpdateCompletedWorkflow"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open(tea())
			w.ran(tea(), true)
			w.temporal.answers = []any{thrown, saga.CancelAnswer{Accepted: true, Status: order.StatusCompensating}}
			answer, err := w.client.Cancel(t.Context(), "42", cancellation)
			require.NoError(t, err)
			require.True(t, answer.Accepted)
		})
	}
}

func TestCancelIsUnavailable(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"without Temporal": func(w *world) { w.temporal.down["update"] = errNoWay },
		"without a worker": func(w *world) {
			w.temporal.down["update"] = client.NewWorkflowUpdateServiceTimeoutOrCanceledError(context.DeadlineExceeded)
		},
		"without the log":        func(w *world) { w.log.down = true },
		"without a way to start": func(w *world) { w.open(tea()); w.temporal.down["start"] = errNoWay },
		"when runs close at once": func(w *world) {
			w.open(tea())
			w.temporal.brief = true
		},
		"when the Update fails otherwise": func(w *world) {
			w.open(tea())
			w.ran(tea(), true)
			w.temporal.answers = []any{sdk.NewApplicationError("no", "other")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spoil(w)
			_, err := w.client.Cancel(t.Context(), "42", cancellation)
			require.Equal(t, fault.Unavailable, fault.CodeOf(err))
			require.LessOrEqual(t, len(w.temporal.updates), 4)
		})
	}
}

func TestCancelEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.open(tea())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.client.Cancel(ctx, "42", cancellation)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.Empty(t, w.temporal.updates, "no question for a caller who has left")
}
