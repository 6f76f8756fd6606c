package mongo

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// entry is the document of a list entry. Field names are a public format. A document without attention needs no attention.
type entry struct {
	// ID is the escaped order ID, so that entries are in the order of their streams.
	ID            string            `bson:"_id"`
	CustomerID    string            `bson:"customerId"`
	Status        saga.Status       `bson:"status"`
	Reason        string            `bson:"reason"`
	Version       int64             `bson:"version"`
	Currency      string            `bson:"currency"`
	TotalAmount   int64             `bson:"totalAmount"`
	Fulfillment   order.Fulfillment `bson:"fulfillment"`
	Lines         []entryLine       `bson:"lines"`
	PaymentMethod string            `bson:"paymentMethod"`
	CreatedAt     time.Time         `bson:"createdAt"`
	UpdatedAt     time.Time         `bson:"updatedAt"`
	CorrelationID string            `bson:"correlationId"`
	Attention     *entryAttention   `bson:"attention,omitempty"`
	Flow          string            `bson:"flow,omitempty"`
	Metadata      map[string]string `bson:"metadata,omitempty"`
}

type entryLine struct {
	SKU        string `bson:"sku"`
	Quantity   int64  `bson:"quantity"`
	UnitAmount int64  `bson:"unitAmount"`
	Stocked    *bool  `bson:"stocked,omitempty"`
}

type entryAttention struct {
	Number   int64                   `bson:"number"`
	Step     string                  `bson:"step"`
	Item     string                  `bson:"item,omitempty"`
	Undo     bool                    `bson:"undo"`
	Error    string                  `bson:"error"`
	Attempts int64                   `bson:"attempts"`
	NextTry  time.Time               `bson:"nextTry,omitempty"`
	Since    time.Time               `bson:"since"`
	Actions  []saga.ResolutionAction `bson:"actions"`
}

func (e entry) position() cursor.Position {
	return cursor.Position{Millis: e.CreatedAt.UnixMilli(), ID: e.ID}
}

func toEntry(o readmodel.Order) entry {
	e := entry{
		ID: event.Escape(o.ID), CustomerID: o.CustomerID, Status: o.Status, Reason: o.Reason, Version: o.Version, Currency: o.Currency,
		TotalAmount: o.TotalAmount, Fulfillment: o.Fulfillment, Lines: make([]entryLine, len(o.Lines)), PaymentMethod: o.Payment.Method,
		CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, CorrelationID: o.CorrelationID, Flow: o.Flow, Metadata: o.Metadata,
	}
	for i, line := range o.Lines {
		e.Lines[i] = entryLine(line)
	}
	if a := o.Attention; a != nil {
		e.Attention = &entryAttention{
			Number: int64(a.Count), Step: a.Step, Item: a.Item, Undo: a.Undo, Error: a.Error, Attempts: int64(a.Attempts), NextTry: a.NextTry,
			Since: a.Since, Actions: append([]saga.ResolutionAction{}, a.Actions...),
		}
	}
	return e
}

func (e entry) order() readmodel.Order {
	o := readmodel.Order{
		Order: order.Order{
			ID: orderIDOf(e.ID), CustomerID: e.CustomerID, Currency: e.Currency, Lines: make([]order.Line, len(e.Lines)), TotalAmount: e.TotalAmount,
			Payment: order.PaymentMethod{Method: e.PaymentMethod}, Fulfillment: e.Fulfillment, Metadata: e.Metadata,
		},
		Status: e.Status, Reason: e.Reason, Version: e.Version, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
		CorrelationID: e.CorrelationID, Flow: e.Flow,
	}
	for i, line := range e.Lines {
		o.Lines[i] = order.Line(line)
	}
	if a := e.Attention; a != nil {
		o.Attention = &readmodel.Attention{Actions: a.Actions, AttentionState: saga.AttentionState{
			Open: true, Step: a.Step, Item: a.Item, Undo: a.Undo, Count: int(a.Number), Error: a.Error, Attempts: int(a.Attempts), NextTry: a.NextTry,
			Since: a.Since,
		}}
	}
	return o
}

// readEntry decodes a document that may be damaged. For an invalid document it returns only the ID, which is empty if it is not a string.
func readEntry(raw bson.Raw) (o readmodel.Order) {
	var e entry
	if err := bson.Unmarshal(raw, &e); err == nil {
		return e.order()
	}
	name, _ := raw.Lookup("_id").StringValueOK()
	o.ID = orderIDOf(name)
	return o
}

// orderIDOf returns the order ID of an entry. A name that is not an escaped ID is returned unchanged.
func orderIDOf(name string) string {
	if id, ok := event.Unescape(name); ok {
		return id
	}
	return name
}
