package eventlog

import (
	"context"
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

// followPage is how many records one read of a follower asks for.
const followPage = 256

// FollowerConfig configures a Follower.
type FollowerConfig struct {
	// Log is the log that is followed. Mandatory.
	Log Log
	// PollMin is the time between looks at the log for what other processes appended, at first and after a
	// look that found something; each look that finds nothing doubles it. Default 25 ms.
	PollMin time.Duration
	// PollMax is the longest time between looks. Default 500 ms.
	PollMax time.Duration
}

// Validate fills in defaults and names what is wrong.
func (c *FollowerConfig) Validate() error {
	if c.PollMin == 0 {
		c.PollMin = DefaultPollMin
	}
	if c.PollMax == 0 {
		c.PollMax = max(DefaultPollMax, c.PollMin)
	}
	if c.Log == nil {
		return fmt.Errorf("follower: Log is missing")
	}
	if c.PollMin < 0 || c.PollMax < c.PollMin {
		return fmt.Errorf("follower: PollMin %s and PollMax %s must be positive and in this order", c.PollMin, c.PollMax)
	}
	return nil
}

// Follower is a Log whose streams can be watched. Appends that go through it reach its watchers at once and
// without a read; appends of other processes are found by polling.
//
// It starts no goroutines and needs no closing. It is safe for concurrent use.
type Follower struct {
	Reader
	log              Log
	pollMin, pollMax time.Duration
	hub              hub
	// told tells that Nudge is called for what other processes append.
	told atomic.Bool
}

var _ Log = (*Follower)(nil)

// NewFollower wraps a log. It does no I/O. The error says what is wrong with the configuration.
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Follower{Reader: cfg.Log, log: cfg.Log, pollMin: cfg.PollMin, pollMax: cfg.PollMax}, nil
}

// Append implements Log, and tells the watchers of stream what stands behind head.
func (f *Follower) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	newest, tail, err := f.log.Append(ctx, stream, head, entries)
	if err == nil || Lost(err) {
		f.hub.publish(stream, tail)
	}
	return newest, tail, err
}

// Nudge has the watchers of stream look at the log: somebody says that another process has appended to it.
func (f *Follower) Nudge(stream string) { f.hub.nudge(stream) }

// toldPolls is how many times PollMax lie between the looks of who is told when there is something to see.
const toldPolls = 4

// Told says whether Nudge is called for the ends of streams. Then a Watch looks by itself only every four times PollMax, in
// case that nobody says anything after all.
func (f *Follower) Told(told bool) { f.told.Store(told) }

// Follow yields the records of stream with versions above after, each once and in order, first those that
// stand there and then each one soon after it was appended. It goes on until the caller breaks off, the
// context ends or a read fails; the last two yield an error at the end: Unavailable, which matches the
// context's error, or Corrupt.
func (f *Follower) Follow(ctx context.Context, stream string, after int64) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		// First subscribe, then read: nothing falls between.
		w := f.Watch(stream)
		defer w.Close()
		w.follow(ctx, after, 0, f.pollMin, yield)
	}
}

// Watch begins to hear what this process appends to stream; Close ends it. Who is about to start something that appends
// watches first, and need not read what it cannot have missed.
func (f *Follower) Watch(stream string) *Watch {
	return &Watch{follower: f, stream: stream, sub: f.hub.subscribe(stream)}
}

// Watch hears what is appended to a stream. It is for one goroutine.
type Watch struct {
	follower *Follower
	stream   string
	sub      *subscription
}

// Close ends the watch. It must be called.
func (w *Watch) Close() { w.follower.hub.unsubscribe(w.stream, w.sub) }

// Follow is Follower.Follow for a caller who knows that nothing stood behind after when the watch began: what this process
// has appended since is told without a read, and only what others append is looked for. It is for who waits for the stream's
// end: see Told.
func (w *Watch) Follow(ctx context.Context, after int64) iter.Seq2[event.Record, error] {
	poll := w.follower.pollMin
	if w.follower.told.Load() {
		poll = toldPolls * w.follower.pollMax
	}
	return func(yield func(event.Record, error) bool) { w.follow(ctx, after, poll, poll, yield) }
}

// follow looks at the log after first, and then again and again, after poll at the soonest.
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
			// What was told by the hub says that who appends is in this process: others need not be looked for soon.
			timer.Reset(max(f.pollMax, poll))
			continue
		}
		timer.Reset(interval)
	}
}

// next waits for news of a stream, and returns what follows after. Polled tells that it came from a look at
// the log that nobody had asked for.
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
