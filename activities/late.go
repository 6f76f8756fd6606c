package activities

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// KeepLate records late events, once an event, in the stream that the flow has for them. Errors: those of the log.
func KeepLate[S, P any](ctx context.Context, log Log, flow *saga.Flow[S, P], in saga.LateInput, at time.Time) error {
	fold := func(kept map[string]bool, page []event.Record) (map[string]bool, error) {
		for _, r := range page {
			kept[r.Key] = true
		}
		return kept, nil
	}
	_, err := event.AppendUntil(ctx, log, flow.LateStreamOf(in.ID), make(map[string]bool), fold, func(kept map[string]bool) ([]event.Entry, error) {
		var entries []event.Entry
		taken := make(map[string]bool)
		for _, e := range flow.LateEntries(in, at) {
			if !kept[e.Key] && !taken[e.Key] {
				entries, taken[e.Key] = append(entries, e), true
			}
		}
		return entries, nil
	})
	return fault.Wrap(err, fault.CodeOf(err), "keep late events of %s %s", flow.Name, in.ID)
}
