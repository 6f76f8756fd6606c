package activities_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// stream is the order's.
var stream = event.OrderStream("42")

// tea is an order of two lines.
func tea() order.Order {
	return order.Order{
		ID: "42", CustomerID: "c-7", Currency: "EUR",
		Lines:   []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: 450}, {SKU: "cup", Quantity: 1, UnitAmount: 900}},
		Payment: order.PaymentMethod{Method: "tok_visa"},
	}.Normalize()
}

// log is a log with configured failures.
type log struct {
	*memlog.Log
	appendErr, readErr error
}

func (l *log) Append(ctx context.Context, s string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	if l.appendErr != nil {
		return event.Head{}, nil, l.appendErr
	}
	return l.Log.Append(ctx, s, head, entries)
}

func (l *log) Read(ctx context.Context, s string, after int64, limit int) ([]event.Record, error) {
	if l.readErr != nil {
		return nil, l.readErr
	}
	return l.Log.Read(ctx, s, after, limit)
}

// bus returns configured results; by default it confirms everything.
type bus struct {
	publish func(ctx context.Context, records []event.Record) (int, error)
	got     []event.Record
}

func (b *bus) Publish(ctx context.Context, records []event.Record) (int, error) {
	b.got = records
	if b.publish == nil {
		return len(records), nil
	}
	return b.publish(ctx, records)
}

// list is the list of orders.
type list struct {
	err    error
	states []order.State
}

func (l *list) Project(_ context.Context, s order.State) error {
	l.states = append(l.states, s)
	return l.err
}

// world has a recorder and its dependencies.
type world struct {
	t        *testing.T
	log      *log
	bus      *bus
	list     *list
	recorder *activities.Recorder
	// outcomes are the activities that call no participant.
	outcomes *orders
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, log: &log{Log: memlog.New()}, bus: &bus{}, list: &list{}}
	w.recorder = &activities.Recorder{
		Log: w.log, Publisher: w.bus, Clock: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
	}
	w.outcomes = w.orders(order.Participants{})
	return w
}

// orders returns the activities of a world, with participants with configured answers.
func (w *world) orders(p order.Participants) *orders {
	return newOrders(w.recorder, w.list, p, order.DefaultTiming().Settings(true))
}

// write appends to the order's stream, regardless of the configured failures, and folds.
func (w *world) write(s order.State, entries ...event.Entry) order.State {
	w.t.Helper()
	_, tail, err := w.log.Log.Append(w.t.Context(), stream, s.Head, entries)
	require.NoError(w.t, err)
	s, err = s.Fold(tail)
	require.NoError(w.t, err)
	return s
}

// accepted writes the stream of an order that was taken on.
func (w *world) accepted() order.State {
	w.t.Helper()
	return w.write(order.State{}, order.Accept(tea(), "corr", "cause", now))
}

// reserved writes the stream of an order whose lines hold stock.
func (w *world) reserved() order.State {
	w.t.Helper()
	s := w.accepted()
	return w.write(s, s.Reserved(held("tea", "cup"), now))
}

// pending writes the stream of an order that waits for its payer.
func (w *world) pending() order.State {
	w.t.Helper()
	s := w.reserved()
	return w.write(s, s.PaymentPending("p-1", now, now.Add(order.DefaultTiming().PaymentPending)))
}

// settling writes the stream of an order past its pivot.
func (w *world) settling() order.State {
	w.t.Helper()
	s := w.reserved()
	s = w.write(s, s.Authorized("p-1", now))
	return w.decide(s, order.Facts{})
}

// captured writes the stream of an order whose money is taken.
func (w *world) captured() order.State {
	w.t.Helper()
	s := w.settling()
	return w.write(s, s.Captured("p-1", now))
}

// compensating writes the stream of a reserved order that is cancelled.
func (w *world) compensating() order.State {
	w.t.Helper()
	return w.cancel(w.reserved())
}

func (w *world) cancel(s order.State) order.State {
	w.t.Helper()
	return w.decide(s, order.Facts{Cancellations: []order.Cancellation{{ID: "c-1"}}})
}

// decide appends the events that follow from the state.
func (w *world) decide(s order.State, f order.Facts) order.State {
	w.t.Helper()
	entries := order.Decisions(s, f, now, order.DefaultTiming())
	require.NotEmpty(w.t, entries)
	return w.write(s, entries...)
}

// held are lines that hold stock.
func held(skus ...string) []order.LineOutcome {
	var lines []order.LineOutcome
	for _, l := range tea().Lines {
		for _, sku := range skus {
			if l.SKU == sku {
				lines = append(lines, order.LineOutcome{SKU: sku, Quantity: l.Quantity, Reserved: true})
			}
		}
	}
	return lines
}

// in is the input of a step on a state.
func in(s order.State, entries ...event.Entry) stepInput {
	return stepInput{State: s, Settings: order.DefaultTiming().Settings(true), Entries: entries}
}

// inline is the input of a step inside a workflow task.
func inline(s order.State, entries ...event.Entry) stepInput {
	i := in(s, entries...)
	i.Inline = true
	return i
}

// types lists the types of records.
func types(records []event.Record) []string {
	var types []string
	for _, r := range records {
		types = append(types, r.Type)
	}
	return types
}

// behind returns the records that the log has after a state.
func (w *world) recordsAfter(s order.State) []event.Record {
	w.t.Helper()
	records, err := w.log.Log.Read(w.t.Context(), stream, s.Head.Version, 0)
	require.NoError(w.t, err)
	return records
}

// requireFault checks what Temporal stores of an error.
func requireFault(t *testing.T, code fault.Code, err error) {
	t.Helper()
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application, "this is what Temporal keeps")
	require.Equal(t, string(code), application.Type(), "%v", err)
	require.Equal(t, fault.Lookup(code).Retryable, !application.NonRetryable())
}
