package tour

import (
	"context"
	"fmt"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/test/harness"
)

// showLate waits for the expected stream of late events and prints it; after a failure it does not wait.
func (g *guide) showLate(ctx context.Context, p path, orderID string, wait bool) error {
	ctx, cancel := context.WithTimeout(ctx, pathTimeout)
	defer cancel()
	var items []harness.Item
	err := harness.Poll(ctx, lookEvery, func() bool {
		var err error
		items, err = g.items(ctx, event.LateStream(orderID))
		return err == nil && (!wait || len(items) >= len(p.late))
	})
	if err != nil {
		return fmt.Errorf("what came late is %d events, not %v: %w", len(items), p.late, err)
	}
	fmt.Fprintln(g.out, "  and when it had ended")
	PrintTimeline(g.out, items)
	if types := typesOf(items); !slices.Equal(types, p.late) {
		return fmt.Errorf("what came late is %v, not %v", types, p.late)
	}
	return nil
}
