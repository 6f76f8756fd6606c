package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/internal/order"
)

// wait waits for a fact, until the action's time. Everything is published first, or meanwhile.
func (r *orderRun) wait(a order.Action) error {
	r.show("waiting for " + a.For)
	r.publishLater()
	return r.pause(max(a.Until.Sub(workflow.Now(r.ctx)), time.Millisecond), "wait for "+a.For)
}

// pause waits until a fact comes, at most for d. The timer ends with it: a saga that waits often does not collect
// timers, and the Temporal Web UI shows none that nobody waits for.
func (r *orderRun) pause(d time.Duration, summary string) error {
	changes := r.changes
	ctx, cancel := workflow.WithCancel(r.ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: summary})
	return workflow.Await(r.ctx, func() bool {
		r.takeIn()
		return timer.IsReady() || r.changes != changes
	})
}
