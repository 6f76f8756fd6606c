package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestStock(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/stock/coffee", "").status)

	a := f.do(http.MethodPost, "/v1/stock/coffee/receipts", `{"quantity":100}`)
	require.Equal(t, http.StatusCreated, a.status)
	require.JSONEq(t, `{"sku":"coffee","onHand":100,"reserved":0,"available":100,"version":1}`, a.body)
	a = f.do(http.MethodPost, "/v1/stock/coffee/adjustments", `{"quantity":-40,"note":"damaged"}`)
	require.Equal(t, http.StatusCreated, a.status)
	require.JSONEq(t, `{"sku":"coffee","onHand":60,"reserved":0,"available":60,"version":2}`, a.body)
	require.JSONEq(t, a.body, f.do(http.MethodGet, "/v1/stock/coffee", "").body)

	a = f.do(http.MethodPost, "/v1/stock/coffee/adjustments", `{"quantity":-61}`)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, "stock_insufficient", a.problem(t).Code)
	require.Equal(t, "only 60 of SKU coffee are available", a.problem(t).Detail)

	for _, sku := range []string{"a", "b"} {
		f.do(http.MethodPost, "/v1/stock/"+sku+"/receipts", `{"quantity":1}`)
	}
	require.JSONEq(t, `{"items":[{"sku":"a","onHand":1,"reserved":0,"available":1,"version":1},
		{"sku":"b","onHand":1,"reserved":0,"available":1,"version":1}],"nextCursor":"b"}`, f.do(http.MethodGet, "/v1/stock?limit=2", "").body)
	require.JSONEq(t, `{"items":[{"sku":"coffee","onHand":60,"reserved":0,"available":60,"version":2}],"nextCursor":null}`,
		f.do(http.MethodGet, "/v1/stock?limit=2&cursor=b", "").body)
}

func TestLedgerOfASKU(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, "not_found", f.do(http.MethodGet, "/v1/stock/a%2Fb/events", "").problem(t).Code)
	f.do(http.MethodPost, "/v1/stock/a%2Fb/receipts", `{"quantity":5}`)
	f.do(http.MethodPost, "/v1/stock/a%2Fb/adjustments", `{"quantity":-1}`)
	a := f.do(http.MethodGet, "/v1/stock/a%2Fb/events?limit=1", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, `"type":"stock.added"`)
	require.Contains(t, a.body, `"nextCursor":"1"`)
	require.Contains(t, f.do(http.MethodGet, "/v1/stock/a%2Fb/events?cursor=1", "").body, `"type":"stock.adjusted"`)
	require.Contains(t, f.do(http.MethodGet, "/v1/stock/a%2Fb/events?limit=1", "", "Accept", "application/x-ndjson").header.Get("Link"), "/v1/stock/a%2Fb/events?")
}

func TestStockChangesOncePerKey(t *testing.T) {
	for _, what := range []string{"receipts", "adjustments"} {
		f := newFixture(t)
		path := "/v1/stock/coffee/" + what
		first := f.do(http.MethodPost, path, `{"quantity":5}`, "Idempotency-Key", "key-1")
		require.Equal(t, http.StatusCreated, first.status)
		require.Empty(t, first.header.Get("Idempotent-Replayed"))
		require.Equal(t, http.StatusCreated, f.do(http.MethodPost, path, `{"quantity":5}`, "Idempotency-Key", "key-2").status)

		again := f.do(http.MethodPost, path, `{"quantity":5}`, "Idempotency-Key", "key-1")
		require.Equal(t, http.StatusOK, again.status)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.JSONEq(t, first.body, again.body)

		other := f.do(http.MethodPost, path, `{"quantity":6}`, "Idempotency-Key", "key-1")
		require.Equal(t, http.StatusUnprocessableEntity, other.status)
		require.Equal(t, "idempotency_conflict", other.problem(t).Code)
		require.Contains(t, f.do(http.MethodGet, "/v1/stock/coffee", "").body, `"onHand":10`)
		require.Equal(t, http.StatusCreated, f.do(http.MethodPost, "/v1/stock/tea/"+what, `{"quantity":6}`, "Idempotency-Key", "key-1").status)
	}
}

func TestStockRefusesBadBodies(t *testing.T) {
	f := newFixture(t)
	for _, test := range []struct{ what, body, place string }{
		{"receipts", `{"quantity":0}`, "/quantity"}, {"receipts", `{"quantity":-1}`, "/quantity"},
		{"receipts", `{"quantity":1000001}`, "/quantity"}, {"receipts", `{"quantity":"1"}`, "/quantity"},
		{"receipts", `{}`, "/quantity"}, {"receipts", `{"quantity":1,"note":"x"}`, "/note"},
		{"adjustments", `{"quantity":0}`, "/quantity"}, {"adjustments", `{"quantity":1.5}`, "/quantity"},
		{"adjustments", `{"quantity":1,"note":2}`, "/note"},
		{"adjustments", `{"quantity":1,"note":"` + strings.Repeat("x", 251) + `"}`, "/note"},
	} {
		a := f.do(http.MethodPost, "/v1/stock/coffee/"+test.what, test.body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, test.body)
		require.Equal(t, test.place, *a.problem(t).Errors[0].Pointer, test.body)
	}
	require.Equal(t, http.StatusUnprocessableEntity, f.do(http.MethodPost, "/v1/stock/a%20/receipts", `{"quantity":1}`).status)
	require.Equal(t, http.StatusUnprocessableEntity, f.do(http.MethodGet, "/v1/stock?cursor=a%20b", "").status)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/stock/a%20", "").status)
}

func TestStockCounts(t *testing.T) {
	f := newFixture(t)
	path := "/v1/stock/coffee/counts"
	first := f.do(http.MethodPost, path, `{"counted":5}`, "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusCreated, first.status)
	require.JSONEq(t, `{"sku":"coffee","onHand":5,"reserved":0,"available":5,"version":1}`, first.body)
	again := f.do(http.MethodPost, path, `{"counted":5}`, "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusOK, again.status)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.JSONEq(t, first.body, again.body)
	other := f.do(http.MethodPost, path, `{"counted":6}`, "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, "idempotency_conflict", other.problem(t).Code)
	require.Empty(t, f.sagas.short)

	for body, place := range map[string]string{
		`{}`: "/counted", `{"counted":-1}`: "/counted", `{"counted":"5"}`: "/counted", `{"quantity":5}`: "/quantity",
		`{"counted":1,"note":"x"}`: "/note", `{"counted":9007199254740992}`: "/counted",
	} {
		a := f.do(http.MethodPost, path, body)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, body)
		require.Equal(t, place, *a.problem(t).Errors[0].Pointer, body)
	}
	require.Equal(t, http.StatusUnprocessableEntity, f.do(http.MethodPost, "/v1/stock/a%20/counts", `{"counted":1}`).status)
}

// Fewer units are counted than reserved: the answer has the shortfall, and the orders that hold them are notified.
func TestStockCountBelowReserved(t *testing.T) {
	f := newFixture(t)
	f.do(http.MethodPost, "/v1/stock/coffee/receipts", `{"quantity":5}`)
	_, err := f.stock.Reserve(t.Context(), "o-1", "coffee", 4)
	require.NoError(t, err)
	const short = `{"sku":"coffee","onHand":1,"reserved":4,"available":0,"shortfall":3,"version":3}`
	a := f.do(http.MethodPost, "/v1/stock/coffee/counts", `{"counted":1}`, "Idempotency-Key", "key-1")
	require.Equal(t, http.StatusCreated, a.status)
	require.JSONEq(t, short, a.body)
	require.JSONEq(t, short, f.do(http.MethodGet, "/v1/stock/coffee", "").body)
	require.Equal(t, []string{"coffee"}, f.sagas.short)

	// The count is in the ledger, whether or not the saga starts now; a repeat starts it.
	f.sagas.shortErr = fault.New(fault.Unavailable, "no Temporal")
	require.Equal(t, http.StatusOK, f.do(http.MethodPost, "/v1/stock/coffee/counts", `{"counted":1}`, "Idempotency-Key", "key-1").status)
	require.Equal(t, []string{"coffee", "coffee"}, f.sagas.short)
}
