package rig

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ordersaga/ordersaga/bench/internal/load"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/workflows/order"
)

const (
	// eventsEach is how many events a stream of the comparison gets.
	eventsEach = 7
	// batch is the largest batch that the log itself sends.
	batch = 100
	// rawWriters is how many raw batches are on their way at once: more did not help any server that was tried.
	rawWriters = 4
	// AppendWriters is how many writers have as many documents on their way, one each.
	AppendWriters = rawWriters * batch
)

// Appends compares the log with what lies under it: the same documents, appended event by event through the log by many
// writers at once, and inserted raw in the largest batches.
type Appends struct {
	db        *mongo.DB
	log       *mongo.Log
	serial    int
	collected string
}

// NewAppends prepares the comparison in collections of its own.
func NewAppends(ctx context.Context, db *mongo.DB) (*Appends, error) {
	a := &Appends{db: db, collected: "appended"}
	a.log = mongo.NewLog(db, a.collected)
	// The same indexes for the raw ones.
	return a, mongo.Setup(ctx, a.log.Indexes(), mongo.NewLog(db, "raw").Indexes())
}

// Append appends the events of streams, one by one, inFlight streams at once. A latency is that of one append; the count
// is of events.
func (a *Appends) Append(ctx context.Context, streams, inFlight int) (load.Sample, int, error) {
	a.serial++
	took := make([]time.Duration, streams*eventsEach)
	sample, err := load.Closed(ctx, streams, inFlight, func(ctx context.Context, i int) error {
		id := fmt.Sprintf("append-%d-%d", a.serial, i)
		var head event.Head
		for n := range eventsEach {
			began := time.Now()
			next, _, err := a.log.Append(ctx, event.OrderStream(id), head, []event.Entry{appended(id, n)})
			if err != nil {
				return err
			}
			head, took[i*eventsEach+n] = next, time.Since(began)
		}
		return nil
	})
	sample.Latencies = took
	return sample, len(took), err
}

// appended is an event as big as those of an order.
func appended(id string, n int) event.Entry {
	o := order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Lines: []order.Line{{SKU: "bench-1", Quantity: 1, UnitAmount: 1000}},
		Payment: order.PaymentMethod{Method: "tok_visa"},
	}.Normalize()
	return event.New(event.OrderStream(id), fmt.Sprintf("slot-%d", n), event.OrderAccepted, id, time.Now(), o).CausedBy(id, "")
}

// Raw inserts what the last Append has written into another collection with the same indexes.
func (a *Appends) Raw(ctx context.Context) (load.Sample, int, error) {
	documents, err := a.written(ctx)
	if err != nil {
		return load.Sample{}, 0, err
	}
	journaled := true
	raw := a.db.Database.Collection("raw", options.Collection().SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}))
	var batches [][]bson.Raw
	for len(documents) > 0 {
		n := min(batch, len(documents))
		batches, documents = append(batches, documents[:n]), documents[n:]
	}
	count := 0
	for _, b := range batches {
		count += len(b)
	}
	sample, err := load.Closed(ctx, len(batches), rawWriters, func(ctx context.Context, i int) error {
		_, err := raw.InsertMany(ctx, batches[i], options.InsertMany().SetOrdered(true))
		return err
	})
	return sample, count, err
}

// written reads the documents of the last Append.
func (a *Appends) written(ctx context.Context) ([]bson.Raw, error) {
	cursor, err := a.db.Database.Collection(a.collected).Find(ctx, bson.D{
		{Key: "_id", Value: bson.D{{Key: "$regex", Value: fmt.Sprintf("^order-append-%d-", a.serial)}}},
	})
	if err != nil {
		return nil, err
	}
	var documents []bson.Raw
	err = cursor.All(ctx, &documents)
	return documents, err
}
