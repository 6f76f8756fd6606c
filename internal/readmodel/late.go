package readmodel

import (
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Late is the list of ended orders with late events that need attention, or needed it. Versions are those of the late streams.
var Late = Projection{Stream: event.LateStream, Fold: foldLate}

// FromLate makes the entry of an order's late events from their folded state. It says nothing of the order but its id and what
// it had ended as.
func FromLate(s latepayment.State) Order {
	o := Order{
		Order: order.Order{ID: s.OrderID}, Status: s.OrderStatus, EndedAs: s.OrderStatus, Version: s.Head.Version,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, CorrelationID: s.CorrelationID,
	}
	if s.Attention.Open {
		o.Status = order.StatusNeedsAttention
		o.Attention = &Attention{AttentionState: s.Attention, Actions: s.Actions()}
	}
	return o
}

// foldLate makes the entry of an order's late events. Most late events never need attention, and have no entry.
func foldLate(records []event.Record) (Order, bool, error) {
	s, err := latepayment.State{}.Fold(records)
	return FromLate(s), s.Attention.Count > 0, err
}
