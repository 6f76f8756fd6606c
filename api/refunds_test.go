package api_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// refundsFixture has the completed order shop-1 of 6297, and refunds that are reserved and paid, or reserved alone.
type refundsFixture struct {
	*fixture
	refunds *flowSagas
	// paid reports that the sagas that are started are completed.
	paid bool
}

func newRefundsFixture(t *testing.T, change ...func(*api.Config)) *refundsFixture {
	t.Helper()
	f := &refundsFixture{refunds: &flowSagas{Definer: &refund.Flow, content: make(map[string]json.RawMessage)}, paid: true}
	f.fixture = newFixture(t, append([]func(*api.Config){func(c *api.Config) {
		f.refunds.log = c.Log
		c.Flows = []api.Flow{{Definer: &order.Flow, Sagas: &flowSagas{Definer: &order.Flow, content: map[string]json.RawMessage{}}}, {Definer: &refund.Flow, Sagas: f.refunds}}
	}}, change...)...)
	f.refunds.started = f.run
	f.append("shop-1", timeline("shop-1")...)
	return f
}

// run does what a worker does.
func (f *refundsFixture) run(id string) {
	f.refunds.mu.Lock()
	data := f.refunds.content[id]
	f.refunds.mu.Unlock()
	var request refund.Request
	require.NoError(f.t, json.Unmarshal(data, &request))
	ctx, stream := f.t.Context(), refund.Flow.StreamOf(id)
	var head event.Head
	add := func(slot, eventType string, d any) {
		e := event.New(stream, slot, eventType, id, at, saga.Object("refundId", id, d)).CausedBy("correlation-1", "")
		h, _, err := f.log.Append(ctx, stream, head, []event.Entry{e})
		require.NoError(f.t, err)
		head = h
	}
	add(saga.SlotAccept, event.RefundAccepted, request)
	reader := order.Reader{Log: f.log}
	participants := refund.Participants{Orders: reader, Refunds: f.log}
	call := saga.Call[refund.State]{ID: id, State: refund.State{Request: request}, Now: func() time.Time { return at }}
	o, err := participants.Reserve(ctx, call)
	require.NoError(f.t, err)
	state := refund.State{Request: request}
	state.ID, state.Head = id, head
	entries, err := refund.Flow.Entries(saga.StepInput[refund.State]{State: state}, refund.StepReserve, o, at)
	require.NoError(f.t, err)
	h, _, err := f.log.Append(ctx, stream, head, entries)
	require.NoError(f.t, err)
	head = h
	if entries[0].Type == event.RefundRefused {
		add(saga.SlotEnd, event.RefundRejected, map[string]any{"outcome": saga.Rejected, "reason": refund.ReasonExceedsCaptured})
		return
	}
	if !f.paid {
		return
	}
	add(saga.SlotDecide, event.RefundSettling, nil)
	ledger, err := refunds.Load(ctx, f.log, request.OrderID)
	require.NoError(f.t, err)
	money := map[string]any{"orderId": request.OrderID, "amount": ledger.ByKey[stream].Amount, "currency": "EUR"}
	add(refund.StepRefund, event.RefundPaid, money)
	require.NoError(f.t, refunds.Refunded(ctx, f.log, request.OrderID, stream, at))
	add(saga.SlotEnd, event.RefundCompleted, money)
}

// refundOf reads a refund.
func (a answer) refundOf(t *testing.T) (r struct {
	ID, OrderID, Status string
	Amount              *int64
	Lines               []refund.Line
	Refusal             *struct{ Reason string }
}) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), &r), a.body)
	return r
}

const refundsPath = "/v1/orders/shop-1/refunds"

func TestRefundAmount(t *testing.T) {
	f := newRefundsFixture(t)
	a := f.do(http.MethodPost, refundsPath, `{"amount":300,"reason":"damaged"}`, "Prefer", "wait=60")
	require.Equal(t, http.StatusCreated, a.status, a.body)
	golden(t, "refund.json", a.body)
	r := a.refundOf(t)
	require.Equal(t, refundsPath+"/"+r.ID, a.header.Get("Location"))
	require.Equal(t, "refunded", r.Status)
	require.Equal(t, int64(300), *r.Amount)
	again := f.do(http.MethodGet, refundsPath+"/"+r.ID, "")
	require.JSONEq(t, a.body, again.body)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/shop-1/refunds/other", "").status)
	f.append("shop-2", timeline("shop-2")...)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/shop-2/refunds/"+r.ID, "").status, "it is of another order")

	list := f.do(http.MethodGet, refundsPath, "")
	require.Equal(t, http.StatusOK, list.status)
	require.Contains(t, list.body, r.ID)
	shown := f.do(http.MethodGet, "/v1/orders/shop-1", "")
	require.Contains(t, shown.body, `"refundedAmount":300`)
	require.Contains(t, shown.body, `"status":"completed"`)
}

func TestRefundOfLines(t *testing.T) {
	f := newRefundsFixture(t)
	a := f.do(http.MethodPost, refundsPath, `{"lines":[{"line":1,"quantity":1},{"sku":"filter","quantity":1}],"restock":true}`)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	require.Equal(t, int64(2299), *a.refundOf(t).Amount)
	require.Equal(t, []refund.Line{{Line: 1, SKU: "coffee-500g", Quantity: 1, Amount: 1999}, {Line: 2, SKU: "filter", Quantity: 1, Amount: 300}}, a.refundOf(t).Lines)
	a = f.do(http.MethodPost, refundsPath, `{"lines":[{"line":1,"quantity":2}]}`)
	require.Equal(t, http.StatusConflict, a.status)
	p := a.problem(t)
	require.Equal(t, "refund_exceeds_captured", p.Code)
	require.Contains(t, a.body, `"refundable":3998`)
	for pointer, body := range map[string]string{
		"/lines/0": `{"lines":[{"sku":"coffee-500g","quantity":1}]}`, "/lines/1": `{"lines":[{"line":1,"quantity":1},{"line":4,"quantity":1}]}`,
		"/lines/0/quantity": `{"lines":[{"line":1,"quantity":0}]}`, "": `{"amount":1,"lines":[{"line":1,"quantity":1}]}`,
		"/restock": `{"amount":1,"restock":true}`, "/amount": `{"amount":0}`, "/orderId": `{"amount":1,"orderId":"x"}`,
	} {
		a := f.do(http.MethodPost, refundsPath, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, body)
		require.Equal(t, pointer, *a.problem(t).Errors[0].Pointer, a.body)
	}
}

func TestRefundWithAKey(t *testing.T) {
	f := newRefundsFixture(t)
	first := f.do(http.MethodPost, refundsPath, `{"amount":6000}`, "Idempotency-Key", "k-1")
	require.Equal(t, http.StatusAccepted, first.status, first.body)
	again := f.do(http.MethodPost, refundsPath, `{"amount":6000}`, "Idempotency-Key", "k-1", "Prefer", "wait=60")
	require.Equal(t, http.StatusCreated, again.status, "its own amount is reserved, and does not refuse it: %s", again.body)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
	other := f.do(http.MethodPost, refundsPath, `{"amount":1}`, "Idempotency-Key", "k-1")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, "idempotency_conflict", other.problem(t).Code)
}

func TestRefundsNeverExceedWhatWasCaptured(t *testing.T) {
	f := newRefundsFixture(t)
	require.Equal(t, http.StatusAccepted, f.do(http.MethodPost, refundsPath, `{"amount":6000}`).status)
	a := f.do(http.MethodPost, refundsPath, `{"amount":300}`)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "refund_exceeds_captured", a.problem(t).Code)
	require.Contains(t, a.body, `"refundable":297`)

	// Another request is first: the ledger refuses the saga that has started, and the answer is the same.
	f.refunds.started = func(id string) {
		_, err := refunds.Reserve(t.Context(), f.log, refunds.Claim{
			Reference: "shop-1", Key: "other", Source: refunds.Captured, Amount: 297, Limit: 6297, Currency: "EUR",
		}, at)
		require.NoError(t, err)
		f.run(id)
	}
	a = f.do(http.MethodPost, refundsPath, `{"amount":297}`)
	require.Equal(t, http.StatusConflict, a.status, a.body)
	require.Contains(t, a.body, `"refundable":0`)
}

func TestOpenOrderIsNotRefundable(t *testing.T) {
	f := newRefundsFixture(t)
	f.append("open", timeline("open")[:4]...)
	a := f.do(http.MethodPost, "/v1/orders/open/refunds", `{"amount":1}`)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "not_refundable", a.problem(t).Code)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodPost, "/v1/orders/none/refunds", `{"amount":1}`).status)
}

func TestRefundThatHasNoEventYet(t *testing.T) {
	f := newRefundsFixture(t)
	f.refunds.started = nil
	a := f.do(http.MethodPost, refundsPath, `{"amount":300}`, "Prefer", "wait=1")
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	require.Equal(t, "accepted", a.refundOf(t).Status)
}

func TestReservedRefundIsNotRefunded(t *testing.T) {
	f := newRefundsFixture(t)
	f.paid = false
	a := f.do(http.MethodPost, refundsPath, `{"amount":300}`)
	require.Equal(t, http.StatusAccepted, a.status)
	require.Equal(t, "accepted", a.refundOf(t).Status)
	require.Contains(t, f.do(http.MethodGet, "/v1/orders/shop-1", "").body, `"refundedAmount":0`)
}

func TestRefundIsNotStartedAsASaga(t *testing.T) {
	f := newRefundsFixture(t)
	a := f.do(http.MethodPost, "/v1/sagas/refund", `{"input":{"orderId":"shop-1","amount":300}}`)
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
}
