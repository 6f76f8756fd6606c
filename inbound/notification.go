package inbound

import (
	"context"
	"log/slog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/notification"
)

// Notifications turns events of orders into messages to their customers. It only starts them: whether an event is true, and what the
// message says, is read from the log by the message's saga.
type Notifications struct {
	Log StreamReader
	// Notify starts a message to a customer, once.
	Notify func(ctx context.Context, s notification.Subject) error
	Logger *slog.Logger
}

// Handle handles an event of an order. Errors: UnknownType for one that customers are not notified of; those of the log and the sagas.
func (n *Notifications) Handle(ctx context.Context, e event.Event) error {
	s, err := notificationOf(ctx, n.Log, e)
	if err != nil || s == nil {
		return err
	}
	err = n.Notify(ctx, *s)
	n.Logger.LogAttrs(ctx, slog.LevelDebug, "customer notification requested", slog.String("order_id", e.Subject), slog.String("type", e.Type), slog.Any("error", err))
	return err
}

// notificationOf returns the message that an event causes; nil if this log does not have the order or the customer.
func notificationOf(ctx context.Context, log StreamReader, e event.Event) (*notification.Subject, error) {
	kind, ok := notification.KindOf(e.Type)
	if !ok {
		return nil, fault.New(fault.UnknownType, "customers are not notified of %q", e.Type)
	}
	accepted, err := log.Read(ctx, event.OrderStream(e.Subject), 0, 1)
	if err == nil && len(accepted) == 0 {
		// The event is new, and so may its order be: a read after a failover may miss it.
		accepted, err = eventlog.ReadCertain(ctx, log, event.OrderStream(e.Subject), 0, 1)
	}
	if err != nil || len(accepted) == 0 {
		return nil, err
	}
	placed, err := event.Decode[struct {
		CustomerID string `json:"customerId"`
	}](accepted[0].Event)
	if err != nil {
		return nil, err
	}
	known, err := log.Read(ctx, event.CustomerStream(placed.CustomerID), 0, 1)
	if err != nil || len(known) == 0 {
		return nil, err
	}
	return &notification.Subject{Kind: kind, OrderID: e.Subject, CustomerID: placed.CustomerID}, nil
}
