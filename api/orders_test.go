package api_test

import (
	"context"
	"encoding/json"
	"errors"
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
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestGetOrder(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")...)
	a := f.do(http.MethodGet, "/v1/orders/o-1", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	golden(t, "completed.json", a.body)
}

func TestGetOrderBeforeItsFirstEvent(t *testing.T) {
	f := newFixture(t)
	f.sagas.placed["o-1"] = sagaclient.Placement{Order: placedOrder("o-1"), CorrelationID: "correlation-1"}
	r := f.do(http.MethodGet, "/v1/orders/o-1", "").resource(t)
	require.Equal(t, "accepted", r.Status)
	require.Zero(t, r.Version)
	require.Equal(t, "correlation-1", r.CorrelationID)

	for _, id := range []string{"o-2", "-", "a%2Fb", "a%20b", "%00"} {
		require.Equal(t, "not_found", f.do(http.MethodGet, "/v1/orders/"+id, "").problem(t).Code, id)
	}
}

func TestGetOrderAtTime(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")...)
	for when, want := range map[string]string{
		"2026-11-21T18:30:00Z": "accepted", "2026-11-21T18:30:00.999Z": "accepted", "2026-11-21T18:30:01Z": "reserved",
		"2026-11-21T20:30:02+02:00": "authorized", "2030-01-01T00:00:00Z": "completed",
		"2030-12-31T23:59:60Z": "completed",
	} {
		for _, query := range []string{when, url.QueryEscape(when)} {
			require.Equal(t, want, f.do(http.MethodGet, "/v1/orders/o-1?at="+query, "").resource(t).Status, query)
		}
	}
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-1?at=2026-11-21T18:29:59.999Z", "").status)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-2?at=2026-11-21T18:29:59.999Z", "").status)
	p := f.do(http.MethodGet, "/v1/orders/o-1?at=yesterday", "").problem(t)
	require.Equal(t, "at", p.Errors[0].Parameter)

	f.sagas.placed["o-3"] = sagaclient.Placement{Order: placedOrder("o-3"), CorrelationID: "correlation-1"}
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/v1/orders/o-3?at=2026-11-21T18:30:00Z", "").status)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-3?at=2026-11-21T18:29:00Z", "").status)
}

func TestGetOrderAtVersion(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")...)
	for version, want := range map[string]string{"1": "accepted", "2": "reserved", "3": "authorized"} {
		o := f.do(http.MethodGet, "/v1/orders/o-1?version="+version, "").resource(t)
		require.Equal(t, want, o.Status, version)
		require.Equal(t, version, strconv.FormatInt(o.Version, 10))
	}
	for _, version := range []string{"99", "9223372036854775807"} {
		require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-1?version="+version, "").status, version)
	}
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-2?version=1", "").status)
	for _, query := range []string{"version=0", "version=-1", "version=x", "version=1&version=2", "version=1&at=now", "version=1&at=2026-11-21T18:30:00Z"} {
		p := f.do(http.MethodGet, "/v1/orders/o-1?"+query, "").problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, query)
		require.NotEmpty(t, p.Errors, query)
	}
}

// The clock of the fixture's API is behind the one that timed the order.
func TestGetOrderWithFutureTime(t *testing.T) {
	for _, ahead := range []time.Duration{time.Millisecond, time.Minute, 45 * time.Minute} {
		f := newFixture(t)
		entries := timeline("o-1")
		for i := range entries {
			entries[i].Time = entries[i].Time.Add(ahead)
		}
		f.append("o-1", entries...)
		f.sagas.placed["o-2"] = sagaclient.Placement{Order: placedOrder("o-2"), CorrelationID: "correlation-1"}
		f.sagas.ahead = ahead
		for _, when := range []string{"now", "2026-11-21T18:30:00Z", "2026-11-21T18:29:55Z"} {
			require.Equal(t, "completed", f.do(http.MethodGet, "/v1/orders/o-1?at="+when, "").resource(t).Status, "%s, %s", ahead, when)
			require.Equal(t, "accepted", f.do(http.MethodGet, "/v1/orders/o-2?at="+when, "").resource(t).Status, "%s, %s", ahead, when)
		}
		for _, id := range []string{"o-1", "o-2"} {
			require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/"+id+"?at=2026-11-21T18:29:00Z", "").status)
		}
		require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-3?at=now", "").status)
	}
	f := newFixture(t)
	require.Equal(t, http.StatusUnprocessableEntity, f.do(http.MethodGet, "/v1/orders/o-1?at=now&at=now", "").status)
}

func TestListOrders(t *testing.T) {
	f := newFixture(t)
	state := order.State{Saga: saga.Saga{Status: order.StatusFailed, Reason: "payment_timeout", CreatedAt: at, UpdatedAt: at.Add(1234567 * time.Microsecond), CorrelationID: "correlation-1"}, Order: placedOrder("o-1")}
	state.Head.Version = 9
	f.orders.states, f.orders.next = []order.State{state}, "more"
	a := f.do(http.MethodGet, "/v1/orders?status=failed,cancelled&status=rejected&status=failed&customerId=customer-7"+
		"&from=2026-11-21T18:00:00Z&to=2026-11-21T19:00:00Z&limit=7&cursor=abc", "")
	require.Equal(t, http.StatusOK, a.status)
	golden(t, "orders.json", a.body)
	require.Equal(t, readmodel.Filter{
		Statuses:   []order.Status{order.StatusFailed, order.StatusCancelled, order.StatusRejected},
		CustomerID: "customer-7", CreatedFrom: at.Add(-30 * time.Minute), CreatedTo: at.Add(30 * time.Minute), Limit: 7, Cursor: "abc",
	}, f.orders.filter)

	f.orders.states, f.orders.next = nil, ""
	a = f.do(http.MethodGet, "/v1/orders", "")
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, a.body)
	require.Equal(t, readmodel.Filter{Limit: 50}, f.orders.filter)
}

func TestListOrdersRefusesBadFilters(t *testing.T) {
	f := newFixture(t)
	for query, parameter := range map[string]string{
		"status=done": "status", "status=": "status", "limit=0": "limit", "limit=501": "limit", "limit=x": "limit", "limit=1&limit=2": "limit",
		"from=today": "from", "to=1": "to", "customerId=a%20": "customerId", "id=.": "id", "id=a&id=b": "id", "cursor=%20": "cursor", "statuses=failed": "statuses",
		"from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z": "to", "a=%zz": "?",
	} {
		a := f.do(http.MethodGet, "/v1/orders?"+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, a.status, query)
		require.Equal(t, parameter, a.problem(t).Errors[0].Parameter, query)
	}
	f.orders.err = fault.NewInvalid("list of orders", []fault.Field{fault.Fieldf("/cursor", "unknown or expired cursor")})
	require.Equal(t, "cursor", f.do(http.MethodGet, "/v1/orders?cursor=x", "").problem(t).Errors[0].Parameter)
	f.orders.err = errors.New("mongodb://user:secret@host")
	a := f.do(http.MethodGet, "/v1/orders", "")
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.NotContains(t, a.body, "secret")
	require.Contains(t, f.output.String(), "secret@host")
	f.orders.err = context.DeadlineExceeded
	require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodGet, "/v1/orders", "").status)
}

func TestTimeline(t *testing.T) {
	f := newFixture(t)
	entries := timeline("o-1")
	f.append("o-1", entries[:3]...)
	whole := f.do(http.MethodGet, "/v1/orders/o-1/events", "")
	require.Equal(t, "Accept", whole.header.Get("Vary"))
	golden(t, "timeline.json", whole.body)

	type page struct {
		Items      []struct{ Version int64 }
		NextCursor *string
	}
	var first, second page
	require.NoError(t, json.Unmarshal([]byte(f.do(http.MethodGet, "/v1/orders/o-1/events?limit=2", "").body), &first))
	require.Len(t, first.Items, 2)
	require.NoError(t, json.Unmarshal([]byte(f.do(http.MethodGet, "/v1/orders/o-1/events?limit=2&cursor="+*first.NextCursor, "").body), &second))
	require.Len(t, second.Items, 1)
	require.EqualValues(t, 3, second.Items[0].Version)
	require.Nil(t, second.NextCursor)
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/orders/o-1/events?cursor=3", "").body)

	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-2/events", "").status)
	require.Equal(t, http.StatusUnprocessableEntity, f.do(http.MethodGet, "/v1/orders/o-1/events?cursor=x", "").status)
	f.sagas.placed["o-3"] = sagaclient.Placement{Order: placedOrder("o-3")}
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/orders/o-3/events", "").body)
}

func TestTimelineAsLines(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")...)
	a := f.do(http.MethodGet, "/v1/orders/o-1/events?limit=5", "", "Accept", "application/x-ndjson")
	require.Equal(t, "application/x-ndjson", a.header.Get("Content-Type"))
	require.Equal(t, `</v1/orders/o-1/events?cursor=5&limit=5>; rel="next"`, a.header.Get("Link"))
	decoder := json.NewDecoder(strings.NewReader(a.body))
	versions := []int64{}
	for decoder.More() {
		var item struct{ Version int64 }
		require.NoError(t, decoder.Decode(&item))
		versions = append(versions, item.Version)
	}
	require.Equal(t, []int64{1, 2, 3, 4, 5}, versions)
	rest := f.do(http.MethodGet, "/v1/orders/o-1/events?limit=5&cursor=5", "", "Accept", "application/x-ndjson")
	require.Empty(t, rest.header.Get("Link"))
}

func TestPreferredType(t *testing.T) {
	offers := []string{"application/json", "application/x-ndjson", "text/event-stream"}
	for accept, want := range map[string]int{
		"": 0, "*/*": 0, "text/event-stream": 2, "application/x-ndjson": 1, "application/*": 0, "text/*": 2, "image/png": 0,
		"text/event-stream;q=0.5, application/json;q=0.9": 0, "application/json;q=0.1, application/x-ndjson": 1,
		"*/*;q=0.1, text/event-stream": 2, "application/json;q=0, */*": 1, "TEXT/Event-Stream": 2, "a/b;;;": 0, "application/json;q=x, text/*": 2,
	} {
		require.Equal(t, offers[want], api.PreferredType(http.Header{"Accept": {accept}}, offers...), accept)
	}
}
