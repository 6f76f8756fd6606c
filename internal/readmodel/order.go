package readmodel

import (
	"time"

	"github.com/ordersaga/ordersaga/workflows/order"
)

// Order is an order as lists show it.
type Order struct {
	order.Order
	Status order.Status
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
	order.AttentionState
	Actions []order.ResolutionAction
}

// FromState makes the document of an order out of its folded state.
func FromState(s order.State) Order {
	o := Order{
		Order: s.Order, Status: s.Status, Reason: s.Reason, Version: s.Head.Version,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, CorrelationID: s.CorrelationID,
	}
	if s.Status == order.StatusNeedsAttention {
		o.Attention = &Attention{AttentionState: s.Attention, Actions: s.Actions()}
	}
	return o
}
