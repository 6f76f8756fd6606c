package tour

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/test/harness"
)

// showLate waits for what must follow from what came when the order had ended, and prints it. It is in the log only, so that
// is looked at again and again; once, when something has failed already.
func (g *guide) showLate(ctx context.Context, p path, orderID string, wait bool) error {
	ctx, cancel := context.WithTimeout(ctx, pathTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		items, err := g.items(ctx, "late-"+orderID)
		if err == nil && (!wait || len(items) >= len(p.late)) {
			fmt.Fprintln(g.out, "  and when it had ended")
			PrintTimeline(g.out, items)
			return p.judgeLate(items)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("what came late is %d events, not %v: %w", len(items), p.late, ctx.Err())
		}
	}
}

// judgeLate compares what followed with what must.
func (p path) judgeLate(items []harness.Item) error {
	types := make([]string, len(items))
	for i, item := range items {
		types[i] = item.Type
	}
	if !slices.Equal(types, p.late) {
		return fmt.Errorf("what came late is %v, not %v", types, p.late)
	}
	return nil
}
