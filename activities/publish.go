package activities

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// publishPage is how many records are read and published at once.
const publishPage = 100

func (r *Recorder) publish(ctx context.Context, in saga.PublishInput) (int64, error) {
	return r.publication().run(ctx, in)
}

// publishBesideBudget bounds how long a step waits for the broker after its own work is done. Publishing
// never stops an order: what is not confirmed by then is published later.
const publishBesideBudget = 250 * time.Millisecond

// publishBeside publishes records in the background. The returned function waits for it, briefly, and says
// up to which version the broker has confirmed.
func (r *Recorder) publishBeside(ctx context.Context, records []event.Record) func() int64 {
	if len(records) == 0 {
		return func() int64 { return 0 }
	}
	ctx, cancel := context.WithCancel(ctx)
	confirmed := make(chan int64, 1)
	go func() {
		upTo, err := r.publication().page(ctx, records)
		if err != nil {
			r.Logger.LogAttrs(ctx, slog.LevelDebug, "publish later",
				slog.String("stream", records[0].Stream), slog.Int64("confirmed", upTo), slog.Any("error", err))
		}
		confirmed <- upTo
	}()
	return func() int64 {
		defer cancel()
		timer := time.NewTimer(publishBesideBudget)
		defer timer.Stop()
		select {
		case upTo := <-confirmed:
			return upTo
		case <-timer.C:
			cancel()
			return <-confirmed
		}
	}
}

// versionOf returns the version of the last of the first n records.
func versionOf(records []event.Record, n int) int64 {
	if n == 0 {
		return 0
	}
	return records[n-1].Version
}

// Lost reports whether an append found that another writer was faster.
func Lost(err error) bool {
	return errors.Is(err, fault.Concurrency) || errors.Is(err, fault.KeyTaken)
}

// publication publishes the records of a stream.
type publication struct {
	log       event.StreamReader
	publisher Publisher
	sent      *versions
	// confirmed counts what the broker has confirmed.
	confirmed func(records []event.Record)
}

func (r *Recorder) publication() *publication {
	return &publication{log: r.Log, publisher: r.Publisher, sent: &r.sent, confirmed: r.published}
}

// run publishes what in says, and returns up to which version the broker has confirmed.
func (p *publication) run(ctx context.Context, in saga.PublishInput) (int64, error) {
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
func (p *publication) resume(ctx context.Context, in saga.PublishInput) int64 {
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
	ctx, span := trace.Start(ctx, "publish", trace.Producer)
	n, err := p.publisher.Publish(ctx, fresh)
	if span.Recorded() {
		span.Set("messaging.system", "rabbitmq")
		span.SetInt("messaging.batch.message_count", n)
		span.Set("ordersaga.stream", fresh[0].Stream)
	}
	span.End(err)
	if n > 0 {
		upTo = versionOf(fresh, n)
		p.sent.put(run, upTo)
		p.confirmed(fresh[:n])
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

// maxVersions bounds how many names are remembered, twice.
const maxVersions = 8192

// versions remembers up to which version something was done, for the runs and streams of this process: the broker has confirmed a
// record, or it was counted. The effects of a workflow task that the server discards are not reverted, and the task runs again: without
// it, everything would be published as often as a signal arrives. The zero value is ready.
type versions struct {
	mu       sync.Mutex
	new, old map[string]int64
}

func (s *versions) get(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.new[name], s.old[name])
}

func (s *versions) put(name string, version int64) {
	if name == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.new == nil || len(s.new) >= maxVersions {
		s.new, s.old = make(map[string]int64), s.new
	}
	s.new[name] = max(s.new[name], s.old[name], version)
}
