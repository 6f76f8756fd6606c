package api_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var update = flag.Bool("update", false, "write the golden files")

// at is the fixture's now.
var at = time.Date(2026, 11, 21, 18, 30, 0, 0, time.UTC)

const validOrder = `{"customerId":"customer-7","currency":"EUR","lines":[{"sku":"coffee-500g","quantity":2,"unitAmount":1999},` +
	`{"sku":"filter","quantity":1,"unitAmount":300},{"sku":"coffee-500g","quantity":1,"unitAmount":1999}],` +
	`"payment":{"method":"tok_visa"},"fulfillment":"immediate"}`

// sagas is a saga client in memory: it keeps the contract about IDs and contents, and runs no sagas.
type sagas struct {
	// short are the SKUs whose shortage was to be settled; shortErr is the answer.
	short    []string
	shortErr error
	mu       sync.Mutex
	placed   map[string]sagaclient.Placement
	// started is called once an order, outside of the lock.
	started func(sagaclient.Placement)
	cancel  func(ctx context.Context, id string, request order.Cancellation) (saga.CancelAnswer, error)
	resolve func(ctx context.Context, id string, d order.Resolution, key string) (order.Resolution, saga.ResolveAnswer, error)
	fail    error
	// ahead is by how much Temporal's clock is ahead of the fixture's.
	ahead time.Duration
}

func (s *sagas) Resolve(ctx context.Context, id string, d order.Resolution, key string) (order.Resolution, saga.ResolveAnswer, error) {
	return s.resolve(ctx, id, d, key)
}

func (s *sagas) Place(_ context.Context, p sagaclient.Placement) (bool, error) {
	if s.fail != nil {
		return false, s.fail
	}
	s.mu.Lock()
	before, replayed := s.placed[p.Order.ID]
	if !replayed {
		if err := p.Order.ValidateNew(); err != nil {
			s.mu.Unlock()
			return false, err
		}
		s.placed[p.Order.ID] = p
	}
	s.mu.Unlock()
	if replayed && !before.Order.Same(p.Order) {
		return false, fault.New(fault.Conflict, "order %s exists with different content", p.Order.ID)
	}
	if !replayed && s.started != nil {
		s.started(p)
	}
	return replayed, nil
}

func (s *sagas) Cancel(ctx context.Context, id string, request order.Cancellation) (saga.CancelAnswer, error) {
	return s.cancel(ctx, id, request)
}

func (s *sagas) SettleShortage(_ context.Context, sku string) error {
	s.short = append(s.short, sku)
	return s.shortErr
}

func (s *sagas) Find(_ context.Context, id string) (sagaclient.Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.placed[id]
	if !ok {
		return sagaclient.Found{}, fault.New(fault.NotFound, "no workflow %s", id)
	}
	data, err := json.Marshal(p.Order)
	if err != nil {
		return sagaclient.Found{}, err
	}
	return sagaclient.Found{
		Input: saga.Input{ID: id, Data: data, CorrelationID: p.CorrelationID}, Order: p.Order, Running: true, StartedAt: at.Add(s.ahead),
	}, nil
}

// list is a read model that records its calls.
type list struct {
	filter    readmodel.Filter
	states    []order.State
	attention []readmodel.Order
	// sagas are those of other flows, sagaFilter what they were asked for with.
	sagas      []readmodel.Order
	sagaFilter readmodel.Filter
	next       string
	err        error
	// counted are the flows whose sagas were counted.
	counted []string
}

func (l *list) NeedsAttention(_ context.Context, cursor string, limit int) ([]readmodel.Order, string, error) {
	l.filter = readmodel.Filter{Cursor: cursor, Limit: limit}
	return l.attention, l.next, l.err
}

func (l *list) Counts(_ context.Context, flow string) (map[saga.Status]int64, error) {
	l.counted = append(l.counted, flow)
	return map[saga.Status]int64{saga.Completed: 2, saga.NeedsAttention: 1}, l.err
}

func (l *list) Sagas(_ context.Context, f readmodel.Filter) ([]readmodel.Order, string, error) {
	l.sagaFilter = f
	return l.sagas, l.next, l.err
}

func (l *list) List(_ context.Context, f readmodel.Filter) ([]readmodel.Order, string, error) {
	l.filter = f
	orders := []readmodel.Order{}
	for _, s := range l.states {
		orders = append(orders, readmodel.FromState(s))
	}
	return orders, l.next, l.err
}

// fixture has a Server and its dependencies.
type fixture struct {
	t      *testing.T
	server *api.Server
	sagas  *sagas
	log    *eventlog.Follower
	stock  *inventory.Ledger
	orders *list
	checks []api.Check
	output *strings.Builder
	// connections are those of listen.
	connections *connections
}

func newFixture(t *testing.T, change ...func(*api.Config)) *fixture {
	t.Helper()
	log, err := eventlog.NewFollower(eventlog.FollowerConfig{Log: memlog.New()})
	require.NoError(t, err)
	ledger, err := inventory.New(inventory.Config{
		Log: log, Registry: new(inventory.MemoryRegistry), Clock: func() time.Time { return at },
	})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	f := &fixture{
		t: t, sagas: &sagas{placed: map[string]sagaclient.Placement{}}, log: log, stock: ledger, orders: &list{},
		checks: []api.Check{{Name: "mongodb"}}, output: new(strings.Builder),
	}
	var mu sync.Mutex
	ids := 0
	c := api.Config{
		Sagas: f.sagas, Log: log, Orders: f.orders, Stock: ledger, DeadLetters: &letters{},
		Ready: func(context.Context) []api.Check { return f.checks },
		// httptest's requests are for this host.
		Hosts:         []string{"example.com"},
		TemporalUIURL: "http://127.0.0.1:8233/", TemporalNamespace: "shop",
		Clock: func() time.Time { return at }, DependencyTimeout: time.Minute,
		NewID: func() string {
			mu.Lock()
			defer mu.Unlock()
			ids++
			return fmt.Sprintf("id-%d", ids)
		},
		Logger: slog.New(slog.NewJSONHandler(&locked{w: f.output}, nil)),
	}
	for _, do := range change {
		do(&c)
	}
	f.server, err = api.New(c)
	require.NoError(t, err)
	return f
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	// closes reports that the server closes the connection; it is known of answers over a connection only.
	closes bool
}

// problem reads the answer as a problem.
func (a answer) problem(t *testing.T) (p struct {
	Type, Title, Detail, Code, OrderStatus, SagaStatus, CorrelationID string
	Status                                                            int
	Errors                                                            []struct {
		Pointer                   *string
		Parameter, Header, Detail string
	}
}) {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &p))
	require.Equal(t, a.status, p.Status)
	require.Equal(t, "/problems/"+p.Code, p.Type)
	require.Equal(t, a.header.Get("X-Correlation-Id"), p.CorrelationID)
	return p
}

// resource reads the fields of an order that most tests look at.
func (a answer) resource(t *testing.T) (r struct {
	ID, Status, CorrelationID string
	Reason                    *string
	Version                   int64
	TotalAmount               int64
	Links                     struct{ Self, Events, Saga string }
}) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), &r), a.body)
	return r
}

// do sends a request; headers are pairs of name and value.
func (f *fixture) do(method, target, body string, headers ...string) answer {
	f.t.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	checkAgainstSpecification(f.t, r, body, a)
	return a
}

// placedOrder is the order of validOrder.
func placedOrder(id string) order.Order {
	return order.Order{
		ID: id, CustomerID: "customer-7", Currency: "EUR",
		Lines: []order.Line{
			{SKU: "coffee-500g", Quantity: 2, UnitAmount: 1999}, {SKU: "filter", Quantity: 1, UnitAmount: 300},
			{SKU: "coffee-500g", Quantity: 1, UnitAmount: 1999},
		},
		Payment: order.PaymentMethod{Method: "tok_visa"}, Fulfillment: order.Immediate, TotalAmount: 6297,
	}
}

// timeline is a happy immediate order, an event a second.
func timeline(id string) []event.Entry {
	o, stream := placedOrder(id), event.OrderStream(id)
	entries := []event.Entry{order.Accept(o, "correlation-1", "", at)}
	for i, e := range []struct {
		slot, kind string
		data       any
	}{
		{order.SlotReserve, event.InventoryReserved, order.Items{OrderID: id}},
		{order.SlotAuthorize, event.PaymentAuthorized, order.PaymentData{OrderID: id, PaymentID: "pay-1", Amount: o.TotalAmount, Currency: "EUR"}},
		{order.SlotDecide, event.OrderSettling, order.Ref{OrderID: id}},
		{order.SlotCapture, event.PaymentCaptured, order.PaymentData{OrderID: id, PaymentID: "pay-1", Amount: o.TotalAmount, Currency: "EUR"}},
		{order.SlotCommit, event.InventoryCommitted, order.Items{OrderID: id}},
		{order.SlotEnd, event.OrderCompleted, order.Ending{OrderID: id, Outcome: order.StatusCompleted}},
	} {
		previous := entries[len(entries)-1].ID
		entries = append(entries, event.New(stream, e.slot, e.kind, id, at.Add(time.Duration(i+1)*time.Second), e.data).
			CausedBy("correlation-1", previous))
	}
	return entries
}

// append appends entries to the order's stream.
func (f *fixture) append(id string, entries ...event.Entry) {
	f.t.Helper()
	stream := event.OrderStream(id)
	last, _, err := f.log.Head(f.t.Context(), stream)
	require.NoError(f.t, err)
	_, _, err = f.log.Append(f.t.Context(), stream, last.HeadOf(), entries)
	require.NoError(f.t, err)
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	var indented strings.Builder
	var value json.RawMessage = []byte(got)
	encoder := json.NewEncoder(&indented)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(value))
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(indented.String()), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), indented.String())
}
