package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	goclient "github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/test/hostile"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// clientOf is the Go client of a server over HTTP. What it sends and gets is held to the specification.
func clientOf(t *testing.T, s *api.Server) *goclient.Client {
	t.Helper()
	spec, err := hostile.Load(api.Specification)
	require.NoError(t, err)
	server := httptest.NewServer(s)
	transport := &http.Transport{}
	t.Cleanup(server.Close)
	t.Cleanup(transport.CloseIdleConnections)
	c, err := goclient.New(goclient.Config{URL: server.URL, RetryTime: -1, HTTP: &http.Client{
		Transport: &hostile.Transport{Spec: spec, Base: transport, Report: func(err error) { assert.NoError(t, err) }},
	}})
	require.NoError(t, err)
	return c
}

// problemOf is the error of the service in an error of the client, empty without one.
func problemOf(err error) goclient.Error {
	var refused *goclient.Error
	if !errors.As(err, &refused) {
		return goclient.Error{}
	}
	return *refused
}

func TestClientPlacesAndReadsOrders(t *testing.T) {
	f := newRefundsFixture(t)
	f.fixture.sagas.started = nil
	c, ctx := clientOf(t, f.server), t.Context()
	stocked := false
	request := goclient.OrderRequest{
		ID: "gid://shop/Order 1", CustomerID: "customer-7", Currency: "EUR", Payment: &goclient.Payment{Method: "tok_visa"},
		Lines:       []goclient.LineRequest{{SKU: "coffee-500g", Quantity: 2, UnitAmount: 1999}, {SKU: "gift wrap", Quantity: 1, UnitAmount: 100, Stocked: &stocked}},
		Fulfillment: "shipment", Metadata: map[string]string{"channel": "web"},
	}
	placed, err := c.PlaceOrder(ctx, request, goclient.WithCorrelationID("checkout-42"))
	require.NoError(t, err)
	require.Equal(t, []any{request.ID, "accepted", int64(4098), "checkout-42"}, []any{placed.ID, placed.Status, placed.TotalAmount, placed.CorrelationID})
	require.False(t, placed.Lines[1].Stocked)
	found, err := c.Order(ctx, request.ID)
	require.NoError(t, err)
	require.Equal(t, placed.Lines, found.Lines)

	request.Lines[0].Quantity = 0
	_, err = c.PlaceOrder(ctx, request)
	require.Equal(t, goclient.CodeInvalid, problemOf(err).Code)
	require.Equal(t, "/lines/0/quantity", problemOf(err).Fields[0].Pointer)
	_, err = c.Order(ctx, "unknown")
	require.Equal(t, goclient.CodeNotFound, problemOf(err).Code)

	before, err := c.OrderAt(ctx, "shop-1", at)
	require.NoError(t, err)
	require.Equal(t, "accepted", before.Status)
	state, err := order.Reader{Log: f.log}.Load(ctx, "shop-1")
	require.NoError(t, err)
	f.orders.states = []order.State{state}
	listed, err := goclient.Collect(c.Orders(ctx, goclient.Filter{Statuses: []string{"completed"}, CustomerID: "customer-7", From: at}))
	require.NoError(t, err)
	require.Len(t, listed, 1)
	require.Equal(t, []saga.Status{"completed"}, f.orders.filter.Statuses)
}

func TestClientReadsTimelines(t *testing.T) {
	f := newRefundsFixture(t)
	c, ctx := clientOf(t, f.server), t.Context()
	existing, err := goclient.Collect(c.OrderEvents(ctx, "shop-1"))
	require.NoError(t, err)
	live, err := goclient.Collect(c.WatchOrder(ctx, "shop-1", 0))
	require.NoError(t, err, "the stream ends with the order")
	require.Equal(t, existing, live)
	require.Len(t, live, 7)
	rest, err := goclient.Collect(c.WatchSaga(ctx, "order", "shop-1", 5))
	require.NoError(t, err)
	require.Equal(t, live[5:], rest)
	none, err := goclient.Collect(c.WatchOrder(ctx, "shop-1", 7))
	require.NoError(t, err)
	require.Empty(t, none)
	for _, err := range c.WatchOrder(ctx, "shop-1", 0) {
		require.NoError(t, err)
		break
	}
}

func TestClientRefunds(t *testing.T) {
	f := newRefundsFixture(t)
	c, ctx := clientOf(t, f.server), t.Context()
	done, err := c.RefundOrderAndWait(ctx, "shop-1", goclient.RefundRequest{Lines: []goclient.RefundLine{{Line: 2, Quantity: 1}}, Reason: "damaged"})
	require.NoError(t, err)
	require.Equal(t, []any{"refunded", int64(300), "filter"}, []any{done.Status, done.Amount, done.Lines[0].SKU})
	again, err := c.Refund(ctx, "shop-1", done.ID)
	require.NoError(t, err)
	require.Equal(t, done, again)
	all, err := goclient.Collect(c.Refunds(ctx, "shop-1"))
	require.NoError(t, err)
	require.Equal(t, []goclient.Refund{done}, all)
	_, err = c.RefundOrder(ctx, "shop-1", goclient.RefundRequest{Amount: 6297})
	require.Equal(t, goclient.CodeRefundExceedsCaptured, problemOf(err).Code)
	require.EqualValues(t, 5997, *problemOf(err).Refundable)
}

func TestClientCancelsAndResolves(t *testing.T) {
	f := newSagasFixture(t)
	f.append("order-1", timeline("order-1")[:1]...)
	f.sagas.cancel = func(_ context.Context, _ string, c order.Cancellation) (saga.CancelAnswer, error) {
		return saga.CancelAnswer{Accepted: c.Reason == "ordered twice", Status: order.StatusSettling, Detail: "it is settling"}, nil
	}
	f.sagas.resolve = func(_ context.Context, _ string, d order.Resolution, _ string) (order.Resolution, saga.ResolveAnswer, error) {
		return d, saga.ResolveAnswer{Accepted: d.Action == "retry", Detail: "nothing is stuck"}, nil
	}
	f.gifts.cancel = func(string, saga.Cancellation) (saga.CancelAnswer, error) {
		return saga.CancelAnswer{Accepted: true}, nil
	}
	f.gifts.decide = func(_ string, r saga.Resolution, _ string) (saga.Resolution, saga.ResolveAnswer, error) {
		return r, saga.ResolveAnswer{Accepted: true}, nil
	}
	c, ctx := clientOf(t, f.server), t.Context()
	o, err := c.CancelOrder(ctx, "order-1", "ordered twice")
	require.NoError(t, err)
	require.Equal(t, "order-1", o.ID)
	_, err = c.CancelOrder(ctx, "order-1", "")
	require.Equal(t, goclient.CodeCancellationRefused, problemOf(err).Code)
	require.NotEmpty(t, problemOf(err).OrderStatus)
	o, err = c.ResolveOrder(ctx, "order-1", goclient.Resolution{Action: "retry", By: "ada"})
	require.NoError(t, err)
	require.Equal(t, "order-1", o.ID)
	_, err = c.ResolveOrder(ctx, "order-1", goclient.Resolution{Action: "skip", Note: "done by hand"})
	require.Equal(t, goclient.CodeResolutionRefused, problemOf(err).Code)

	flow := f.flow.Name
	started, err := c.StartSaga(ctx, flow, goclient.SagaRequest{ID: "gift-1", Input: wish{Card: "card-1", Amount: 5}})
	require.NoError(t, err)
	require.Equal(t, "accepted", started.Status)
	f.stuckGift("gift-1")
	stuck, err := c.Saga(ctx, flow, "gift-1")
	require.NoError(t, err)
	require.True(t, stuck.NeedsAttention)
	require.Equal(t, "credit", stuck.Attention.Step)
	require.NotEmpty(t, stuck.Steps)
	resolved, err := c.ResolveSaga(ctx, flow, "gift-1", goclient.Resolution{Action: "retry", Attention: 1})
	require.NoError(t, err)
	require.Equal(t, "gift-1", resolved.ID)
	cancelled, err := c.CancelSaga(ctx, flow, "gift-1", "")
	require.NoError(t, err)
	require.Equal(t, flow, cancelled.Flow)
	events, err := goclient.Collect(c.SagaEvents(ctx, flow, "gift-1"))
	require.NoError(t, err)
	require.Len(t, events, 4)
	needs := true
	_, err = goclient.Collect(c.Sagas(ctx, goclient.SagaFilter{Flow: flow, NeedsAttention: &needs}))
	require.NoError(t, err)
	f.orders.attention = []readmodel.Order{{Order: order.Order{ID: "order-1"}, Status: order.StatusNeedsAttention, Attention: &readmodel.Attention{
		AttentionState: order.AttentionState{Open: true, Count: 1, Step: "capture", Since: at}, Actions: []order.ResolutionAction{"retry"},
	}}}
	items, err := goclient.Collect(c.Attention(ctx))
	require.NoError(t, err)
	require.Equal(t, []string{"retry"}, items[0].Actions)
	require.Equal(t, "/v1/orders/order-1/resolutions", items[0].Links.Resolutions)
}

func TestClientChangesStock(t *testing.T) {
	c, ctx := clientOf(t, newFixture(t).server), t.Context()
	s, err := c.ReceiveStock(ctx, "tea 1/2", 10, goclient.WithIdempotencyKey("receipt-1"))
	require.NoError(t, err)
	again, err := c.ReceiveStock(ctx, "tea 1/2", 10, goclient.WithIdempotencyKey("receipt-1"))
	require.NoError(t, err)
	require.Equal(t, s, again)
	_, err = c.AdjustStock(ctx, "tea 1/2", -11, "")
	require.Equal(t, goclient.CodeStockInsufficient, problemOf(err).Code)
	_, err = c.AdjustStock(ctx, "tea 1/2", -1, "broken")
	require.NoError(t, err)
	_, err = c.CountStock(ctx, "tea 1/2", 4)
	require.NoError(t, err)
	s, err = c.Stock(ctx, "tea 1/2")
	require.NoError(t, err)
	require.Equal(t, goclient.Stock{SKU: "tea 1/2", OnHand: 4, Available: 4, Version: 3}, s)
	all, err := goclient.Collect(c.StockList(ctx))
	require.NoError(t, err)
	require.Equal(t, []goclient.Stock{s}, all)
	ledger, err := goclient.Collect(c.StockEvents(ctx, "tea 1/2"))
	require.NoError(t, err)
	require.Len(t, ledger, 3)
}

func TestClientHandlesDeadLetters(t *testing.T) {
	f, letters := deadFixture(t)
	letters.items, letters.detail = []deadletter.Letter{letter([]byte("{}"))}, letter([]byte("{}"))
	letters.run.Outcome, letters.run.Sentence = "start", "would start order 42"
	c, ctx := clientOf(t, f.server), t.Context()
	listed, err := goclient.Collect(c.DeadLetters(ctx, goclient.DeadLetterFilter{Reasons: []string{"invalid"}, Statuses: []string{"open", "replaying"}, FailedTo: at}))
	require.NoError(t, err)
	require.Equal(t, []deadletter.Status{"open", "replaying"}, letters.filter.Statuses)
	one, err := c.DeadLetter(ctx, listed[0].ID)
	require.NoError(t, err)
	require.Equal(t, "{}", *one.Payload)
	run, err := c.DryRunDeadLetter(ctx, one.ID, goclient.ReplayRequest{})
	require.NoError(t, err)
	require.Equal(t, "would start order 42", run.Would)
	_, err = c.ReplayDeadLetter(ctx, one.ID, goclient.ReplayRequest{By: "ada", Note: "mended", Body: `{"a": 1}`})
	require.NoError(t, err)
	require.JSONEq(t, `{"a": 1}`, string(letters.request.Body))
	_, err = c.DiscardDeadLetter(ctx, one.ID, "ada", "not needed")
	require.NoError(t, err)
	require.Equal(t, []string{"replay", "discard"}, letters.did)
}

// TestClientHasEveryField: the types of the Go client have the fields of the specification, and no other.
func TestClientHasEveryField(t *testing.T) {
	doc, _ := specified()
	schema := func(name string) *openapi3.Schema { return doc.Components.Schemas[name].Value }
	for name, value := range map[string]any{
		"OrderRequest": goclient.OrderRequest{}, "LineRequest": goclient.LineRequest{}, "Order": goclient.Order{}, "Line": goclient.Line{}, "Payment": goclient.Payment{},
		"Parcel": goclient.Parcel{}, "Refund": goclient.Refund{}, "SagaItem": goclient.SagaItem{}, "Saga": goclient.Saga{}, "DeskItem": goclient.AttentionItem{},
		"Event": goclient.Event{}, "Stock": goclient.Stock{}, "DeadLetter": goclient.DeadLetter{}, "DryRun": goclient.DryRun{}, "Problem": goclient.Error{},
	} {
		sameFields(t, name, schema(name), reflect.TypeOf(value))
	}
	body := func(path string) *openapi3.Schema {
		return doc.Paths.Value(path).Post.RequestBody.Value.Content["application/json"].Schema.Value
	}
	sameFields(t, "resolution", body("/v1/orders/{id}/resolutions"), reflect.TypeFor[goclient.Resolution]())
	sameFields(t, "refund", body("/v1/orders/{id}/refunds"), reflect.TypeFor[goclient.RefundRequest]())
	sameFields(t, "replay", body("/v1/dead-letters/{id}/replay"), reflect.TypeFor[goclient.ReplayRequest]())
	sameFields(t, "start", body("/v1/sagas/{flow}"), reflect.TypeFor[goclient.SagaRequest]())
}

// sameFields compares a schema with a struct, and the objects in it.
func sameFields(t *testing.T, name string, schema *openapi3.Schema, typ reflect.Type) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if schema.Items != nil {
		schema = schema.Items.Value
	}
	if typ.Kind() != reflect.Struct || len(schema.Properties) == 0 {
		return
	}
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(typ) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag != "" && tag != "-" {
			fields[tag] = f.Type
		}
	}
	for property, of := range schema.Properties {
		if assert.Contains(t, fields, property, "the client's type for %s", name) {
			sameFields(t, name+"/"+property, of.Value, fields[property])
		}
	}
	for field := range fields {
		shared := typ == reflect.TypeFor[goclient.Links]() || typ == reflect.TypeFor[goclient.RefundLine]()
		assert.True(t, shared || schema.Properties[field] != nil, "the client's type for %s has %s", name, field)
	}
}

// TestClientKnowsCodes: the client's codes exist, and it repeats what the service calls retryable.
func TestClientKnowsCodes(t *testing.T) {
	for _, known := range []string{
		goclient.CodeMalformed, goclient.CodeInvalid, goclient.CodeUnauthenticated, goclient.CodeInsufficientScope, goclient.CodeRateLimited, goclient.CodeNotFound,
		goclient.CodeConflict, goclient.CodeIdempotencyConflict, goclient.CodeCancellationRefused, goclient.CodeResolutionRefused, goclient.CodeNotRefundable,
		goclient.CodeRefundExceedsCaptured, goclient.CodeStockInsufficient, goclient.CodeStockElsewhere, goclient.CodeUnavailable, goclient.CodeOutcomeUnknown,
	} {
		require.True(t, slices.Contains(fault.Codes(), fault.Code(known)), known)
	}
	for _, code := range []fault.Code{fault.Unavailable, fault.OutcomeUnknown, fault.Concurrency, fault.RateLimited} {
		require.True(t, (&goclient.Error{Status: fault.Lookup(code).HTTPStatus}).Retryable(), code)
	}
}

// The client sends the example of the specification as it is.
func TestClientSendsTheExample(t *testing.T) {
	doc, _ := specified()
	raw, err := json.Marshal(doc.Paths.Value("/v1/orders").Post.RequestBody.Value.Content["application/json"].Example)
	require.NoError(t, err)
	var request goclient.OrderRequest
	require.NoError(t, json.Unmarshal(raw, &request))
	sent, err := json.Marshal(request)
	require.NoError(t, err)
	require.JSONEq(t, string(raw), string(sent))
}
