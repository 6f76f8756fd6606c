package activities

import (
	"context"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// verdictAttempts bounds how often a verdict goes after a tail that keeps growing.
const verdictAttempts = 10

// Verdict is the data of event.late.
type Verdict struct {
	// ID makes the verdict one, however often and on whichever way the event comes. It is the slot, not part of the data.
	ID      string `json:"-"`
	OrderID string `json:"orderId"`
	// EventID and Type name the late event.
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// Status is what the order had ended as.
	Status order.Status `json:"status"`
	// Detail is for people.
	Detail string `json:"detail"`
}

// LateEvent is an event that came after its order had ended.
type LateEvent struct {
	// ID is the one by which everything that the event causes is done once.
	ID      string `json:"id"`
	EventID string `json:"eventId"`
	Type    string `json:"type"`
}

// LateInput are events that reached a run after its order had ended.
type LateInput struct {
	OrderID       string       `json:"orderId"`
	Status        order.Status `json:"status"`
	CorrelationID string       `json:"correlationId,omitempty"`
	Events        []LateEvent  `json:"events"`
}

// Late writes the verdicts on late events.
func (o *Outcomes) Late(ctx context.Context, in LateInput) (LateResult, error) {
	for _, e := range in.Events {
		v := Verdict{ID: e.ID, OrderID: in.OrderID, EventID: e.EventID, Type: e.Type, Status: in.Status}
		if err := WriteVerdict(ctx, o.Log, v, in.CorrelationID, o.Clock()); err != nil {
			return LateResult{}, toTemporal(err)
		}
	}
	return LateResult{}, nil
}

// WriteVerdict writes down that an event came after its order had ended, once an event, in a stream of its own: the
// order's stream is closed by its terminal event.
func WriteVerdict(ctx context.Context, log Appender, v Verdict, correlationID string, at time.Time) error {
	stream := event.LateStream(v.OrderID)
	v.Detail = "the order had ended; the event changed nothing"
	entry := event.New(stream, v.ID, event.EventLate, v.OrderID, at, v).
		CausedBy(correlationID, v.EventID)
	var head event.Head
	for range verdictAttempts {
		next, _, err := log.Append(ctx, stream, head, []event.Entry{entry})
		switch {
		case err == nil, errors.Is(err, fault.KeyTaken):
			return nil
		case !errors.Is(err, fault.Concurrency):
			return fault.Wrap(err, fault.CodeOf(err), "write the verdict on event %s", v.EventID)
		}
		head = next
	}
	return fault.New(fault.Unavailable, "stream %s grows faster than a verdict can be written", stream)
}
