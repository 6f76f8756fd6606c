package tour

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/test/audit"
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
		items, err := g.lateItems(ctx, orderID)
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

// lateItems reads what came late, as a timeline.
func (g *guide) lateItems(ctx context.Context, orderID string) ([]harness.Item, error) {
	cursor, err := g.log.Collection("events").Find(ctx, bson.D{{Key: "stream", Value: "late-" + orderID}},
		options.Find().SetSort(bson.D{{Key: "version", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var documents []audit.Document
	if err := cursor.All(ctx, &documents); err != nil {
		return nil, err
	}
	items := make([]harness.Item, len(documents))
	for i, d := range documents {
		data := map[string]any{}
		for _, field := range d.Data {
			data[field.Key] = field.Value
		}
		raw, err := json.Marshal(data)
		if err != nil {
			return nil, err
		}
		items[i] = harness.Item{Version: d.Version, Type: d.Type, Time: d.Time, Data: raw}
	}
	return items, nil
}
