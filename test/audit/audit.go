// Package audit checks what must always hold, over the raw documents of the event log. It is written against
// the documented format alone and shares no code with the service: what the service believes of itself is not
// asked. The catalog's schemas are part of that format; every document's data is held to its own.
//
// Only tests, the demo and the benchmark import it.
package audit

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Document is an event as stored in the collection.
type Document struct {
	ID            string    `bson:"_id"`
	Stream        string    `bson:"stream"`
	Version       int64     `bson:"version"`
	Key           string    `bson:"key"`
	EventID       string    `bson:"id"`
	Type          string    `bson:"type"`
	Source        string    `bson:"source"`
	Subject       string    `bson:"subject"`
	Time          time.Time `bson:"time"`
	CorrelationID string    `bson:"correlationId"`
	CausationID   string    `bson:"causationId"`
	SchemaVersion int32     `bson:"schemaVersion"`
	Data          bson.D    `bson:"data"`
	Hash          string    `bson:"hash"`
	PrevHash      string    `bson:"prevHash"`
}

// Report is what was found.
type Report struct {
	// Violations are sentences; empty when everything holds.
	Violations []string
	// Exceptions are sentences about money and stock that differ because an operator decided so, on record.
	Exceptions []string
	// Streams holds every stream, oldest event first.
	Streams map[string][]Document
	// Orders says how each order ended: the type of its terminal event, or "" while it is open.
	Orders map[string]string
	// Late lists what came after each order had ended and is not settled: "money" or "goods".
	Late map[string][]string
	// Notices lists the messages to customers that have not come to an end.
	Notices []string
	// Net is what was captured or came late, minus what was refunded, of each order, in minor units.
	Net map[string]int64
	// Refunded is what refunds of each order have given back.
	Refunded map[string]int64
	// Authorizations counts the authorizations that were made for each order.
	Authorizations map[string]int
	// OnHand and Reserved are the stock of each SKU, recomputed from its movements.
	OnHand, Reserved map[string]int64
	// Committed is what has left, of each SKU.
	Committed map[string]int64

	// excepted holds "<orderId>/<step>", or "<orderId>/undo <step>", where an operator decided about a step.
	excepted map[string]bool
	// settled holds how a reservation was settled, by "<sku>/<orderId>".
	settled map[string]settlement
	// standing and pending are the orders whose authorization, or question to the payer, is not settled.
	standing, pending map[string]bool
	// maybeRefunded is what refunds may have given back that are open, or that an operator has decided about, by order.
	maybeRefunded map[string]int64
}

// terminal are the types that end an order.
var terminal = map[string]bool{
	"order.completed": true, "order.rejected": true, "order.cancelled": true, "order.failed": true,
}

// Run reads the whole event log of a database and checks it. It reads everything at once: it is for tests.
func Run(ctx context.Context, db *mongo.Database) (*Report, error) {
	for attempt := 1; ; attempt++ {
		documents, err := read(ctx, db)
		switch {
		case err == nil:
			r := Examine(documents)
			r.Described()
			return r, nil
		case attempt == readAttempts || !cursorLost(err):
			return nil, fmt.Errorf("read events: %w", err)
		}
	}
}

// readAttempts bounds how often reading begins again after its cursor was lost.
const readAttempts = 5

// codeCursorNotFound is the server's code for a cursor that it does not have any more.
const codeCursorNotFound = 43

// cursorLost reports whether the server has forgotten where reading stood. A driver that notices late that a server was
// restarted closes its connections, and a cursor ends with the connection that it was opened on.
func cursorLost(err error) bool {
	var command mongo.CommandError
	return errors.As(err, &command) && command.Code == codeCursorNotFound
}

func read(ctx context.Context, db *mongo.Database) ([]Document, error) {
	cursor, err := db.Collection("events").Find(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	var documents []Document
	err = cursor.All(ctx, &documents)
	return documents, err
}

// Examine checks documents, in any order.
func Examine(documents []Document) *Report {
	r := &Report{
		Streams: map[string][]Document{}, Orders: map[string]string{}, Late: map[string][]string{}, Net: map[string]int64{},
		Authorizations: map[string]int{}, OnHand: map[string]int64{}, Reserved: map[string]int64{}, Committed: map[string]int64{},
		excepted: map[string]bool{}, settled: map[string]settlement{}, standing: map[string]bool{}, pending: map[string]bool{},
		Refunded: map[string]int64{}, maybeRefunded: map[string]int64{},
	}
	for _, d := range documents {
		r.Streams[d.Stream] = append(r.Streams[d.Stream], d)
	}
	for _, name := range sorted(r.Streams) {
		stream := r.Streams[name]
		sort.Slice(stream, func(i, j int) bool { return stream[i].Version < stream[j].Version })
		r.chain(name, stream)
		switch {
		case strings.HasPrefix(name, "order-"):
			r.order(r.idIn(strings.TrimPrefix(name, "order-")), stream)
		case strings.HasPrefix(name, "payment-"):
			r.payment(r.idIn(strings.TrimPrefix(name, "payment-")), stream)
		case strings.HasPrefix(name, "refunds-"):
			r.refunds(r.idIn(strings.TrimPrefix(name, "refunds-")), stream)
		case strings.HasPrefix(name, "customer-"):
			r.customer(r.idIn(strings.TrimPrefix(name, "customer-")), stream)
		case strings.HasPrefix(name, "notice-"):
			r.notice(r.idIn(strings.TrimPrefix(name, "notice-")), stream)
		}
	}
	for _, name := range sorted(r.Streams) {
		if id, ok := strings.CutPrefix(name, "late-"); ok {
			r.late(r.idIn(id), r.Streams[name])
		}
		if id, ok := strings.CutPrefix(name, "refund-"); ok {
			r.refund(r.idIn(id), r.Streams[name])
		}
		if id, ok := strings.CutPrefix(name, "return-"); ok {
			r.goodsBack(r.idIn(id), r.Streams[name])
		}
		if id, ok := strings.CutPrefix(name, "dead-"); ok {
			r.dead(r.idIn(id), r.Streams[name])
		}
		if sku, ok := strings.CutPrefix(name, "sku-"); ok {
			r.stock(r.idIn(sku), r.Streams[name])
		}
	}
	r.money()
	r.outcomes()
	return r
}

// Open lists the orders without a terminal event.
func (r *Report) Open() []string {
	var open []string
	for _, id := range sorted(r.Orders) {
		if r.Orders[id] == "" {
			open = append(open, id)
		}
	}
	return open
}

// Timeline lists the types of an order's events.
func (r *Report) Timeline(orderID string) []string {
	var types []string
	for _, d := range r.Order(orderID) {
		types = append(types, d.Type)
	}
	return types
}

// except notes what an operator has decided about a step of an order, and said why or what was done instead: that is the
// only exception to what must hold.
func (r *Report) except(id string, d Document) {
	if !said(d) {
		return
	}
	// It is in the slot of the step, so that the step cannot record another outcome.
	step := strings.Replace(strings.TrimSuffix(d.Key, "/settled"), "undo/", "undo ", 1)
	r.excepted[id+"\x00"+step] = true
}

// unlessExcepted is violate, unless an operator decided about one of the steps, each "step" or "undo step".
func (r *Report) unlessExcepted(orderID string, steps []string, format string, args ...any) {
	for _, step := range steps {
		if r.excepted[orderID+"\x00"+step] {
			r.Exceptions = append(r.Exceptions, fmt.Sprintf(format, args...))
			return
		}
	}
	r.violate(format, args...)
}

func (r *Report) violate(format string, args ...any) {
	r.Violations = append(r.Violations, fmt.Sprintf(format, args...))
}

// order checks that an order's stream begins and ends as it must.
func (r *Report) order(id string, stream []Document) {
	r.Orders[id] = ""
	if stream[0].Type != "order.accepted" || text(stream[0].Data, "orderId") != id {
		r.violate("order %s begins with %s of order %q", id, stream[0].Type, text(stream[0].Data, "orderId"))
	}
	for i, d := range stream {
		r.except(id, d)
		if !terminal[d.Type] {
			continue
		}
		if i != len(stream)-1 {
			r.violate("order %s goes on after %s", id, d.Type)
		}
		r.Orders[id] = d.Type
	}
	r.pivot(id, stream)
}

// number reads an integer field of data, whatever integer type it was stored as.
func number(data bson.D, name string) int64 {
	for _, e := range data {
		if e.Key != name {
			continue
		}
		switch v := e.Value.(type) {
		case int32:
			return int64(v)
		case int64:
			return v
		}
	}
	return 0
}

func text(data bson.D, name string) string {
	for _, e := range data {
		if e.Key == name {
			s, _ := e.Value.(string)
			return s
		}
	}
	return ""
}

func flag(data bson.D, name string) bool {
	for _, e := range data {
		if e.Key == name {
			b, _ := e.Value.(bool)
			return b
		}
	}
	return false
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
