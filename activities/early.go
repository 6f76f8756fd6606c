package activities

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// earlyAttempts bounds how often a cancellation goes after a stream that grows: it is full after that many.
const earlyAttempts = order.MaxEarly + 1

// KeepEarly keeps a cancellation for an order that is not known, once an event, unless order.MaxEarly others are kept. Kept
// reports whether it is in the log, added whether it was put there by this call. Errors: those of the log.
func KeepEarly(ctx context.Context, log Log, orderID string, c order.Cancellation, correlationID string, at time.Time) (kept, added bool, err error) {
	stream, entry := event.EarlyStream(orderID), c.Early(orderID, correlationID, at)
	for range earlyAttempts {
		records, err := log.Read(ctx, stream, 0, order.MaxEarly)
		if err != nil {
			return false, false, fault.Wrap(err, fault.CodeOf(err), "keep a cancellation of order %s", orderID)
		}
		var head event.Head
		if len(records) > 0 {
			head = records[len(records)-1].HeadOf()
		}
		switch {
		case slices.ContainsFunc(records, func(r event.Record) bool { return r.Key == entry.Key }):
			return true, false, nil
		case len(records) == order.MaxEarly:
			return false, false, nil
		}
		_, _, err = log.Append(ctx, stream, head, []event.Entry{entry})
		switch {
		case err == nil:
			return true, true, nil
		case !lost(err):
			return false, false, fault.Wrap(err, fault.CodeOf(err), "keep a cancellation of order %s", orderID)
		}
	}
	return false, false, fault.New(fault.Unavailable, "stream %s grows faster than it can be written", stream)
}

// early reads the cancellations that came before their order. What the order has decided stays decided.
func (o *Outcomes) early(ctx context.Context, orderID string, state order.State) ([]order.Cancellation, error) {
	if state.Decision != "" || state.Ended {
		return nil, nil
	}
	records, err := o.Log.Read(ctx, event.EarlyStream(orderID), 0, order.MaxEarly)
	if err != nil {
		return nil, err
	}
	kept, err := order.EarlyCancellations(records)
	return kept, fault.Wrap(err, fault.CodeOf(err), "read the early cancellations of order %s", orderID)
}
