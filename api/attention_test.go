package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// stuck writes the timeline of an order whose capture is stuck.
func (f *fixture) stuck(id string) {
	f.append(id, timeline(id)[:4]...)
	f.append(id, event.New(event.OrderStream(id), "attention/1", event.OrderNeedsAttention, id, at.Add(time.Minute),
		saga.Object("orderId", id, saga.Attention{Step: order.StepCapture, Error: "no answer"})))
}

func TestAttention(t *testing.T) {
	f := newFixture(t, func(c *api.Config) {
		none := &flowSagas{}
		c.Flows = []api.Flow{{Definer: &order.Flow, Sagas: none}, {Definer: &latepayment.Flow, Sagas: none}}
	})
	needs := func(id, flow, reason string, a order.AttentionState, actions ...order.ResolutionAction) readmodel.Order {
		return readmodel.Order{Order: order.Order{ID: id}, Flow: flow, Reason: reason, Status: order.StatusNeedsAttention,
			Attention: &readmodel.Attention{AttentionState: a, Actions: actions}}
	}
	f.orders.attention = []readmodel.Order{
		needs("o-2", "", "", order.AttentionState{
			Open: true, Step: order.StepAuthorize, Undo: true, Count: 2, Error: "no answer", Attempts: 1,
			NextTry: at.Add(time.Minute), Since: at,
		}, order.Retry, order.Skip, order.Substitute),
		needs("o-1", "", "", order.AttentionState{
			Open: true, Step: order.StepDeliver, Count: 1, Error: "the carrier lost the goods", Since: at,
		}, order.Skip, order.Substitute),
		needs("late-o-0", latepayment.Flow.Name, "failed", order.AttentionState{
			Open: true, Step: "refund", Count: 1, Error: "no answer", Attempts: 1, NextTry: at.Add(time.Minute), Since: at,
		}, order.Retry, order.Skip, order.Substitute),
	}
	f.orders.next = "more"
	a := f.do(http.MethodGet, "/v1/attention?limit=2&cursor=abc", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, readmodel.Filter{Limit: 2, Cursor: "abc"}, f.orders.filter)
	golden(t, "attention.json", a.body)

	f.orders.attention, f.orders.next = nil, ""
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/attention", "").body)
	require.Equal(t, 50, f.orders.filter.Limit)
	require.Equal(t, http.StatusUnprocessableEntity, f.do(http.MethodGet, "/v1/attention?status=shipped", "").status)
	f.orders.err = fault.New(fault.Unavailable, "no list")
	require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodGet, "/v1/attention", "").status)
	f.orders.err = fault.NewInvalid("list", []fault.Field{fault.Fieldf("/cursor", "is none")})
	require.Equal(t, "cursor", f.do(http.MethodGet, "/v1/attention?cursor=x", "").problem(t).Errors[0].Parameter)
}

func TestResolve(t *testing.T) {
	f := newFixture(t)
	f.stuck("o-1")
	type question struct {
		id, key string
		d       order.Resolution
	}
	var asked []question
	f.sagas.resolve = func(_ context.Context, id string, d order.Resolution, key string) (order.Resolution, saga.ResolveAnswer, error) {
		asked = append(asked, question{id, key, d})
		d.ID, d.Attention = "r-1", 1
		if len(asked) == 1 {
			records, err := f.log.Read(t.Context(), event.OrderStream(id), 0, 0)
			require.NoError(t, err)
			s, err := order.Fold(records)
			require.NoError(t, err)
			f.append(id, order.Decisions(s, order.Facts{Resolutions: []order.Resolution{d}}, at, order.DefaultTiming())...)
		}
		return d, saga.ResolveAnswer{Accepted: true, Status: order.StatusSettling}, nil
	}
	const body = `{"action":"skip","by":"ada","note":"paid in cash","reference":"R-7"}`
	a := f.do(http.MethodPost, "/v1/orders/o-1/resolutions", body)
	require.Equal(t, http.StatusOK, a.status, a.body)
	golden(t, "resolution.json", a.body)
	skip := order.Resolution{Action: order.Skip, By: "ada", Note: "paid in cash", Reference: "R-7"}
	require.Equal(t, question{"o-1", "", skip}, asked[0], "what it is about is for the saga client to find out")

	require.Equal(t, http.StatusOK, f.do(http.MethodPost, "/v1/orders/o-1/resolutions", `{"action":"retry","attention":7}`).status)
	require.Equal(t, 7, asked[1].d.Attention, "what the client has seen")
	f.do(http.MethodPost, "/v1/orders/o-1/resolutions", body, "Idempotency-Key", "k-1")
	require.Equal(t, question{"o-1", "k-1", skip}, asked[2])
}

func TestResolveRefused(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")[0])
	f.sagas.resolve = func(_ context.Context, _ string, d order.Resolution, _ string) (order.Resolution, saga.ResolveAnswer, error) {
		require.Zero(t, d.Attention)
		return d, saga.ResolveAnswer{Status: order.StatusAccepted, Detail: "nothing is stuck: the order is accepted"}, nil
	}
	a := f.do(http.MethodPost, "/v1/orders/o-1/resolutions", `{"action":"retry"}`, "X-Correlation-Id", "correlation-1")
	require.Equal(t, http.StatusConflict, a.status)
	p := a.problem(t)
	require.Equal(t, "resolution_refused", p.Code)
	require.Equal(t, "nothing is stuck: the order is accepted", p.Detail)
	require.Equal(t, "accepted", p.OrderStatus)
}

func TestResolveErrors(t *testing.T) {
	f := newFixture(t)
	f.stuck("o-1")
	var fails error
	f.sagas.resolve = func(_ context.Context, id string, d order.Resolution, _ string) (order.Resolution, saga.ResolveAnswer, error) {
		if id != "o-1" {
			return d, saga.ResolveAnswer{}, fault.New(fault.NotFound, "order %s does not exist", id)
		}
		return d, saga.ResolveAnswer{}, fails
	}
	fails = fault.New(fault.Unavailable, "no worker answers")
	a := f.do(http.MethodPost, "/v1/orders/o-1/resolutions", `{"action":"retry"}`)
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, http.StatusNotFound, f.do(http.MethodPost, "/v1/orders/o-9/resolutions", `{"action":"retry"}`).status)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodPost, "/v1/orders/a%20b/resolutions", `{"action":"retry"}`).status)
	require.Equal(t, http.StatusBadRequest, f.do(http.MethodPost, "/v1/orders/o-1/resolutions", "").status)
	require.Equal(t, http.StatusBadRequest, f.do(http.MethodPost, "/v1/orders/o-1/resolutions", "[]").status)
	require.Equal(t, http.StatusUnsupportedMediaType,
		f.do(http.MethodPost, "/v1/orders/o-1/resolutions", `{"action":"retry"}`, "Content-Type", "text/plain").status)
	for body, pointer := range map[string]string{
		`{}`:                                    "/action",
		`{"action":"pray"}`:                     "/action",
		`{"action":"retry","attention":0}`:      "/attention",
		`{"action":"retry","attention":"1"}`:    "/attention",
		`{"action":3}`:                          "/action",
		`{"action":"skip"}`:                     "/note",
		`{"action":"substitute","note":"done"}`: "/reference",
		`{"action":"retry","by":"a b"}`:         "/by",
		`{"action":"retry","why":"x"}`:          "/why",
		`{"action":"skip","note":"a\u0007"}`:    "/note",
		`{"action":"skip","note":"` + strings.Repeat("n", 501) + `"}`:            "/note",
		`{"action":"substitute","reference":"` + strings.Repeat("n", 201) + `"}`: "/reference",
	} {
		a := f.do(http.MethodPost, "/v1/orders/o-1/resolutions", body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, body)
		require.Len(t, a.problem(t).Errors, 1, a.body)
		require.Equal(t, pointer, *a.problem(t).Errors[0].Pointer, body)
	}
}
