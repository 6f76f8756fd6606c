package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestRefundAsksBeforeItIsSent(t *testing.T) {
	b := newVisitor(t, nil, world())
	id := url.PathEscape(hostile)
	path, target := "/console/sagas/order/"+id+"/refund", "POST /v1/orders/"+id+"/refunds"
	require.Contains(t, b.get(path).Body.String(), "1\u202f234.56 EUR can be refunded")

	entered := url.Values{"line-1": {"1"}, "restock": {"yes"}, "reason": {"damaged"}}
	page := b.post(path, entered).Body.String()
	for _, wanted := range []string{"617.28 EUR are refunded", "put into stock again", "Afterwards 617.28 EUR can still be refunded", `name="line-1" value="1"`, `name="restock" value="yes"`} {
		require.Contains(t, page, wanted)
	}
	last := func() call { return b.rest.calls[len(b.rest.calls)-1] }
	require.Contains(t, last().target, "/refunds?dryRun=true")
	lines := []any{map[string]any{"line": 1.0, "quantity": 1.0}}
	entered.Set("confirmed", "yes")
	entered.Set("key", "k-1")
	require.Equal(t, http.StatusSeeOther, b.post(path, entered).Code)
	require.NotContains(t, last().target, "dryRun")
	require.Equal(t, "k-1", last().key)
	require.Equal(t, map[string]any{"lines": lines, "restock": true, "reason": "damaged"}, last().body)

	b.rest.set(target, fault.New(fault.RefundExceedsCaptured, "only 5 can still be refunded"))
	refused := b.post(path, url.Values{"amount": {"617.28"}})
	require.Equal(t, http.StatusConflict, refused.Code)
	require.Contains(t, refused.Body.String(), "only 5 can still be refunded")
	require.Contains(t, refused.Body.String(), `value="617.28"`)
	require.Equal(t, map[string]any{"amount": 61728.0, "restock": false}, b.rest.last("refunds"))
}

func TestAmountsAreReadInTheirCurrency(t *testing.T) {
	b := newVisitor(t, nil, world())
	path := "/console/sagas/order/" + url.PathEscape(hostile) + "/refund"
	b.get(path)
	for entered, amount := range map[string]float64{"12": 1200, "12.5": 1250, "0.07": 7, "12.": 1200} {
		b.post(path, url.Values{"amount": {entered}})
		require.Equal(t, map[string]any{"amount": amount, "restock": false}, b.rest.last("refunds"), entered)
	}
	for _, entered := range []string{"1,50", "-3", "1.505", "ten", ".", "+1", "1.-5"} {
		require.Equal(t, http.StatusUnprocessableEntity, b.post(path, url.Values{"amount": {entered}}).Code, entered)
	}
	require.Equal(t, http.StatusUnprocessableEntity, b.post(path, url.Values{"line-1": {"x"}}).Code)
}

func TestReturnIsStartedAndReceived(t *testing.T) {
	b := newVisitor(t, nil, world())
	path := "/console/sagas/order/" + url.PathEscape(hostile)
	b.get(path)
	require.Equal(t, http.StatusUnprocessableEntity, b.post(path+"/return", url.Values{}).Code, "no line is entered")
	page := b.post(path+"/return", url.Values{"line-1": {"2"}, "refund": {"yes"}}).Body.String()
	require.Contains(t, page, "What comes back is refunded.")
	require.Contains(t, page, "The stock does not change.")
	done := b.post(path+"/return", url.Values{"line-1": {"2"}, "refund": {"yes"}, "confirmed": {"yes"}})
	require.Equal(t, path+"?done=returned", done.Header().Get("Location"))
	lines := []any{map[string]any{"line": 1.0, "quantity": 2.0}}
	require.Equal(t, map[string]any{"lines": lines, "refund": true, "restock": false}, b.rest.last("returns"))

	require.Contains(t, b.post(path+"/receive?return=r-1", url.Values{}).Body.String(), "everything that is missing")
	b.post(path+"/receive?return=r-1", url.Values{"line-1": {"2"}, "confirmed": {"yes"}})
	require.Equal(t, map[string]any{"lines": lines}, b.rest.last("receipts"))
}

func TestActionsOfAnOrderNeedTheirScopes(t *testing.T) {
	answers := shop()
	for caller, wanted := range map[string][]auth.Scope{
		"none": {auth.OrdersRead}, "refund": {auth.OrdersRead, auth.RefundsWrite}, "receive": {auth.OrdersRead, auth.StockWrite},
	} {
		b := newVisitor(t, keys{"osk": {Namespace: caller, Actor: caller, Scopes: wanted}}, answers)
		b.get("/console/login")
		b.post("/console/login", url.Values{"key": {"osk"}})
		page := b.get("/console/sagas/order/shop-1006").Body.String()
		for id, needed := range map[string]string{"refund": "refund", "return": "refund", "receive-0": "receive"} {
			require.Equal(t, caller == needed, strings.Contains(page, `id="`+id+`"`), "%s %s", caller, id)
		}
	}
}
