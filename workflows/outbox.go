package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// outbox are the records that stand in the log and are not known to be on the bus. Publishing never stops an
// order: steps publish what is here while they work, waits do it in the background, and a run does not close
// before it is empty.
type outbox struct {
	unpublished []event.Record
	// confirmed is the version up to which the broker has confirmed.
	confirmed int64
	// pending is the background publication; at most one, so that the stream's order is kept.
	pending bool
}

// add takes in records of the stream, in order; those that it has seen are passed over.
func (o *outbox) add(tail []event.Record) {
	newest := o.confirmed
	if n := len(o.unpublished); n > 0 {
		newest = o.unpublished[n-1].Version
	}
	for _, record := range tail {
		if record.Version > newest {
			o.unpublished = append(o.unpublished, record)
			newest = record.Version
		}
	}
}

// confirm forgets what the broker has confirmed.
func (o *outbox) confirm(version int64) {
	if version <= o.confirmed {
		return
	}
	o.confirmed = version
	for n, record := range o.unpublished {
		if record.Version > version {
			o.unpublished = append([]event.Record(nil), o.unpublished[n:]...)
			return
		}
	}
	o.unpublished = nil
}

// publishLater publishes what is left in the background: at once inside the workflow task when the broker is
// there, else by a regular activity that is retried for as long as it takes.
func (r *orderRun) publishLater() {
	if r.outbox.pending || len(r.outbox.unpublished) == 0 {
		return
	}
	r.outbox.pending = true
	workflow.Go(r.ctx, func(ctx workflow.Context) {
		defer func() { r.outbox.pending = false }()
		for len(r.outbox.unpublished) > 0 {
			if err := r.publish(ctx); err != nil {
				// Not an outage, which the activity outlasts, but something that somebody has to mend.
				r.log.Error("events cannot be published", "order_id", r.in.Order.ID, "error", err)
				if workflow.Sleep(ctx, saga.SlowRetry) != nil {
					return
				}
			}
		}
	})
}

// publish publishes what is in the outbox now.
func (r *orderRun) publish(ctx workflow.Context) error {
	in := activities.PublishInput{Records: r.outbox.unpublished}
	var result activities.PublishResult
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: publishInline, RetryPolicy: saga.InlineRetry(), Summary: "publish",
	})
	err := workflow.ExecuteLocalActivity(local, activities.NamePublish, in).Get(local, &result)
	if err != nil {
		durable := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			TaskQueue: QueueOrders, StartToCloseTimeout: saga.AttemptTimeout + time.Duration(len(in.Records))*time.Second,
			RetryPolicy: saga.DurableRetry(), Summary: "publish when the broker is back",
		})
		err = workflow.ExecuteActivity(durable, activities.NamePublish, in).Get(durable, &result)
	}
	r.outbox.confirm(result.Published)
	return err
}

// flush publishes everything and waits for it.
func (r *orderRun) flush() error {
	r.publishLater()
	return workflow.Await(r.ctx, func() bool { return !r.outbox.pending })
}
