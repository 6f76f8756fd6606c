package readmodel

import (
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Order is an order as lists show it.
type Order struct {
	order.Order
	Status saga.Status
	// Reason is why the order did not complete, or is about not to; else empty.
	Reason string
	// Version is the version of the order's stream that the rest was folded from.
	Version int64
	// CreatedAt and UpdatedAt are in UTC and milliseconds.
	CreatedAt, UpdatedAt time.Time
	CorrelationID        string
	// Attention is what an operator is asked to look at; nil when nothing is.
	Attention *Attention
	// Flow is the flow of a saga that is no order: then Order has nothing but its ID, which is the name of the saga's stream.
	Flow string
}

// Attention is what an operator is asked to look at, and what may be decided about it.
type Attention struct {
	saga.AttentionState
	Actions []saga.ResolutionAction
}

// FromState makes the document of an order out of its folded state.
func FromState(s order.State) Order {
	o := Order{
		Order: s.Order, Status: s.Status, Reason: s.Reason, Version: s.Head.Version,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, CorrelationID: s.CorrelationID,
	}
	if s.Status == saga.NeedsAttention {
		o.Attention = &Attention{AttentionState: s.Attention, Actions: s.Actions()}
	}
	return o
}

// Orders is the list of all orders.
var Orders = Projection{Stream: event.OrderStream, Fold: foldOrder}

// foldOrder makes the entry of an order out of its stream.
func foldOrder(records []event.Record) (Order, bool, error) {
	state, err := order.Fold(records)
	return FromState(state), true, err
}

// isOrderStatus reports whether orders have the status.
func isOrderStatus(s saga.Status) bool { return slices.Contains(order.Statuses, s) }

// FromView makes the entry of a saga of any flow. Stream is the name of its stream. What is no order has no lines, as entries are read.
func FromView(v saga.View, stream string) Order {
	o := Order{
		Order: order.Order{ID: stream, Lines: []order.Line{}}, Flow: v.Flow, Status: v.Status, Reason: v.Reason, Version: v.Version,
		CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt, CorrelationID: v.CorrelationID,
	}
	if v.Attention != nil {
		o.Attention = &Attention{AttentionState: *v.Attention, Actions: v.Actions}
	}
	return o
}

// Of is the projection of the sagas of a flow.
func Of(f saga.Definer) Projection {
	return Projection{
		Stream: func(stream string) string { return stream },
		Prefix: f.StreamOf(""),
		Fold: func(records []event.Record) (Order, bool, error) {
			v, err := f.View(records)
			if err != nil || len(records) == 0 {
				return Order{}, false, err
			}
			return FromView(v, records[0].Stream), true, nil
		},
	}
}

// Tally counts entries that are alike and have not ended.
type Tally struct {
	// Flow is empty for orders. Step is what needs attention, else empty.
	Flow   string
	Status saga.Status
	Step   string
	Count  int64
	// Oldest is when the oldest of them was created.
	Oldest time.Time
}

// MaxCount bounds how many entries are counted for one status: counting more would cost more than a page of the list.
const MaxCount = 1000
