// Package audit checks what must always hold, over the raw documents of the event log. It is written against
// the documented format alone and shares no code with the service: what the service believes of itself is not
// asked.
//
// Only tests and the demo import it.
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

// Document is an event as it stands in the collection.
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
	// Streams holds every stream, oldest event first.
	Streams map[string][]Document
	// Orders says how each order ended: the type of its terminal event, or "" while it is open.
	Orders map[string]string
	// Net is what was captured or came late, minus what was refunded, of each order, in minor units.
	Net map[string]int64
	// Authorizations counts the authorizations that were made for each order.
	Authorizations map[string]int
	// OnHand and Reserved are the stock of each SKU, recomputed from its movements.
	OnHand, Reserved map[string]int64
	// Committed is what has left, of each SKU.
	Committed map[string]int64
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
			return Examine(documents), nil
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
		Streams: map[string][]Document{}, Orders: map[string]string{}, Net: map[string]int64{},
		Authorizations: map[string]int{}, OnHand: map[string]int64{}, Reserved: map[string]int64{}, Committed: map[string]int64{},
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
			r.order(strings.TrimPrefix(name, "order-"), stream)
		case strings.HasPrefix(name, "payment-"):
			r.payment(strings.TrimPrefix(name, "payment-"), stream)
		}
	}
	for _, name := range sorted(r.Streams) {
		if sku, ok := strings.CutPrefix(name, "sku-"); ok {
			r.stock(sku, r.Streams[name])
		}
	}
	r.money()
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
	for _, d := range r.Streams["order-"+orderID] {
		types = append(types, d.Type)
	}
	return types
}

func (r *Report) violate(format string, args ...any) {
	r.Violations = append(r.Violations, fmt.Sprintf(format, args...))
}

// order checks that an order's stream begins and ends as it must.
func (r *Report) order(id string, stream []Document) {
	r.Orders[id] = ""
	if stream[0].Type != "order.accepted" {
		r.violate("order %s begins with %s", id, stream[0].Type)
	}
	for i, d := range stream {
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

// pivot checks that an order was decided once before anything was captured or undone.
func (r *Report) pivot(id string, stream []Document) {
	decided := ""
	for _, d := range stream {
		switch d.Type {
		case "order.settling":
			decided = d.Type
		case "order.compensating":
			decided = d.Type
		case "payment.captured", "inventory.committed":
			if decided != "order.settling" {
				r.violate("order %s: %s after %q", id, d.Type, decided)
			}
		case "payment.voided", "inventory.released", "order.fulfillment_withdrawn":
			if decided != "order.compensating" {
				r.violate("order %s: %s after %q", id, d.Type, decided)
			}
		}
	}
}

// payment adds up the simulator's ledger of one order.
func (r *Report) payment(id string, stream []Document) {
	captured, arrived, refunded, voided := int64(0), int64(0), int64(0), false
	for _, d := range stream {
		switch d.Type {
		case "charge.authorized":
			r.Authorizations[id]++
		case "charge.captured":
			if captured != 0 || voided {
				r.violate("payment %s is captured again, or after it was voided", id)
			}
			captured += number(d.Data, "amount")
		case "charge.arrived":
			arrived += number(d.Data, "amount")
		case "charge.refunded":
			refunded += number(d.Data, "amount")
		case "charge.voided", "charge.fenced":
			if captured != 0 {
				r.violate("payment %s is voided after it was captured", id)
			}
			voided = true
		}
	}
	// Money that came after a void is nobody's: it has to go back like money that was taken.
	r.Net[id] = captured + arrived - refunded
	if n := r.Authorizations[id]; n > 1 {
		r.violate("payment %s has %d authorizations", id, n)
	}
	ended := r.Orders[id]
	if ended != "" && ended != "order.completed" && r.Authorizations[id] > 0 && !voided && captured == 0 && !r.byHand(id, "undo/authorize") {
		r.violate("the authorization of order %s stands after %s", id, ended)
	}
}

// money checks what each ended order was charged.
func (r *Report) money() {
	for _, id := range sorted(r.Orders) {
		want := int64(0)
		switch r.Orders[id] {
		case "":
			continue
		case "order.completed":
			want = number(r.Streams["order-"+id][0].Data, "totalAmount")
		}
		if r.Net[id] != want && !r.excused(id) {
			r.violate("order %s ended as %s and was charged %d instead of %d", id, r.Orders[id], r.Net[id], want)
		}
	}
}

// stock recomputes the balance of one SKU and compares it with what each movement claims.
func (r *Report) stock(sku string, stream []Document) {
	holds := map[string]int64{}
	var onHand, reserved, in, committed int64
	for _, d := range stream {
		quantity, orderID := number(d.Data, "quantity"), text(d.Data, "orderId")
		switch d.Type {
		case "stock.added", "stock.adjusted", "stock.returned":
			onHand, in = onHand+quantity, in+quantity
		case "stock.reserved":
			reserved += quantity
			holds[orderID] += quantity
		case "stock.released":
			reserved -= quantity
			holds[orderID] -= quantity
		case "stock.committed":
			onHand, reserved, committed = onHand-quantity, reserved-quantity, committed+quantity
			holds[orderID] -= quantity
		}
		if onHand < 0 || reserved < 0 || onHand < reserved {
			r.violate("sku %s at version %d: %d on hand, %d reserved", sku, d.Version, onHand, reserved)
		}
		if number(d.Data, "onHand") != onHand || number(d.Data, "reserved") != reserved {
			r.violate("sku %s at version %d claims %d on hand and %d reserved; it is %d and %d", sku, d.Version,
				number(d.Data, "onHand"), number(d.Data, "reserved"), onHand, reserved)
		}
	}
	if in != onHand+committed {
		r.violate("sku %s: %d came in, %d are on hand, %d have left", sku, in, onHand, committed)
	}
	for _, id := range sorted(holds) {
		if held := holds[id]; held < 0 || held != 0 && r.Orders[id] != "" && !r.byHand(id, "commit", "undo/reserve") {
			r.violate("order %s has ended as %q and holds %d of %s", id, r.Orders[id], held, sku)
		}
	}
	r.OnHand[sku], r.Reserved[sku], r.Committed[sku] = onHand, reserved, committed
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

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
