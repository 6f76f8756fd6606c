package mongolog

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// unavailable wraps what server, network or context did. The error matches the context's error when the
// context has ended, whatever the driver made of it.
func unavailable(ctx context.Context, err error, format string, args ...any) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = errors.Join(ended, err)
	}
	return fault.Wrap(err, fault.Unavailable, format, args...)
}

// Backoff between the rounds of an append that meets trouble: 2 ms, doubled each round to 250 ms, of which a
// random half to all is waited.
const (
	backoffFirst = 2 * time.Millisecond
	backoffLast  = 250 * time.Millisecond
)

// pause waits before the next round; it returns early when the context ends.
func pause(ctx context.Context, round int) {
	delay := min(backoffFirst<<min(round, 10), backoffLast)
	delay = delay/2 + rand.N(delay/2) //nolint:gosec // jitter needs no secrecy
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
