package readmodel

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

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
