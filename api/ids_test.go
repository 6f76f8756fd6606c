package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
)

// shopIDs are IDs as shops have them.
var shopIDs = []string{
	"gid://shopify/Order/123", "T3JkZXI6MjU=", "auth0|5f7c8ec7", "ABC/1 ü", "100%", "%2F", "a+b&c=d?e#f;g", "a/../b", "a//b", "...", "注文/1", "late-1",
	"e\u0301", "é", strings.Repeat("/", 200),
}

// withID is the valid order with an ID of its own.
func withID(id string) string { return `{"id":` + quoted(id) + `,` + validOrder[1:] }

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }

func TestClientMayChooseOrderID(t *testing.T) {
	f := newFixture(t)
	for _, id := range shopIDs {
		placed := f.do(http.MethodPost, "/v1/orders", withID(id))
		require.Equal(t, http.StatusAccepted, placed.status, placed.body)
		r := placed.resource(t)
		require.Equal(t, id, r.ID)
		path := "/v1/orders/" + url.PathEscape(id)
		require.Equal(t, path, r.Links.Self)
		require.Equal(t, path, placed.header.Get("Location"))
		workflowID := event.WorkflowID("order-", id)
		page := "/workflows/" + workflowID
		if strings.Contains(workflowID, "%") {
			page = "/workflows?query=" + url.QueryEscape(`WorkflowId="`+workflowID+`"`)
		}
		require.Contains(t, r.Links.Saga, page)
		require.True(t, f.sagas.placed[id].CallerID)
		require.False(t, f.sagas.placed[id].Fresh)

		f.append(id, timeline(id)...)
		for _, p := range []string{path, path + "/", "/v1/orders/" + encodedWhole(id)} {
			require.Equal(t, id, f.do(http.MethodGet, p, "").resource(t).ID, p)
		}
		require.Equal(t, http.StatusOK, f.do(http.MethodGet, r.Links.Events, "").status)
		one := f.do(http.MethodGet, "/v1/orders?id="+url.QueryEscape(id), "")
		require.Equal(t, http.StatusOK, one.status)
		require.Contains(t, one.body, `"status":"completed"`)
		require.Contains(t, one.body, `"nextCursor":null`)
	}
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/orders?id=unheard", "").body)
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/orders?status=failed&id="+url.QueryEscape(shopIDs[0]), "").body)
	require.Contains(t, f.do(http.MethodGet, "/v1/orders?status=completed&customerId=customer-7&id="+url.QueryEscape(shopIDs[0]), "").body, `"version":7`)
}

// encodedWhole encodes every byte of an ID, as some clients do.
func encodedWhole(id string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range []byte(id) {
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

func TestClientOrderIDMakesRequestIdempotent(t *testing.T) {
	f := newFixture(t)
	const id = "gid://shopify/Order/1"
	require.Empty(t, f.do(http.MethodPost, "/v1/orders", withID(id)).header.Get("Idempotent-Replayed"))
	again := f.do(http.MethodPost, "/v1/orders", withID(id))
	require.Equal(t, http.StatusAccepted, again.status)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	keyed := f.do(http.MethodPost, "/v1/orders", withID(id), "Idempotency-Key", "key-1")
	require.Equal(t, "true", keyed.header.Get("Idempotent-Replayed"), "the ID says which order is meant")

	other := f.do(http.MethodPost, "/v1/orders", strings.Replace(withID(id), "customer-7", "customer-8", 1))
	require.Equal(t, http.StatusConflict, other.status)
	require.Equal(t, "conflict", other.problem(t).Code)
	require.Len(t, f.sagas.placed, 1)

	for _, bad := range []string{`""`, `"."`, `".."`, `" a"`, `"a\n"`, `"\u202ea"`, `"\ud800"`, `7`, `null`} {
		a := f.do(http.MethodPost, "/v1/orders", `{"id":`+bad+`,`+validOrder[1:])
		require.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusBadRequest}, a.status, bad)
		if a.status == http.StatusUnprocessableEntity {
			require.Equal(t, "/id", *a.problem(t).Errors[0].Pointer, bad)
		}
	}
}

func TestClientMayChooseSKU(t *testing.T) {
	f := newFixture(t)
	for _, sku := range shopIDs {
		path := "/v1/stock/" + url.PathEscape(sku)
		require.Equal(t, http.StatusCreated, f.do(http.MethodPost, path+"/receipts", `{"quantity":2}`).status, sku)
		balance := f.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, balance.status)
		require.Contains(t, balance.body, `"onHand":2`)
	}
	var seen []string
	for path := "/v1/stock?limit=4"; path != ""; {
		page := f.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, page.status, path)
		var items struct {
			Items []struct{ SKU string }
			Next  string `json:"nextCursor"`
		}
		require.NoError(t, json.Unmarshal([]byte(page.body), &items))
		for _, item := range items.Items {
			seen = append(seen, item.SKU)
		}
		if path = ""; items.Next != "" {
			path = "/v1/stock?limit=4&cursor=" + items.Next
		}
	}
	require.ElementsMatch(t, shopIDs, seen)
}
