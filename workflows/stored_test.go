package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// acceptance notes that an Update was accepted.
type acceptance struct {
	updateCallbacks
	accepted *bool
}

func (a *acceptance) Accept() { *a.accepted = true }

// Temporal forgets an Update whose workflow task fails, and what the task did remains. So nothing is done for an Update in the task that
// accepts it.
func TestUpdateIsStoredBeforeItsEffects(t *testing.T) {
	for name, update := range map[string]any{
		saga.UpdateCancel:  order.Cancellation{ID: "u-1"},
		saga.UpdateResolve: decision(order.Skip),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			fulfillment := order.Shipment
			if name == saga.UpdateResolve {
				fulfillment = order.Immediate
				w.gateway.down = map[string]int{"capture": forever}
			}
			accepted, timers, done := false, 0, 0
			w.env.SetOnTimerFiredListener(func(string) {
				if accepted {
					timers++
				}
			})
			w.env.SetOnLocalActivityStartedListener(func(info *activity.Info, _ context.Context, _ []any) {
				if accepted && done == 0 {
					require.Positive(t, timers, "%s comes in the task that accepts the Update", info.ActivityType.Name)
				}
				if accepted {
					done++
				}
			})
			w.env.RegisterDelayedCallback(func() {
				w.env.UpdateWorkflow(name, "u-1", &acceptance{
					updateCallbacks: updateCallbacks{complete: func(_ any, err error) { require.NoError(t, err) }},
					accepted:        &accepted,
				}, update)
			}, decideAt+time.Second)
			w.run(tea(fulfillment))
			require.True(t, accepted)
			require.Positive(t, done)
		})
	}
}
