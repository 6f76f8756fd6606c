package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// returnsFixture has the completed order shop-1 of customer-7, and runs returns as a worker does.
type returnsFixture struct {
	*guarded
	token   string
	returns *flowSagas
}

func newReturnsFixture(t *testing.T) *returnsFixture {
	t.Helper()
	sagas := func(d saga.Definer) *flowSagas {
		return &flowSagas{Definer: d, content: make(map[string]json.RawMessage)}
	}
	f := &returnsFixture{returns: sagas(&returns.Flow)}
	made := sagas(&refund.Flow)
	f.guarded = newGuarded(t, func(c *api.Config) {
		f.returns.log, made.log = c.Log, c.Log
		c.Flows = []api.Flow{{Definer: &order.Flow, Sagas: sagas(&order.Flow)}, {Definer: &refund.Flow, Sagas: made}, {Definer: &returns.Flow, Sagas: f.returns}}
	})
	f.token = f.key("shop")
	for token, customer := range map[string]string{"own": "customer-7", "foreign": "customer-8"} {
		f.tokens[token] = auth.Caller{Namespace: token, Actor: token, Scopes: auth.Scopes, CustomerID: customer}
	}
	f.returns.started = func(id string) { f.run(id) }
	f.returns.received = func(id string, fact saga.Fact) { f.run(id, fact) }
	f.append("shop-1", timeline("shop-1")...)
	return f
}

// run does what the table decides, until the return waits or has ended.
func (f *returnsFixture) run(id string, facts ...saga.Fact) {
	f.returns.mu.Lock()
	in := saga.OpenInput{ID: id, Data: f.returns.content[id], CorrelationID: "correlation-1"}
	f.returns.mu.Unlock()
	participants := &returns.Participants{Orders: order.Reader{Log: f.log}, Ledger: f.log, Refunds: f, Stock: noStock{}}
	_, err := sagatest.Drive(f.t.Context(), &returns.Flow, participants, f.log, in, at, facts...)
	require.NoError(f.t, err)
}

// Refund implements returns.Refunds: every refund is made.
func (f *returnsFixture) Refund(_ context.Context, id, _ string, r refund.Request) (refund.State, error) {
	s := refund.State{Request: r, Paid: true, Amount: 1999, Currency: "EUR"}
	s.ID = id
	return s, nil
}

type noStock struct{}

func (noStock) Return(context.Context, string, string, string, int64) error { return nil }

// do sends a request of the shop.
func (f *returnsFixture) shop(method, target, body string, headers ...string) answer {
	f.t.Helper()
	return f.as(f.token, method, target, body, headers...)
}

// returnOf reads a return.
func (a answer) returnOf(t *testing.T) (r struct {
	ID, Status     string
	Lines          []returns.Line
	Refund         bool
	RefundedAmount *int64
	Refusal        *struct{ Reason string }
}) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), &r), a.body)
	return r
}

const returnsPath = "/v1/orders/shop-1/returns"

func TestReturnGoods(t *testing.T) {
	f := newReturnsFixture(t)
	a := f.shop(http.MethodPost, returnsPath, `{"id":"r-1","lines":[{"line":1,"quantity":2}],"reason":"does not fit"}`)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	require.Equal(t, "announced", a.returnOf(t).Status)
	require.Equal(t, returnsPath+"/r-1", a.header.Get("Location"))
	again := f.shop(http.MethodPost, returnsPath, `{"id":"r-1","lines":[{"line":1,"quantity":2}],"reason":"does not fit","refund":true}`)
	require.Equal(t, http.StatusAccepted, again.status, again.body)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"), "true is the default")
	require.Equal(t, http.StatusConflict, f.shop(http.MethodPost, returnsPath, `{"id":"r-1","lines":[{"line":1,"quantity":1}]}`).status)

	receipts := returnsPath + "/r-1/receipts"
	a = f.shop(http.MethodPost, receipts, `{"lines":[{"line":1,"quantity":1},{"line":2,"quantity":1}]}`, "Idempotency-Key", "k")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "partly_received", a.returnOf(t).Status)
	a = f.shop(http.MethodPost, receipts, `{"lines":[{"line":1,"quantity":1},{"line":2,"quantity":1}]}`, "Idempotency-Key", "k")
	require.Equal(t, "true", a.header.Get("Idempotent-Replayed"))
	require.Equal(t, int64(1), a.returnOf(t).Lines[0].Received)
	require.Equal(t, "idempotency_conflict", f.shop(http.MethodPost, receipts, `{}`, "Idempotency-Key", "k").problem(t).Code)
	a = f.shop(http.MethodPost, receipts, `{"lines":[{"line":2,"quantity":1}]}`)
	require.Equal(t, "/lines", *a.problem(t).Errors[0].Pointer, "it is not announced")
	a = f.shop(http.MethodPost, receipts, `{"lines":[{"quantity":1}]}`)
	require.Equal(t, "/lines/0", *a.problem(t).Errors[0].Pointer)
	a = f.shop(http.MethodPost, receipts, `{}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "completed", a.returnOf(t).Status)
	golden(t, "return.json", f.shop(http.MethodGet, returnsPath+"/r-1", "").body)
	require.Equal(t, "return_closed", f.shop(http.MethodPost, receipts, `{}`).problem(t).Code)

	require.Contains(t, f.shop(http.MethodGet, returnsPath, "").body, "r-1")
	shown := f.shop(http.MethodGet, "/v1/orders/shop-1", "").body
	require.Contains(t, shown, `"returnedQuantity":2`)
	f.append("shop-2", timeline("shop-2")...)
	for _, none := range []string{"/v1/orders/shop-1/returns/other", "/v1/orders/shop-2/returns/r-1"} {
		require.Equal(t, http.StatusNotFound, f.shop(http.MethodGet, none, "").status, none)
		require.Equal(t, http.StatusNotFound, f.shop(http.MethodPost, none+"/receipts", `{}`).status, none)
	}
}

// Goods may arrive before the saga has announced them.
func TestReceiptBeforeTheReturnIsAnnounced(t *testing.T) {
	f := newReturnsFixture(t)
	data, err := returns.Flow.ReadStart("r-1", []byte(`{"orderId":"shop-1","lines":[{"line":1,"quantity":1}]}`), "")
	require.NoError(t, err)
	f.returns.content["r-1"] = data
	accepted := returns.Flow.Accept(saga.OpenInput{ID: "r-1", Data: data}, at)
	_, _, err = f.log.Append(t.Context(), returns.Flow.StreamOf("r-1"), event.Head{}, []event.Entry{accepted})
	require.NoError(t, err)
	a := f.shop(http.MethodPost, returnsPath+"/r-1/receipts", `{"lines":[{"line":1,"quantity":1}]}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "completed", a.returnOf(t).Status)
}

func TestReturnsNeverExceedWhatWasDelivered(t *testing.T) {
	f := newReturnsFixture(t)
	require.Equal(t, http.StatusAccepted, f.shop(http.MethodPost, returnsPath, `{"lines":[{"line":1,"quantity":1}]}`).status)
	a := f.shop(http.MethodPost, returnsPath, `{"lines":[{"line":1,"quantity":2}]}`)
	require.Equal(t, http.StatusConflict, a.status, a.body)
	require.Equal(t, "return_exceeds_delivered", a.problem(t).Code)
	// Refunds of lines count, too, and what is announced cannot be refunded.
	a = f.shop(http.MethodPost, refundsPath, `{"lines":[{"line":1,"quantity":2}]}`)
	require.Equal(t, "refund_exceeds_captured", a.problem(t).Code)

	// Another request is first: the ledger refuses the saga that has started, and the answer is the same.
	f.returns.started = func(id string) {
		_, err := refunds.ReserveReturn(t.Context(), f.log, "shop-1", "return-other", func(refunds.Ledger) ([]refunds.Units, error) {
			return []refunds.Units{{Line: 1, Quantity: 1}}, nil
		}, at)
		require.NoError(t, err)
		f.run(id)
	}
	a = f.shop(http.MethodPost, returnsPath, `{"lines":[{"line":1,"quantity":1}]}`)
	require.Equal(t, "return_exceeds_delivered", a.problem(t).Code, a.body)
	f.append("open", timeline("open")[:4]...)
	require.Equal(t, "not_refundable", f.shop(http.MethodPost, "/v1/orders/open/returns", `{"lines":[{"line":1,"quantity":1}]}`).problem(t).Code)
	a = f.shop(http.MethodPost, "/v1/orders/open/returns", `{"lines":[{"line":1,"quantity":1}],"refund":false}`)
	require.Equal(t, "return_exceeds_delivered", a.problem(t).Code)
	for pointer, body := range map[string]string{
		"/lines/0": `{"lines":[{"sku":"coffee-500g","quantity":1}]}`, "/lines": `{"lines":[]}`, "/lines/0/quantity": `{"lines":[{"line":1,"quantity":0}]}`,
		"/id": `{"lines":[{"line":1,"quantity":1}],"id":"."}`, "/refund": `{"lines":[{"line":1,"quantity":1}],"refund":"yes"}`,
	} {
		a := f.shop(http.MethodPost, returnsPath, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, body)
		require.Equal(t, pointer, *a.problem(t).Errors[0].Pointer, a.body)
	}
	require.Equal(t, http.StatusUnprocessableEntity, f.shop(http.MethodPost, "/v1/sagas/return", `{"input":{"orderId":"shop-1","lines":[]}}`).status)
}

// A token that is limited to a customer returns and refunds that customer's orders alone, and reports no receipts.
func TestCustomerTokensReturnTheirOrdersOnly(t *testing.T) {
	f := newReturnsFixture(t)
	for _, what := range []string{"returns", "refunds"} {
		body := `{"lines":[{"line":1,"quantity":1}]}`
		for _, target := range []string{"/v1/orders/shop-1/" + what, "/v1/orders/none/" + what} {
			require.Equal(t, http.StatusNotFound, f.as("foreign", http.MethodPost, target, body).status, target)
			require.Equal(t, http.StatusNotFound, f.as("foreign", http.MethodGet, target, "").status, target)
		}
		a := f.as("own", http.MethodPost, "/v1/orders/shop-1/"+what, body)
		require.Equal(t, http.StatusAccepted, a.status, a.body)
		location := a.header.Get("Location")
		require.Equal(t, http.StatusOK, f.as("own", http.MethodGet, "/v1/orders/shop-1/"+what, "").status)
		if what == "returns" {
			require.Equal(t, http.StatusOK, f.as("own", http.MethodGet, location, "").status)
			require.Equal(t, http.StatusForbidden, f.as("own", http.MethodPost, location+"/receipts", `{}`).status)
		}
		foreign := f.as("foreign", http.MethodGet, location, "")
		require.Equal(t, http.StatusNotFound, foreign.status)
		require.NotContains(t, foreign.body, "coffee")
		reader := f.key("reader-"+what, auth.OrdersRead, auth.OrdersWrite)
		require.Equal(t, http.StatusForbidden, f.as(reader, http.MethodPost, "/v1/orders/shop-1/"+what, body).status)
	}
}
