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
	changes := r.changes
	_, err := workflow.AwaitWithOptions(r.ctx, workflow.AwaitOptions{
		Timeout:      max(a.Until.Sub(workflow.Now(r.ctx)), time.Millisecond),
		TimerOptions: workflow.TimerOptions{Summary: "wait for " + a.For},
	}, func() bool { return r.changes != changes })
	return err
}

// sleep waits for a time. Facts do not end it: what waits here is tried again soon anyway.
func (r *orderRun) sleep(d time.Duration, summary string) error {
	return workflow.NewTimerWithOptions(r.ctx, d, workflow.TimerOptions{Summary: summary}).Get(r.ctx, nil)
}
