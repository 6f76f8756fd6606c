package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// listed are entries of both lists. The flow gone is one that this binary does not have.
func listed() *pages {
	entry := func(flow, id string, status saga.Status, second int) readmodel.Order {
		o := order.Order{ID: id}
		if flow == "" {
			o = placedOrder(id)
		}
		created := at.Add(time.Duration(second) * time.Second)
		return readmodel.Order{Order: o, Flow: flow, Status: status, Version: 3, CreatedAt: created, UpdatedAt: created, CorrelationID: "correlation-1"}
	}
	return &pages{
		orders: []readmodel.Order{
			entry("", "o-1", "completed", 1), entry("", "o-2", "settling", 2), entry("", "o-3", "needs_attention", 3), entry("", "o-4", "completed", 4),
		},
		sagas: []readmodel.Order{
			entry("gift", "present-g-1", "completed", 1), entry("gift", "present-g-2", "locked", 2), entry("gone", "left.over-x-1", "completed", 3),
			entry("gift", "present-g-3", "needs_attention", 4), entry("gift", "present-g-4", "locked", 5),
		},
	}
}

func withList(p api.Orders) func(*api.Config) { return func(c *api.Config) { c.Orders = p } }

// walk follows the pages of a list from its first one, and returns the IDs of all items.
func walk(t *testing.T, f *fixture, path string, limit int) (ids []string) {
	t.Helper()
	cursor := ""
	for range 100 {
		a := f.do(http.MethodGet, path+"limit="+strconv.Itoa(limit)+"&cursor="+url.QueryEscape(cursor), "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		var page struct {
			Items      []struct{ ID string }
			NextCursor *string
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &page))
		require.LessOrEqual(t, len(page.Items), limit)
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		if page.NextCursor == nil {
			return ids
		}
		require.Len(t, page.Items, limit, "only the last page may be short")
		cursor = *page.NextCursor
	}
	require.Fail(t, "the pages do not end")
	return nil
}

func TestSagaPagesSpanBothLists(t *testing.T) {
	f := newSagasFixture(t, withList(listed()))
	for path, want := range map[string]string{
		"/v1/sagas?":                                                    "o-4 o-3 o-2 o-1 g-4 g-3 x-1 g-2 g-1",
		"/v1/sagas?flow=order&":                                         "o-4 o-3 o-2 o-1",
		"/v1/sagas?flow=gift&":                                          "g-4 g-3 g-2 g-1",
		"/v1/sagas?status=completed&":                                   "o-4 o-1 x-1 g-1",
		"/v1/sagas?status=locked,settling&":                             "o-2 g-4 g-2",
		"/v1/sagas?status=locked&status=locked&":                        "g-4 g-2",
		"/v1/sagas?status=locked&flow=order&":                           "",
		"/v1/sagas?status=shipped&":                                     "",
		"/v1/sagas?needsAttention=true&":                                "o-3 g-3",
		"/v1/sagas?needsAttention=true&flow=gift&":                      "g-3",
		"/v1/sagas?needsAttention=false&":                               "o-4 o-2 o-1 g-4 x-1 g-2 g-1",
		"/v1/sagas?needsAttention=false&status=locked,needs_attention&": "g-4 g-2",
		"/v1/sagas?needsAttention=false&status=needs_attention&":        "",
	} {
		for limit := 1; limit <= 10; limit++ {
			require.Equal(t, want, strings.Join(walk(t, f.fixture, path, limit), " "), "%s limit %d", path, limit)
		}
	}
}

func TestSagasAreSelected(t *testing.T) {
	p := listed()
	p.orders[0].Reason, p.sagas[0].Reason = "no_stock", "no_stock"
	p.orders[1].TotalAmount, p.orders[2].CustomerID = 100, "customer-8"
	f := newSagasFixture(t, withList(p))
	for query, want := range map[string]string{
		"reason=no_stock":             "o-1 g-1",
		"customerId=customer-8":       "o-3",
		"minAmount=101":               "o-4 o-3 o-1",
		"maxAmount=100":               "o-2",
		"minAmount=100&maxAmount=100": "o-2",
		"flow=gift&minAmount=0":       "",
		"flow=gift&customerId=c":      "",
		"from=2026-11-21T18:30:03Z":   "o-4 o-3 g-4 g-3 x-1",
		"to=2026-11-21T18:30:02Z":     "o-1 g-1",
		"status=completed&to=2027-01-01T00:00:00Z&reason=no_stock": "o-1 g-1",
	} {
		require.Equal(t, want, strings.Join(walk(t, f.fixture, "/v1/sagas?"+query+"&", 10), " "), query)
	}
}

func TestSagasAreCounted(t *testing.T) {
	f := newSagasFixture(t)
	require.JSONEq(t, `{"items":[],"nextCursor":null,"counts":{"completed":2,"needs_attention":1}}`, f.do(http.MethodGet, "/v1/sagas?counts=status&flow=gift&status=locked", "").body)
	require.Equal(t, []string{"gift"}, f.orders.counted)
	require.NotContains(t, f.do(http.MethodGet, "/v1/sagas", "").body, "counts")
}

func TestListedSagas(t *testing.T) {
	p := listed()
	p.sagas[0].Reason = "card_busy"
	f := newSagasFixture(t, withList(p))
	golden(t, "sagas.json", f.do(http.MethodGet, "/v1/sagas?status=completed", "").body)
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/sagas?status=shipped", "").body)
}

func TestListOfSagasRefuses(t *testing.T) {
	f := newSagasFixture(t, withList(listed()))
	cursorOf := func(path string) string {
		var page struct{ NextCursor string }
		require.NoError(t, json.Unmarshal([]byte(f.do(http.MethodGet, path, "").body), &page))
		require.NotEmpty(t, page.NextCursor, path)
		return url.QueryEscape(page.NextCursor)
	}
	firstPart, secondPart, between := cursorOf("/v1/sagas?limit=1"), cursorOf("/v1/sagas?limit=5"), cursorOf("/v1/sagas?limit=4")
	require.Equal(t, "saga.", between)
	require.True(t, strings.HasPrefix(secondPart, "saga."))
	for query, parameter := range map[string]string{
		"flow=nothing":                       "flow",
		"flow=gone":                          "flow",
		"flow=gift&flow=order":               "flow",
		"status=":                            "status",
		"status=Locked":                      "status",
		"status=locked,":                     "status",
		"status=a" + strings.Repeat("b", 64): "status",
		"status=" + manyStatuses(51):         "status",
		"needsAttention=yes":                 "needsAttention",
		"needsAttention=true&status=locked":  "needsAttention",
		"needsAttention=true&status=Bad":     "needsAttention",
		"limit=0":                            "limit",
		"limit=501":                          "limit",
		"cursor=saga":                        "cursor",
		"cursor=a%20b":                       "cursor",
		"cursor=saga.nonsense":               "cursor",
		"customer=c-1":                       "customer",
		"customerId=%20":                     "customerId",
		"reason=No%20stock":                  "reason",
		"minAmount=-1":                       "minAmount",
		"maxAmount=1.5":                      "maxAmount",
		"minAmount=2&maxAmount=1":            "maxAmount",
		"from=yesterday":                     "from",
		"counts=flow":                        "counts",
		"flow=gift&cursor=" + firstPart:      "cursor",
		"flow=order&cursor=" + secondPart:    "cursor",
		"flow=order&cursor=" + between:       "cursor",
		"status=locked&cursor=" + firstPart:  "cursor",
		"cursor=" + strings.TrimPrefix(secondPart, "saga."):           "cursor",
		"flow=gift&cursor=" + strings.TrimPrefix(secondPart, "saga."): "cursor",
	} {
		a := f.do(http.MethodGet, "/v1/sagas?"+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, a.status, query)
		p := a.problem(t)
		require.Equal(t, "invalid", p.Code)
		require.Contains(t, parametersOf(p.Errors), parameter, query)
	}
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/v1/sagas?status="+manyStatuses(50), "").status)
}

func parametersOf(errors []struct {
	Pointer                   *string
	Parameter, Header, Detail string
}) (names []string) {
	for _, e := range errors {
		names = append(names, e.Parameter)
	}
	return names
}

func manyStatuses(n int) string {
	var names []string
	for i := range n {
		names = append(names, "status_"+strconv.Itoa(i))
	}
	return strings.Join(names, ",")
}

func TestListOfSagasWithoutStore(t *testing.T) {
	f := newSagasFixture(t)
	f.orders.err = fault.New(fault.Unavailable, "no list")
	for _, path := range []string{"/v1/sagas", "/v1/sagas?flow=gift"} {
		require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodGet, path, "").status, path)
	}
}

func TestAttentionOfSagasOfOtherFlows(t *testing.T) {
	f := newSagasFixture(t)
	needs := func(flow, stream string) readmodel.Order {
		return readmodel.Order{Order: order.Order{ID: stream}, Flow: flow, Status: saga.NeedsAttention, Attention: &readmodel.Attention{
			AttentionState: saga.AttentionState{Open: true, Step: "credit", Count: 1, Error: "no answer", Attempts: 2, Since: at},
			Actions:        []saga.ResolutionAction{saga.Retry, saga.Skip},
		}}
	}
	f.orders.attention = []readmodel.Order{needs("gift", "present-g-1"), needs("gone", "left.over-x-1")}
	golden(t, "attention-sagas.json", f.do(http.MethodGet, "/v1/attention", "").body)
}
