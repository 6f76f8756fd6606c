// Package orders provides the data for messages about orders. It reads the log and does not depend on a notifier.
package orders

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Reader reads orders for messages.
type Reader struct{ Log event.StreamReader }

// Occasion returns the event of an order with a type, of which there is at most one. Errors: those of the log and of order.Fold.
func (r Reader) Occasion(ctx context.Context, orderID, eventType string) (notify.Occasion, error) {
	o, err := occasion(ctx, r.Log, orderID, eventType)
	if err == nil && o.EventID == "" {
		// The event was published: the read may have missed it.
		o, err = occasion(ctx, certain{r.Log}, orderID, eventType)
	}
	return o, err
}

// certain uses reads that miss nothing, because the absence of the event is relevant.
type certain struct{ log event.StreamReader }

func (c certain) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return eventlog.ReadCertain(ctx, c.log, stream, after, limit)
}

func occasion(ctx context.Context, log event.StreamReader, orderID, eventType string) (notify.Occasion, error) {
	var o notify.Occasion
	s, err := event.FoldPages(ctx, log, event.OrderStream(orderID), 0, order.State{}, func(s order.State, page []event.Record) (order.State, error) {
		for _, r := range page {
			if r.Type == eventType {
				o.EventID, o.At = r.ID, r.Time
			}
		}
		return s.Fold(page)
	})
	if err != nil || o.EventID == "" {
		return notify.Occasion{}, err
	}
	o.CustomerID, o.CorrelationID = s.Order.CustomerID, s.CorrelationID
	o.Facts = notify.Facts{OrderID: s.Order.ID, Total: order.Money(s.Order.TotalAmount, s.Order.Currency), Reason: s.Reason, Why: why(s.Reason)}
	for _, l := range s.Order.Lines {
		o.Facts.Lines = append(o.Facts.Lines, notify.Item{SKU: l.SKU, Quantity: l.Quantity, Amount: order.Money(l.Quantity*l.UnitAmount, s.Order.Currency)})
	}
	return o, nil
}

// reasonTexts explain to customers why an order did not complete.
var reasonTexts = map[string]string{
	order.ReasonOutOfStock: "something in it is out of stock", order.ReasonUnknownSKU: "something in it is not sold here",
	order.ReasonStockLost:       "something in it is not there any more",
	order.ReasonPaymentDeclined: "the payment was declined", order.ReasonPaymentFailed: "the payment failed",
	order.ReasonCaptureRefused: "the payment was refused", order.ReasonRequested: "it was cancelled",
	order.ReasonPaymentTimeout: "the payment did not arrive in time", order.ReasonShipmentTimeout: "it could not be sent in time",
}

func why(reason string) string {
	if text, known := reasonTexts[reason]; known {
		return text
	}
	return "something that it needs was not available"
}
