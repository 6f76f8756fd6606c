package readmodel

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/order"
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
}

// FromState makes the document of an order out of its folded state.
func FromState(s order.State) Order {
	return Order{
		Order: s.Order, Status: s.Status, Reason: s.Reason, Version: s.Head.Version,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, CorrelationID: s.CorrelationID,
	}
}

// document is an Order as it stands in the collection; see the package comment.
type document struct {
	ID            string        `bson:"_id"`
	CustomerID    string        `bson:"customerId"`
	Status        string        `bson:"status"`
	Reason        string        `bson:"reason"`
	Version       int64         `bson:"version"`
	Currency      string        `bson:"currency"`
	TotalAmount   int64         `bson:"totalAmount"`
	Fulfillment   string        `bson:"fulfillment"`
	Lines         []line        `bson:"lines"`
	PaymentMethod string        `bson:"paymentMethod"`
	CreatedAt     bson.DateTime `bson:"createdAt"`
	UpdatedAt     bson.DateTime `bson:"updatedAt"`
	CorrelationID string        `bson:"correlationId"`
}

type line struct {
	SKU        string `bson:"sku"`
	Quantity   int64  `bson:"quantity"`
	UnitAmount int64  `bson:"unitAmount"`
}

func toDocument(o Order) document {
	lines := make([]line, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = line(l)
	}
	return document{
		ID: o.ID, CustomerID: o.CustomerID, Status: string(o.Status), Reason: o.Reason, Version: o.Version,
		Currency: o.Currency, TotalAmount: o.TotalAmount, Fulfillment: string(o.Fulfillment), Lines: lines,
		PaymentMethod: o.Payment.Method, CreatedAt: bson.NewDateTimeFromTime(o.CreatedAt),
		UpdatedAt: bson.NewDateTimeFromTime(o.UpdatedAt), CorrelationID: o.CorrelationID,
	}
}

func (d document) order() Order {
	lines := make([]order.Line, len(d.Lines))
	for i, l := range d.Lines {
		lines[i] = order.Line(l)
	}
	return Order{
		Order: order.Order{
			ID: d.ID, CustomerID: d.CustomerID, Currency: d.Currency, Lines: lines, TotalAmount: d.TotalAmount,
			Payment: order.PaymentMethod{Method: d.PaymentMethod}, Fulfillment: order.Fulfillment(d.Fulfillment),
		},
		Status: order.Status(d.Status), Reason: d.Reason, Version: d.Version, CreatedAt: d.CreatedAt.Time().UTC(),
		UpdatedAt: d.UpdatedAt.Time().UTC(), CorrelationID: d.CorrelationID,
	}
}
