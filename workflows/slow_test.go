package workflows_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// TestSlowStepsAreRegularActivities: the calls of a step that another service takes never run inside a workflow task.
func TestSlowStepsAreRegularActivities(t *testing.T) {
	for _, slow := range [][]string{nil, {order.StepReserve, order.StepCommit}} {
		w := newWorld(t)
		w.slow = slow
		inline, regular := map[string]bool{}, map[string]bool{}
		w.env.SetOnLocalActivityStartedListener(func(info *activity.Info, _ context.Context, _ []any) { inline[info.ActivityType.Name] = true })
		w.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
			regular[info.ActivityType.Name] = true
		})
		require.Equal(t, saga.Completed, w.run(tea(order.Immediate)).Status)
		for _, call := range []string{"inventory.Reserve", "inventory.Commit"} {
			require.Equal(t, slow == nil, inline[call], call)
			require.Equal(t, slow != nil, regular[call], call)
		}
		require.True(t, inline["payment.Capture"])
	}
}
