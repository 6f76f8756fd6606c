package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// watch counts the attempts of local and of regular activities.
func (w *world) watch() (inline, regular map[string]int) {
	inline, regular = map[string]int{}, map[string]int{}
	w.env.SetOnLocalActivityStartedListener(func(info *activity.Info, _ context.Context, _ []any) { inline[info.ActivityType.Name]++ })
	w.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		regular[info.ActivityType.Name]++
	})
	return inline, regular
}

// TestSlowStepsAreRegularActivities: the calls of a step that another service takes never run inside a workflow task.
func TestSlowStepsAreRegularActivities(t *testing.T) {
	for _, slow := range [][]string{nil, {order.StepReserve, order.StepCommit}} {
		w := newWorld(t)
		w.slow = slow
		inline, regular := w.watch()
		require.Equal(t, saga.Completed, w.run(tea(order.Immediate)).Status)
		for _, call := range []string{"inventory.Reserve", "inventory.Commit"} {
			require.Equal(t, slow == nil, inline[call] > 0, call)
			require.Equal(t, slow != nil, regular[call] > 0, call)
		}
		require.Positive(t, inline["payment.Capture"])
	}
}

// TestGatedStepsRunInline: the calls of an external service run inside the workflow task, one attempt each, while the gate permits. A failed attempt becomes a
// regular activity, and the orders after it do not try.
func TestGatedStepsRunInline(t *testing.T) {
	gate := activities.NewGate(activities.GateConfig{Budget: time.Hour, Places: 1, Clock: time.Now})
	calls := []string{"inventory.Reserve", "payment.Authorize", "payment.Capture", "inventory.Commit"}
	place := func(prepare func(w *world)) (inline, regular map[string]int) {
		w := newWorld(t)
		w.inlinePayment, w.slow, w.gate = false, []string{order.StepReserve, order.StepCommit}, gate
		prepare(w)
		inline, regular = w.watch()
		require.Equal(t, saga.Completed, w.run(tea(order.Immediate)).Status)
		require.Equal(t, happyImmediate, w.timeline())
		return inline, regular
	}
	inline, regular := place(func(*world) {})
	for _, call := range calls {
		require.Equal(t, 1, inline[call], call)
		require.Zero(t, regular[call], call)
	}
	inline, regular = place(func(w *world) { w.gateway.down = map[string]int{"authorize": 1} })
	require.Equal(t, 1, inline["payment.Authorize"])
	require.Equal(t, 1, regular["payment.Authorize"])
	require.Zero(t, regular["payment.Capture"], "it is another operation")

	inline, regular = place(func(*world) {})
	require.Zero(t, inline["payment.Authorize"])
	require.Equal(t, 1, regular["payment.Authorize"])
	require.Equal(t, 1, inline["payment.Capture"])
}
