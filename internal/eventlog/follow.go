package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Defaults of FollowerConfig.
const (
	DefaultPollMin = 25 * time.Millisecond
	DefaultPollMax = 500 * time.Millisecond
)

// followPage is the number of records per read.
const followPage = 256

// FollowerConfig configures a Follower.
type FollowerConfig struct {
	// Log is the log to follow. Required.
	Log Log
	// PollMin is the initial interval of polls for records of other processes, also after a poll that found records; each poll that
	// finds none doubles it. Default 25 ms.
	PollMin time.Duration
	// PollMax is the maximum interval. Default 500 ms.
	PollMax time.Duration
}

// Validate sets defaults and reports errors.
func (c *FollowerConfig) Validate() error {
	c.PollMin = cmp.Or(c.PollMin, DefaultPollMin)
	c.PollMax = cmp.Or(c.PollMax, max(DefaultPollMax, c.PollMin))
	if c.Log == nil {
		return errors.New("follower: Log is missing")
	}
	if c.PollMin < 0 || c.PollMax < c.PollMin {
		return fmt.Errorf("follower: PollMin %s and PollMax %s must be positive, and PollMin must not exceed PollMax", c.PollMin, c.PollMax)
	}
	return nil
}

// Follower is a Log whose streams can be watched. Appends through it are passed to its watchers at once, without a read; appends of other
// processes are found by polling.
//
// It starts no goroutines and need not be closed. It is safe for concurrent use.
type Follower struct {
	Reader
	log              Log
	pollMin, pollMax time.Duration
	hub              hub
	// notified is set if Notify is called for appends of other processes.
	notified atomic.Bool
}

var _ Log = (*Follower)(nil)

// NewFollower wraps a log. It does no I/O. The error is about the configuration.
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Follower{Reader: cfg.Log, log: cfg.Log, pollMin: cfg.PollMin, pollMax: cfg.PollMax}, nil
}

// Append implements Log, and passes the tail to the watchers of stream.
func (f *Follower) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	newest, tail, err := f.log.Append(ctx, stream, head, entries)
	if err == nil || Lost(err) {
		f.hub.publish(stream, tail)
	}
	return newest, tail, err
}

// Notify makes the watchers of stream read the log, because another process has appended to it.
func (f *Follower) Notify(stream string) { f.hub.notify(stream) }

// notifiedPolls is the poll interval of a Watch while notified, in multiples of PollMax.
const notifiedPolls = 4

// SetNotified says whether Notify is called for the ends of streams. A Watch then polls only every four times PollMax, in case a
// notification is lost.
func (f *Follower) SetNotified(notified bool) { f.notified.Store(notified) }

// Follow yields the records of stream with versions greater than after, in order and each once: first the existing ones, then new ones soon
// after they are appended. It ends when the caller stops, the context ends or a read fails. In the last two cases it yields an error:
// Unavailable, which matches the context's error, or Corrupt.
func (f *Follower) Follow(ctx context.Context, stream string, after int64) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		// Subscribe before reading, so that no record is missed.
		w := f.Watch(stream)
		defer w.Close()
		w.follow(ctx, after, 0, f.pollMin, yield)
	}
}

// Watch subscribes to the appends of this process to stream; Close ends it. A caller that watches before it starts something that appends need
// not read records of this process.
func (f *Follower) Watch(stream string) *Watch {
	return &Watch{follower: f, stream: stream, sub: f.hub.subscribe(stream)}
}

// Watch is a subscription to the appends to a stream. It is not safe for concurrent use.
type Watch struct {
	follower *Follower
	stream   string
	sub      *subscription
}

// Close ends the subscription. It must be called.
func (w *Watch) Close() { w.follower.hub.unsubscribe(w.stream, w.sub) }

// Follow is Follower.Follow for a stream that had no records after the given version when the watch began: records of this process are yielded
// without a read; only those of other processes are polled. It is for callers that wait for the end of the stream: see SetNotified.
func (w *Watch) Follow(ctx context.Context, after int64) iter.Seq2[event.Record, error] {
	poll := w.follower.pollMin
	if w.follower.notified.Load() {
		poll = notifiedPolls * w.follower.pollMax
	}
	return func(yield func(event.Record, error) bool) { w.follow(ctx, after, poll, poll, yield) }
}

// follow polls after first, and then at intervals of at least poll.
func (w *Watch) follow(ctx context.Context, after int64, first, poll time.Duration, yield func(event.Record, error) bool) {
	f := w.follower
	timer := time.NewTimer(first)
	defer timer.Stop()
	interval := poll
	for {
		records, polled, err := f.next(ctx, w.stream, after, w.sub, timer)
		if err != nil {
			yield(event.Record{}, err)
			return
		}
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
			after = r.Version
		}
		switch {
		case len(records) == followPage:
			timer.Reset(0)
			continue
		case polled && len(records) > 0:
			interval = poll
		case polled:
			interval = min(2*interval, max(f.pollMax, poll))
		default:
			// A record from the hub: the writer is in this process, so that polling can be slow.
			timer.Reset(max(f.pollMax, poll))
			continue
		}
		timer.Reset(interval)
	}
}

// next waits for records of a stream after a version. polled is true if they come from a poll.
func (f *Follower) next(ctx context.Context, stream string, after int64, sub *subscription, timer *time.Timer) (records []event.Record, polled bool, err error) {
	select {
	case <-ctx.Done():
		return nil, false, fault.Wrap(ctx.Err(), fault.Unavailable, "follow %s", stream)
	case <-sub.wake:
		records, complete := f.hub.take(sub, after)
		if complete {
			return records, false, nil
		}
	case <-timer.C:
		polled = true
	}
	records, err = f.log.Read(ctx, stream, after, followPage)
	return records, polled, err
}
