package api_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/refunds"
)

func TestLedgerHasRefundsAndDisputes(t *testing.T) {
	f := newRefundsFixture(t)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/shop-9/ledger", "").status)
	type ledger struct {
		Items []struct {
			Key, Status string
			Flow, ID    *string
			Amount      int64
		}
		Refundable int64
	}
	read := func() (l ledger) {
		a := f.do(http.MethodGet, "/v1/orders/shop-1/ledger", "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.NoError(t, json.Unmarshal([]byte(a.body), &l))
		return l
	}
	require.Empty(t, read().Items)
	require.Equal(t, int64(6297), read().Refundable)

	r := f.do(http.MethodPost, refundsPath, `{"amount":300}`, "Prefer", "wait=60").refundOf(t)
	_, err := refunds.Reserve(t.Context(), f.log, refunds.Claim{
		Reference: "shop-1", Key: refunds.DisputePrefix + "d%2F1", Source: refunds.Captured, Amount: 6297, Limit: 6297, Currency: "EUR",
	}, time.Now())
	require.NoError(t, err)
	_, err = refunds.Reserve(t.Context(), f.log, refunds.Claim{
		Reference: "shop-1", Key: "late", Source: refunds.Arrived, Amount: 10, Limit: 10, Currency: "EUR",
	}, time.Now())
	require.NoError(t, err)
	l := read()
	require.Len(t, l.Items, 3)
	require.Equal(t, []string{"refund", r.ID, "refunded"}, []string{*l.Items[0].Flow, *l.Items[0].ID, l.Items[0].Status})
	require.Equal(t, []string{"dispute", "d/1", "reserved"}, []string{*l.Items[1].Flow, *l.Items[1].ID, l.Items[1].Status})
	require.Equal(t, int64(5997), l.Items[1].Amount)
	require.Nil(t, l.Items[2].Flow)
	require.Zero(t, l.Refundable, "an open dispute blocks refunds")
	require.NoError(t, refunds.Release(t.Context(), f.log, "shop-1", refunds.DisputePrefix+"d%2F1", time.Now()))
	require.Equal(t, int64(5997), read().Refundable)
	require.Equal(t, "released", read().Items[1].Status)
}

func TestDryRunOfARefundStartsNothing(t *testing.T) {
	f := newRefundsFixture(t)
	a := f.do(http.MethodPost, refundsPath+"?dryRun=true", `{"lines":[{"line":1,"quantity":1}],"restock":true}`, "Idempotency-Key", "k")
	require.Equal(t, http.StatusOK, a.status, a.body)
	var preview struct {
		DryRun bool
		Amount int64
		Lines  []refunds.Line
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &preview))
	require.True(t, preview.DryRun)
	require.Equal(t, []refunds.Line{{Line: 1, Quantity: 1, Amount: preview.Amount}}, preview.Lines)
	require.Positive(t, preview.Amount)
	require.JSONEq(t, `{"items":[],"nextCursor":null,"refundable":6297}`, f.do(http.MethodGet, "/v1/orders/shop-1/ledger", "").body)
	require.Empty(t, f.refunds.content)

	require.Equal(t, "refund_exceeds_captured", f.do(http.MethodPost, refundsPath+"?dryRun=true", `{"amount":6298}`).problem(t).Code)
	require.Equal(t, "dryRun", f.do(http.MethodPost, refundsPath+"?dryRun=perhaps", `{"amount":1}`).problem(t).Errors[0].Parameter)
	require.Equal(t, http.StatusCreated, f.do(http.MethodPost, refundsPath, `{"amount":300}`, "Prefer", "wait=60", "Idempotency-Key", "k").status)
}
