package inbound_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// placeable is the data of an order.created that breaks no rule.
const placeable = `{"orderId":"42","customerId":"c-7","currency":"EUR",
	"lines":[{"sku":"tea","quantity":1,"unitAmount":450},{"sku":"cup","quantity":1,"unitAmount":900},
		{"sku":"tea","quantity":2,"unitAmount":450}],
	"payment":{"method":"tok_visa"},"fulfillment":"shipment"}`

// signal is a signal that was sent.
type signal struct {
	orderID, name string
	payload       any
}

// sagas records its calls and returns configured answers.
type sagas struct {
	refunds []sagaclient.Request
	placed  []sagaclient.Placement
	signals []signal
	late    *sagaclient.Late
	// onboarded are the customers that were handed on, each with whether they were known.
	onboarded []handedOn
	// notified are the messages that were started.
	notified []notification.Subject
	// settled are the orders for which something late is settled.
	settled []string
	err     error
}

func (s *sagas) SettleLate(_ context.Context, ended order.State) error {
	s.settled = append(s.settled, ended.Order.ID)
	return s.err
}

// handedOn is a customer that was handed on.
type handedOn struct {
	customerID string
	known      bool
}

func (s *sagas) Onboard(_ context.Context, customerID string, known bool) error {
	s.onboarded = append(s.onboarded, handedOn{customerID, known})
	return s.err
}

func (s *sagas) Notify(_ context.Context, n notification.Subject) error {
	s.notified = append(s.notified, n)
	return s.err
}

func (s *sagas) Place(_ context.Context, p sagaclient.Placement) (bool, error) {
	s.placed = append(s.placed, p)
	return false, s.err
}

func (s *sagas) Signal(_ context.Context, orderID, name string, payload any) (*sagaclient.Late, error) {
	s.signals = append(s.signals, signal{orderID, name, payload})
	return s.late, s.err
}

// receipt is a receipt that was booked.
type receipt struct {
	sku      string
	quantity int64
	id       string
}

type receiver struct {
	receipts []receipt
	err      error
}

func (r *receiver) Receive(_ context.Context, sku string, quantity int64, id string) error {
	r.receipts = append(r.receipts, receipt{sku, quantity, id})
	return r.err
}

// world has an executor and its dependencies.
type world struct {
	sagas    *sagas
	stock    *receiver
	log      *memlog.Log
	executor *inbound.Executor
	keys     *sealedtest.Keys
	box      *sealed.Box
}

// flowSagas starts sagas of a flow, and sends facts to them.
type flowSagas struct {
	sagaclient.Sagas
	*sagas
	flow saga.Definer
}

func (s *flowSagas) SendFact(_ context.Context, id string, f sagaclient.Fact) error {
	s.signals = append(s.signals, signal{id, saga.SignalFact, f.Fact})
	return s.err
}

func (s *flowSagas) Start(_ context.Context, r sagaclient.Request) (saga.View, bool, error) {
	_, err := s.flow.ReadStart(r.ID, r.Body, r.At)
	if err == nil {
		s.refunds = append(s.refunds, r)
	}
	return saga.View{}, false, err
}

func newWorld() *world {
	w := &world{sagas: &sagas{}, stock: &receiver{}, log: memlog.New(), keys: sealedtest.NewKeys()}
	w.box = sealed.NewBox(w.keys)
	w.executor = &inbound.Executor{
		Sagas: w.sagas, Onboard: w.sagas.Onboard, Stock: w.stock, Clock: func() time.Time { return now },
		Log: w.log, Sealer: w.box, Logger: slog.New(slog.DiscardHandler),
		Flows: map[string]sagaclient.Sagas{
			refund.Flow.Name:  &flowSagas{sagas: w.sagas, flow: &refund.Flow},
			returns.Flow.Name: &flowSagas{sagas: w.sagas, flow: &returns.Flow},
			dispute.Flow.Name: &flowSagas{sagas: w.sagas, flow: &dispute.Flow},
		},
	}
	return w
}

// untouched checks that no dependency was called.
func (w *world) untouched(t *testing.T) {
	t.Helper()
	require.Empty(t, w.sagas.placed)
	require.Empty(t, w.sagas.signals)
	require.Empty(t, w.stock.receipts)
	require.Empty(t, w.sagas.refunds)
	require.Empty(t, w.log.Names())
}

// arrived is an event as the bus brings it.
func arrived(eventType, data string) event.Event {
	return event.Event{
		ID: "evt-1", Type: eventType, Source: "/shop", Subject: "42", Time: now,
		CorrelationID: "corr", SchemaVersion: 1, Data: json.RawMessage(data),
	}
}

// derived is the id by which everything that arrived's event causes is done once.
var derived = event.DerivedID("/shop", "evt-1")

// cancelled writes the stream of an order that the event with ID cause cancelled.
func cancelled(t *testing.T, log *memlog.Log, cause string) order.State {
	t.Helper()
	o := order.Order{
		ID: "42", CustomerID: "c-7", Currency: "EUR", Lines: []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: 450}},
		Payment: order.PaymentMethod{Method: "tok_visa"},
	}.Normalize()
	facts := order.FactsOf("42", order.Cancellation{ID: event.DerivedID("/shop", cause), Cause: cause})
	state := write(t, log, order.State{}, order.Accept(o, "corr", "cause", now))
	state = write(t, log, state, order.Decisions(state, facts, now, order.DefaultTiming())...)
	state = write(t, log, state, state.Undone(order.StepReserve, now))
	state = write(t, log, state, order.Decisions(state, facts, now, order.DefaultTiming())...)
	require.Equal(t, order.StatusCancelled, state.Status)
	return state
}

// write appends to the order's stream and folds.
func write(t *testing.T, log *memlog.Log, s order.State, entries ...event.Entry) order.State {
	t.Helper()
	_, tail, err := log.Append(t.Context(), event.OrderStream("42"), s.Head, entries)
	require.NoError(t, err)
	s, err = s.Fold(tail)
	require.NoError(t, err)
	return s
}
