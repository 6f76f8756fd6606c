package reconcile

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
)

// deadUnfinished is how long a replay or a retry of a dead letter may take before it was broken off.
const deadUnfinished = 5 * time.Minute

// dead looks for what was decided about a dead letter, begun and not finished, and for facts that did not arrive.
func (c *chain) dead() {
	folds(c, deadletter.State{}, deadletter.State.Fold, func(ctx context.Context, s deadletter.State) error {
		if c.now.Sub(s.UpdatedAt) <= deadUnfinished {
			return nil
		}
		if s.Status == deadletter.StatusReplaying || s.Status == deadletter.StatusRetrying {
			c.found(DeadUnfinished, s.Head.Version, "it is %s since %s", s.Status, s.UpdatedAt.UTC().Format(time.RFC3339))
		}
		if t, known := event.Find(s.Type); known && t.Fact && s.Status == deadletter.StatusOpen {
			return c.undelivered(ctx, c.flowOfType(s.Type), s)
		}
		return nil
	})
}
