package activities

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// KeepEarly keeps a cancellation for a saga that is not known, once an event, unless saga.MaxEarly others are kept. Kept
// reports whether it is in the log, added whether it was put there by this call. Errors: those of the log.
func KeepEarly[S, P any](
	ctx context.Context, log Log, flow *saga.Flow[S, P], id string, c saga.Cancellation, correlationID string, at time.Time,
) (kept, added bool, err error) {
	entry := flow.Early(id, c, correlationID, at)
	fold := func(n int, page []event.Record) (int, error) {
		kept = kept || slices.ContainsFunc(page, func(r event.Record) bool { return r.Key == entry.Key })
		return n + len(page), nil
	}
	_, err = event.AppendUntil(ctx, log, flow.EarlyStreamOf(id), 0, fold, func(n int) ([]event.Entry, error) {
		if added = !kept && n < saga.MaxEarly; !added {
			return nil, nil
		}
		return []event.Entry{entry}, nil
	})
	return kept, added && err == nil, fault.Wrap(err, fault.CodeOf(err), "keep a cancellation of %s %s", flow.Name, id)
}
