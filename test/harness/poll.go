package harness

import (
	"context"
	"time"
)

// Poll looks every so often until something is done, or the context ends: what it waits for is in another process.
func Poll(ctx context.Context, every time.Duration, done func() bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
