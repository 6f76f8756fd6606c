package sagaclient_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/workflows"
)

var decision = order.Resolution{ID: "d-1", Action: order.Skip, By: "ada", Note: "counted by hand", Attention: 1}

func TestResolveReturnsTheVerdict(t *testing.T) {
	for _, verdict := range []workflows.ResolveVerdict{
		{Accepted: true, Status: order.StatusCancelled},
		{Status: order.StatusCompensating, Detail: "nothing is stuck: the order is compensating"},
	} {
		w := newWorld(t)
		w.ran(tea(), true)
		w.temporal.verdicts = []any{verdict}
		got, err := w.client.Resolve(t.Context(), "42", decision)
		require.NoError(t, err)
		require.Equal(t, verdict, got)
		require.Equal(t, []client.UpdateWorkflowOptions{{
			UpdateID: "d-1", WorkflowID: "order-42", UpdateName: "resolve", Args: []any{decision},
			WaitForStage: client.WorkflowUpdateStageCompleted,
		}}, w.temporal.updates)
		require.Zero(t, w.log.reads)
	}
}

func TestResolveOfAnOrderThatHasEndedTellsWhetherItWasFollowed(t *testing.T) {
	w := newWorld(t)
	w.cancelled(tea(), "evt-7")
	verdict, err := w.client.Resolve(t.Context(), "42", decision)
	require.NoError(t, err)
	require.Equal(t, workflows.ResolveVerdict{Status: order.StatusCancelled, Detail: "the order has ended: it is cancelled"}, verdict)
	require.Empty(t, w.temporal.starts)

	w = newWorld(t)
	s := w.stuck(tea())
	w.write(s, order.Decisions(s, order.Facts{Resolutions: []order.Resolution{decision}}, now, order.DefaultTiming())...)
	verdict, err = w.client.Resolve(t.Context(), "42", decision)
	require.NoError(t, err)
	require.Equal(t, workflows.ResolveVerdict{Accepted: true, Status: order.StatusCancelled}, verdict)
}

func TestResolveOfAnOrderThatNobodyKnowsIsNotFound(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.Resolve(t.Context(), "42", decision)
	require.Equal(t, fault.NotFound, fault.CodeOf(err))
}

func TestResolveOfAStuckOrderWithoutARunGetsOne(t *testing.T) {
	w := newWorld(t)
	w.stuck(tea())
	w.ran(tea(), false)
	w.temporal.verdicts = []any{serviceerror.NewAborted("the workflow task failed"), workflows.ResolveVerdict{Accepted: true}}
	verdict, err := w.client.Resolve(t.Context(), "42", decision)
	require.NoError(t, err)
	require.True(t, verdict.Accepted)
	require.Len(t, w.temporal.starts, 1, "the second time a run is there")
	require.Len(t, w.temporal.updates, 3)
	require.Equal(t, w.temporal.updates[0], w.temporal.updates[2], "the id makes it the same decision")
}

func TestResolveIsUnavailable(t *testing.T) {
	w := newWorld(t)
	w.temporal.down["update"] = errNoWay
	_, err := w.client.Resolve(t.Context(), "42", decision)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
}
