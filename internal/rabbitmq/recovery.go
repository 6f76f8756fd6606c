package rabbitmq

import (
	"context"
	"log/slog"
	"time"
)

// recovery returns messages that wait because a dependency was down to their queue soon after it answers.
//
// A failed message waits longer with each attempt, so that after a few short outages it would wait for minutes although
// everything works. When a message has failed, recovery probes what the handler depends on. Once that answers, everything
// that waits is returned to its queue: at once when it had been seen not to answer, otherwise after a pause that doubles from one
// time to the next, because then the reason may be the message's own. Between two returns there is always the shortest
// delay, also when a dependency goes up and down.
//
// The first probe that succeeds counts as a recovery: the process that saw the outage may be gone.
type recovery struct {
	// probe reports whether the dependencies answer; its context is bounded by limit.
	probe func(context.Context) error
	limit time.Duration
	// every is the pause between two probes.
	every time.Duration
	// least and most bound the pause before what waits is returned although no outage was seen: the shortest and the longest
	// delay.
	least, most time.Duration
	// returnWaiting returns to their queue the messages that waited when it was called.
	returnWaiting func(context.Context) (returned int, err error)
	log           *slog.Logger

	// failed holds a token when a message waits that has failed since returnWaiting was called last.
	failed chan struct{}
	// pause is what the next return waits for, when no outage was seen; last is when there was one.
	pause time.Duration
	last  time.Time
}

// note notes that a message waits which has failed.
func (r *recovery) note() {
	select {
	case r.failed <- struct{}{}:
	default:
	}
}

// run returns when ctx ends.
func (r *recovery) run(ctx context.Context) {
	for r.await(ctx) {
		select {
		case <-r.failed: // it waits already, so that it is among those that are returned
		default:
		}
		returned, err := r.returnWaiting(ctx)
		r.last = time.Now()
		if returned > 0 || err != nil {
			r.log.LogAttrs(ctx, slog.LevelInfo, "dependencies answer: waiting messages are handled again",
				slog.Int("messages", returned), slog.Any("error", err))
		}
		if err != nil {
			continue // after the next pause
		}
		select {
		case <-r.failed:
		case <-ctx.Done():
			return
		}
		if time.Since(r.last) > r.most {
			r.pause = r.least // the last return was long ago
		}
	}
}

// await waits until the dependencies answer and it is time. It reports false when ctx ended before.
func (r *recovery) await(ctx context.Context) bool {
	began, down := time.Now(), false
	for {
		probe, cancel := context.WithTimeout(ctx, r.limit)
		err := r.probe(probe)
		cancel()
		if ctx.Err() != nil {
			return false
		}
		switch now := time.Now(); {
		case err != nil:
			down = true
		case down && now.Sub(r.last) >= r.least:
			r.pause = r.least
			return true
		case !down && now.Sub(began) >= r.pause:
			r.pause = min(max(2*r.pause, r.least), r.most)
			return true
		}
		pause(ctx, r.every)
	}
}
