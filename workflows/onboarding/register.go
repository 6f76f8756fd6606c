package onboarding

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Load folds a customer's stream after a state, page by page.
func Load(ctx context.Context, log event.StreamReader, before State) (State, error) {
	return event.FoldPages(ctx, log, event.CustomerStream(before.CustomerID), before.Head.Version, before, State.Fold)
}

// Register writes a registration down, once an id, in the customer's stream. It reports what the stream tells then, and the
// record in the registration's slot: an earlier one, when the id was there already. Errors: those of the log.
func Register(ctx context.Context, log event.StreamAppender, r Registration, at time.Time) (State, event.Record, error) {
	var stored event.Record
	fold := func(s State, page []event.Record) (State, error) {
		if i := slices.IndexFunc(page, func(record event.Record) bool { return record.Key == SlotProfile+r.ID }); i >= 0 {
			stored = page[i]
		}
		return s.Fold(page)
	}
	state, err := event.AppendUntil(ctx, log, event.CustomerStream(r.CustomerID), State{CustomerID: r.CustomerID}, fold,
		func(s State) ([]event.Entry, error) {
			if stored.Version > 0 {
				return nil, nil
			}
			return []event.Entry{s.Registered(r, at)}, nil
		})
	return state, stored, fault.Wrap(err, fault.CodeOf(err), "register customer %s", r.CustomerID)
}
