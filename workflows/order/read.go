package order

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// Reader reads orders for flows that are about them.
type Reader struct{ Log event.StreamReader }

// Load folds the stream of an order that is there. Errors: those of the log, of Fold, and Unavailable when the stream is not found.
func (r Reader) Load(ctx context.Context, id string) (State, error) {
	s, err := event.FoldPages(ctx, r.Log, event.OrderStream(id), 0, State{}, State.Fold)
	if err == nil && !s.Opened() {
		err = fault.Missing("the stream of order %s was not found", id)
	}
	return s, err
}

// Payment is the payment of an order as a gateway knows it, but for the gateway's ID of it. Errors: those of Load.
func (r Reader) Payment(ctx context.Context, id string) (payment.Payment, error) {
	s, err := r.Load(ctx, id)
	p := s.PaymentOf()
	p.ID = ""
	return p, err
}
