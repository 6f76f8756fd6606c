package saga

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
)

// outbox are the events that are in the log and not known to be on the bus: the versions above confirmed, up to newest.
// Publishing never stops an order: steps publish the newest records while they work, waits publish from the log in the
// background, and a run does not close before everything is published.
type outbox struct {
	// confirmed is the version up to which the broker has confirmed, newest that of the stream's newest record.
	confirmed, newest int64
	// recent are the newest records without a gap, a bounded number of them: what a step publishes beside its work.
	recent []event.Record
	// pending is the background publication; at most one, so that the stream's order is kept.
	pending bool
	// cancel ends it.
	cancel workflow.CancelFunc
}

// add takes in records of the stream, in order; those that it has seen are passed over.
func (o *outbox) add(tail []event.Record) {
	for _, record := range tail {
		if record.Version > o.newest {
			o.recent, o.newest = append(o.recent, record), record.Version
		}
	}
	o.trim()
}

// skip takes in that the stream has gone on to a version whose records are in the log only.
func (o *outbox) skip(newest int64) {
	if newest > o.newest {
		o.recent, o.newest = nil, newest
	}
}

// confirm takes in up to which version the broker has confirmed.
func (o *outbox) confirm(version int64) {
	o.confirmed = max(o.confirmed, version)
	o.trim()
}

// trim forgets what the broker has confirmed, and everything when it is too much to be kept.
func (o *outbox) trim() {
	n := 0
	for n < len(o.recent) && o.recent[n].Version <= o.confirmed {
		n++
	}
	o.recent = append([]event.Record(nil), o.recent[n:]...)
	if len(o.recent) > MaxBesideRecords || Size(o.recent) > MaxBesideBytes {
		o.recent = nil
	}
}

// behind reports whether events may not be published yet.
func (o *outbox) behind() bool { return o.confirmed < o.newest }

// beside are the records that a step publishes beside its work: all that are not published, or none.
func (o *outbox) beside() []event.Record {
	if o.pending || len(o.recent) == 0 || o.recent[0].Version != o.confirmed+1 {
		return nil
	}
	return o.recent
}

// Nothing that an activity takes or gives may grow with the history of a saga: Temporal takes 2 MiB, and a payload that is
// larger fails its workflow task forever.
const (
	// MaxTailRecords and MaxTailBytes bound the records in an answer, and MaxBesideRecords and MaxBesideBytes those that a
	// step publishes beside its work. What is more is answered as a state, and published from the log.
	MaxTailRecords   = 16
	MaxTailBytes     = 64 << 10
	MaxBesideRecords = 32
	MaxBesideBytes   = 64 << 10
)

// Size is about how many bytes records take in a payload.
func Size(records []event.Record) int {
	const envelope = 512
	size := 0
	for _, r := range records {
		size += envelope + len(r.Data)
	}
	return size
}

// publishLater publishes what is left in the background: at once inside the workflow task when the broker is
// there, else by a regular activity that is retried for as long as it takes.
func (r *run[S, P]) publishLater() {
	if r.outbox.pending || !r.outbox.behind() {
		return
	}
	ctx, cancel := workflow.WithCancel(r.ctx)
	r.outbox.cancel = cancel
	records := r.outbox.beside()
	r.outbox.pending = true
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.outbox.pending = false }()
		for r.outbox.behind() && ctx.Err() == nil {
			if err := r.publish(ctx, records); err != nil && ctx.Err() == nil {
				// Not an outage, which the activity outlasts, but an error that an operator must repair.
				r.log.Error("events cannot be published", "stream", r.flow.StreamOf(r.in.ID), "error", err)
				if workflow.Sleep(ctx, SlowRetry) != nil {
					return
				}
			}
			records = nil
		}
	})
}

// publish publishes what is in the outbox now; records are the same, when they are known.
func (r *run[S, P]) publish(ctx workflow.Context, records []event.Record) error {
	in := PublishInput{
		Stream: r.flow.StreamOf(r.in.ID), After: r.outbox.confirmed, Through: r.outbox.newest, Records: records, Pages: 1,
	}
	var result PublishResult
	name := r.flow.Activity("Publish")
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: publishInline, RetryPolicy: InlineRetry(), Summary: "publish",
	})
	err := workflow.ExecuteLocalActivity(local, name, in).Get(local, &result)
	if err != nil && ctx.Err() == nil {
		in.Records, in.Pages = nil, 0
		durable := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			TaskQueue: r.flow.Queue, StartToCloseTimeout: publishDurable, HeartbeatTimeout: publishHeartbeat,
			RetryPolicy: DurableRetry(), Summary: "publish when the broker is back",
		})
		err = workflow.ExecuteActivity(durable, name, in).Get(durable, &result)
	}
	r.outbox.confirm(result.Published)
	return err
}

const (
	// publishInline bounds the first attempt to publish what a run has left.
	publishInline = 2 * time.Second
	// publishDurable bounds one attempt of the activity, which publishes page by page, and publishHeartbeat one page: a worker
	// that dies is noticed after it. The publisher gives up sooner when the broker does not confirm.
	publishDurable   = time.Hour
	publishHeartbeat = time.Minute
)
