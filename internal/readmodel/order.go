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
	// Attention is what an operator is asked to look at; nil when nothing is.
	Attention *Attention
	// EndedAs is what the order had ended as when something came late that needs somebody; else empty.
	EndedAs order.Status
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
	Attention     *attention    `bson:"attention,omitempty"`
	EndedAs       string        `bson:"endedAs,omitempty"`
}

type attention struct {
	Number   int64          `bson:"number"`
	Step     string         `bson:"step"`
	Undo     bool           `bson:"undo"`
	Error    string         `bson:"error"`
	Attempts int64          `bson:"attempts"`
	NextTry  *bson.DateTime `bson:"nextTry,omitempty"`
	Since    bson.DateTime  `bson:"since"`
	Actions  []string       `bson:"actions"`
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
		UpdatedAt: bson.NewDateTimeFromTime(o.UpdatedAt), CorrelationID: o.CorrelationID, Attention: toAttention(o.Attention),
		EndedAs: string(o.EndedAs),
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
		UpdatedAt: d.UpdatedAt.Time().UTC(), CorrelationID: d.CorrelationID, Attention: d.Attention.attention(),
		EndedAs: order.Status(d.EndedAs),
	}
}

func toAttention(a *Attention) *attention {
	if a == nil {
		return nil
	}
	doc := &attention{
		Number: int64(a.Count), Step: a.Step, Undo: a.Undo, Error: a.Error, Attempts: int64(a.Attempts),
		Since: bson.NewDateTimeFromTime(a.Since), Actions: make([]string, len(a.Actions)),
	}
	if !a.NextTry.IsZero() {
		next := bson.NewDateTimeFromTime(a.NextTry)
		doc.NextTry = &next
	}
	for i, action := range a.Actions {
		doc.Actions[i] = string(action)
	}
	return doc
}

func (d *attention) attention() *Attention {
	if d == nil {
		return nil
	}
	a := &Attention{AttentionState: order.AttentionState{
		Open: true, Step: d.Step, Undo: d.Undo, Count: int(d.Number), Error: d.Error,
		Attempts: int(d.Attempts), Since: d.Since.Time().UTC(),
	}}
	if d.NextTry != nil {
		a.NextTry = d.NextTry.Time().UTC()
	}
	for _, action := range d.Actions {
		a.Actions = append(a.Actions, order.ResolutionAction(action))
	}
	return a
}
