package sagaclient_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// said is an intervention; decision is an intervention for the first attention of the order.
var (
	said     = order.Resolution{Action: order.Skip, By: "ada", Note: "counted by hand"}
	decision = said.Identified(event.OrderStream("42"), order.AttentionState{Count: 1}, "")
)

func TestResolveReturnsTheAnswer(t *testing.T) {
	for _, answer := range []saga.ResolveAnswer{
		{Accepted: true, Status: order.StatusCancelled},
		{Status: order.StatusCompensating, Detail: "nothing is stuck: the order is compensating"},
	} {
		w := newWorld(t)
		w.stuck(tea())
		w.ran(tea(), true)
		w.temporal.answers = []any{answer}
		about, got, err := w.client.Resolve(t.Context(), "42", said, "")
		require.NoError(t, err)
		require.Equal(t, answer, got)
		require.Equal(t, decision, about)
		require.Equal(t, []client.UpdateWorkflowOptions{{
			UpdateID: decision.ID, WorkflowID: "order-42", UpdateName: "resolve", Args: []any{decision},
			WaitForStage: client.WorkflowUpdateStageCompleted,
		}}, w.temporal.updates)
	}
}

func TestResolveOfEndedOrderReportsRecordedDecision(t *testing.T) {
	w := newWorld(t)
	w.cancelled(tea(), "evt-7")
	_, answer, err := w.client.Resolve(t.Context(), "42", said, "")
	require.NoError(t, err)
	require.Equal(t, saga.ResolveAnswer{Status: order.StatusCancelled, Detail: "the order has ended: it is cancelled"}, answer)
	require.Empty(t, w.temporal.starts)

	w = newWorld(t)
	s := w.stuck(tea())
	w.write(s, order.Decisions(s, order.Facts{Resolutions: []order.Resolution{decision}}, now, order.DefaultTiming())...)
	_, answer, err = w.client.Resolve(t.Context(), "42", said, "")
	require.NoError(t, err)
	require.Equal(t, saga.ResolveAnswer{Accepted: true, Status: order.StatusCancelled}, answer)
}

func TestResolveOfUnknownOrderIsNotFound(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.client.Resolve(t.Context(), "42", said, "")
	require.Equal(t, fault.NotFound, fault.CodeOf(err))
}

func TestResolveOfStuckOrderWithoutRunStartsOne(t *testing.T) {
	w := newWorld(t)
	w.stuck(tea())
	w.ran(tea(), false)
	w.temporal.answers = []any{serviceerror.NewAborted("the workflow task failed"), saga.ResolveAnswer{Accepted: true}}
	_, answer, err := w.client.Resolve(t.Context(), "42", said, "")
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.Len(t, w.temporal.starts, 1, "the second time a run is there")
	require.Len(t, w.temporal.updates, 3)
	require.Equal(t, w.temporal.updates[0], w.temporal.updates[2], "the id makes it the same decision")
}

func TestResolveIsUnavailable(t *testing.T) {
	w := newWorld(t)
	w.temporal.down["update"] = errNoWay
	_, _, err := w.client.Resolve(t.Context(), "42", said, "")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
}
