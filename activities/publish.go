package activities

import (
	"context"
	"sync"

	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// publishPage is how many records are read and published at once.
const publishPage = 100

// PublishInput says what to publish: the records of a stream with versions above After, up to Through, in their order.
type PublishInput struct {
	Stream  string `json:"stream,omitempty"`
	After   int64  `json:"after,omitempty"`
	Through int64  `json:"through,omitempty"`
	// Pages bounds how many pages of the log are published; 0 is no bound.
	Pages int `json:"pages,omitempty"`
	// Records are the same records, for an activity inside a workflow task: it does not read the log then.
	Records []event.Record `json:"records,omitempty"`
}

// PublishResult says up to which version the broker has confirmed.
type PublishResult struct {
	Published int64 `json:"published"`
}

// Publish publishes records in order. It fails, retryably, when the broker has not confirmed any of them; when it has
// confirmed some, it says so, and is called again for the others.
func (o *Outcomes) Publish(ctx context.Context, in PublishInput) (PublishResult, error) {
	published, err := o.publish(ctx, in)
	return PublishResult{Published: published}, toTemporal(err)
}

func (r *Recorder) publish(ctx context.Context, in PublishInput) (int64, error) {
	p := &publication{log: r.Log, publisher: r.Publisher, sent: &r.sent}
	return p.run(ctx, in)
}

// publication publishes the records of a stream.
type publication struct {
	log       event.StreamReader
	publisher Publisher
	sent      *sentVersions
}

// run publishes what in says, and returns up to which version the broker has confirmed.
func (p *publication) run(ctx context.Context, in PublishInput) (int64, error) {
	if len(in.Records) > 0 {
		n, err := p.page(ctx, in.Records)
		return n, p.unlessMoved(n > 0, err)
	}
	confirmed := p.resume(ctx, in)
	began := confirmed
	for n := 0; confirmed < in.Through && (in.Pages == 0 || n < in.Pages); n++ {
		limit := min(int64(publishPage), in.Through-confirmed)
		records, err := p.log.Read(ctx, in.Stream, confirmed, int(limit))
		if err == nil && len(records) == 0 {
			err = fault.New(fault.Unavailable, "stream %s has no version %d yet", in.Stream, confirmed+1)
		}
		if err != nil {
			return confirmed, p.unlessMoved(confirmed > began, err)
		}
		upTo, err := p.page(ctx, records)
		confirmed = max(confirmed, upTo)
		if activity.IsActivity(ctx) {
			activity.RecordHeartbeat(ctx, confirmed)
		}
		if err != nil {
			return confirmed, p.unlessMoved(confirmed > began, err)
		}
	}
	return confirmed, nil
}

// resume is where a publication begins: an earlier attempt may have come further.
func (p *publication) resume(ctx context.Context, in PublishInput) int64 {
	confirmed := max(in.After, p.sent.get(runOf(ctx, in.Stream)))
	if activity.IsActivity(ctx) && activity.HasHeartbeatDetails(ctx) {
		var heartbeat int64
		if activity.GetHeartbeatDetails(ctx, &heartbeat) == nil {
			confirmed = max(confirmed, heartbeat)
		}
	}
	return min(confirmed, max(in.Through, in.After))
}

// unlessMoved drops the error of a publication that has come further: it is called again.
func (p *publication) unlessMoved(moved bool, err error) error {
	if moved {
		return nil
	}
	return err
}

// page publishes records of one stream but those that this run has published before: a workflow task that is discarded runs
// again. It returns up to which version the broker has confirmed, 0 for none.
func (p *publication) page(ctx context.Context, records []event.Record) (int64, error) {
	run := runOf(ctx, records[0].Stream)
	known := p.sent.get(run)
	fresh := records
	for len(fresh) > 0 && fresh[0].Version <= known {
		fresh = fresh[1:]
	}
	upTo := versionOf(records, len(records)-len(fresh))
	if len(fresh) == 0 {
		return upTo, nil
	}
	n, err := p.publisher.Publish(ctx, fresh)
	if n > 0 {
		upTo = versionOf(fresh, n)
		p.sent.put(run, upTo)
	}
	return upTo, fault.Wrap(err, fault.Unavailable, "publish: %d of %d confirmed", n, len(fresh))
}

// runOf names a run and a stream; "" outside of an activity.
func runOf(ctx context.Context, stream string) string {
	if !activity.IsActivity(ctx) {
		return ""
	}
	return activity.GetInfo(ctx).WorkflowExecution.RunID + "/" + stream
}

// maxSent bounds how many runs are remembered, twice.
const maxSent = 8192

// sentVersions remembers up to which version the broker has confirmed, for the runs of this process. The effects of a workflow
// task that the server discards are not undone, and the task runs again: without it, everything would be published as often as
// a signal arrives. Another run knows nothing of it. The zero value is ready.
type sentVersions struct {
	mu       sync.Mutex
	new, old map[string]int64
}

func (s *sentVersions) get(run string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.new[run], s.old[run])
}

func (s *sentVersions) put(run string, version int64) {
	if run == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.new == nil || len(s.new) >= maxSent {
		s.new, s.old = make(map[string]int64), s.new
	}
	s.new[run] = max(s.new[run], s.old[run], version)
}
