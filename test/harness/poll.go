package harness

import (
	"context"
	"time"
)

// Poll calls done at an interval until it reports true or the context ends. It is for events in another process.
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
