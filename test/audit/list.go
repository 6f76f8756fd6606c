package audit

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Entry is an order in the collection that lists are made from.
type Entry struct {
	ID            string    `bson:"_id"`
	CustomerID    string    `bson:"customerId"`
	Status        string    `bson:"status"`
	Reason        string    `bson:"reason"`
	Version       int64     `bson:"version"`
	Currency      string    `bson:"currency"`
	TotalAmount   int64     `bson:"totalAmount"`
	Fulfillment   string    `bson:"fulfillment"`
	PaymentMethod string    `bson:"paymentMethod"`
	CreatedAt     time.Time `bson:"createdAt"`
	UpdatedAt     time.Time `bson:"updatedAt"`
	CorrelationID string    `bson:"correlationId"`
}

// RunAll is Run, and checks the list of orders too. The list follows the log: nothing must be on its way.
func RunAll(ctx context.Context, db *mongo.Database) (*Report, error) {
	r, err := Run(ctx, db)
	if err != nil {
		return nil, err
	}
	cursor, err := db.Collection("orders").Find(ctx, bson.D{})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	var entries []Entry
	if err := cursor.All(ctx, &entries); err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	r.CompareList(entries)
	return r, nil
}

// statusOf is the status after an event; other events leave it.
var statusOf = map[string]string{
	"order.accepted": "accepted", "inventory.reserved": "reserved", "payment.pending": "awaiting_payment",
	"payment.authorized": "authorized", "order.confirmed": "awaiting_shipment", "order.settling": "settling",
	"order.shipped": "shipped", "order.compensating": "compensating", "order.completed": "completed",
	"order.rejected": "rejected", "order.cancelled": "cancelled", "order.failed": "failed",
}

// waits are the statuses that the list does not skip.
var waits = map[string]bool{
	"accepted": true, "awaiting_payment": true, "awaiting_shipment": true, "shipped": true, "needs_attention": true,
	"completed": true, "rejected": true, "cancelled": true, "failed": true,
}

// CompareList checks that the list shows every order at the newest status at which it waits or has ended.
func (r *Report) CompareList(entries []Entry) {
	shown := make(map[string]Entry, len(entries))
	for _, e := range entries {
		e.ID = r.idIn(e.ID)
		shown[e.ID] = e
		if len(r.of("order-", e.ID)) == 0 {
			r.violate("the list shows order %s, which has no stream", e.ID)
		}
	}
	for _, id := range sorted(r.Orders) {
		stream := r.of("order-", id)
		e, there := shown[id]
		switch head := stream[len(stream)-1].Version; {
		case !there:
			r.violate("the list does not show order %s", id)
		case e.Version > head:
			r.violate("the list shows version %d of order %s, which ends at %d", e.Version, id, head)
		default:
			r.compare(id, stream, e)
		}
	}
}

// compare holds an entry against the stream at its version.
func (r *Report) compare(id string, stream []Document, e Entry) {
	flow, attention, reason, waiting := "", false, "", ""
	var at Document
	var listedAt int64
	status := func() string {
		if attention && !terminal["order."+flow] {
			return "needs_attention"
		}
		return flow
	}
	var statusThen, reasonThen string
	for _, d := range stream {
		if next := statusOf[d.Type]; next != "" && (next != "settling" || flow != "shipped") {
			flow = next
		}
		switch d.Type {
		case "order.needs_attention":
			attention = true
		case "order.attention_resolved":
			attention = false
		case "inventory.rejected", "order.compensating", "order.completed", "order.rejected", "order.cancelled", "order.failed":
			reason = text(d.Data, "reason")
		}
		if now := status(); waits[now] && now != waiting {
			waiting, listedAt = now, d.Version
		}
		if d.Version == e.Version {
			at, statusThen, reasonThen = d, status(), reason
		}
	}
	first := stream[0].Data
	payment, _ := value(first, "payment").(bson.D)
	want := Entry{
		ID: id, CustomerID: text(first, "customerId"), Status: statusThen, Reason: reasonThen, Version: e.Version,
		Currency: text(first, "currency"), TotalAmount: number(first, "totalAmount"), Fulfillment: text(first, "fulfillment"),
		PaymentMethod: text(payment, "method"), CreatedAt: stream[0].Time, UpdatedAt: at.Time, CorrelationID: stream[0].CorrelationID,
	}
	same := want.CreatedAt.Equal(e.CreatedAt) && want.UpdatedAt.Equal(e.UpdatedAt)
	want.CreatedAt, want.UpdatedAt = e.CreatedAt, e.UpdatedAt
	switch {
	case !same || want != e:
		r.violate("the list shows order %s as %+v, and the log has %+v", id, e, want)
	case e.Version < listedAt:
		r.violate("the list shows version %d of order %s, which is %s since version %d", e.Version, id, waiting, listedAt)
	}
}
