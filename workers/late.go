package workers

import (
	"context"
	"errors"
	"log/slog"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// verdictAttempts bounds how often a verdict goes after a tail that keeps growing.
const verdictAttempts = 10

// Verdict is the data of event.late.
type Verdict struct {
	OrderID string `json:"orderId"`
	// EventID and Type name the late event.
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// Status is what the order had ended as.
	Status order.Status `json:"status"`
	// Detail is for people.
	Detail string `json:"detail"`
}

// verdict writes down that an event came after its order had ended, in a stream of its own: the order's stream
// is closed by its terminal event.
func (r *Router) verdict(ctx context.Context, e event.Event, s order.State) error {
	stream := event.LateStream(s.Order.ID)
	entry := event.New(stream, e.ID, event.EventLate, s.Order.ID, r.Clock(), Verdict{
		OrderID: s.Order.ID, EventID: e.ID, Type: e.Type, Status: s.Status,
		Detail: "the order had ended; the event changed nothing",
	}).CausedBy(correlation(e), e.ID)
	var head event.Head
	for range verdictAttempts {
		next, _, err := r.Verdicts.Append(ctx, stream, head, []event.Entry{entry})
		switch {
		case err == nil, errors.Is(err, fault.KeyTaken):
			r.Logger.LogAttrs(ctx, slog.LevelInfo, "an event came late", slog.String("event_id", e.ID),
				slog.String("type", e.Type), slog.String("order_id", s.Order.ID), slog.String("status", string(s.Status)))
			return nil
		case !errors.Is(err, fault.Concurrency):
			return err
		}
		head = next
	}
	return fault.New(fault.Unavailable, "stream %s grows faster than a verdict can be written", stream)
}
