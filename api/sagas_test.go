package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// sagaOf reads the fields of a saga that most tests look at.
func (a answer) sagaOf(t *testing.T) (r struct {
	Flow, ID, Status, CorrelationID string
	NeedsAttention                  bool
	Version                         int64
	Steps                           []struct{ Name, State string }
}) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), &r), a.body)
	return r
}

func TestGetSaga(t *testing.T) {
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")...)
	golden(t, "saga.json", f.do(http.MethodGet, "/v1/sagas/gift/g-1", "").body)
	f.stuckGift("g-2")
	golden(t, "saga-stuck.json", f.do(http.MethodGet, "/v1/sagas/gift/g-2", "").body)
	f.append("o-1", timeline("o-1")...)
	golden(t, "saga-order.json", f.do(http.MethodGet, "/v1/sagas/order/o-1", "").body)

	f.gifts.content["g-3"] = json.RawMessage(`{}`)
	a := f.do(http.MethodGet, "/v1/sagas/gift/g-3", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Zero(t, a.sagaOf(t).Version, "Temporal has it, the log does not")
	require.Equal(t, "accepted", a.sagaOf(t).Status)

	require.Equal(t, "at", f.do(http.MethodGet, "/v1/sagas/gift/g-1?at=now", "").problem(t).Errors[0].Parameter)
	f.gifts.fail(fault.New(fault.Unavailable, "no log"))
	require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodGet, "/v1/sagas/gift/g-1", "").status)
}

func TestGetSagaAtMoment(t *testing.T) {
	f := newSagasFixture(t)
	events := giftEvents("g-1")
	f.give("g-1", events...)
	newest := f.do(http.MethodGet, "/v1/sagas/gift/g-1", "")
	require.Equal(t, newest.body, f.do(http.MethodGet, "/v1/sagas/gift/g-1?version="+strconv.Itoa(len(events)), "").body)
	require.Equal(t, newest.body, f.do(http.MethodGet, "/v1/sagas/gift/g-1?at=2099-01-01T00:00:00Z", "").body)
	first := f.do(http.MethodGet, "/v1/sagas/gift/g-1?version=1", "").sagaOf(t)
	require.EqualValues(t, 1, first.Version)
	require.NotEqual(t, newest.sagaOf(t).Steps, first.Steps)
	for _, query := range []string{"version=" + strconv.Itoa(len(events)+1), "at=2000-01-01T00:00:00Z"} {
		require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/sagas/gift/g-1?"+query, "").status, query)
	}
}

func TestUnknownSagas(t *testing.T) {
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")...)
	f.gifts.cancel = func(id string, _ saga.Cancellation) (saga.CancelAnswer, error) {
		require.Equal(t, "g-9", id, "what cannot be an ID names no saga")
		return saga.CancelAnswer{}, fault.New(fault.NotFound, "gift %s does not exist", id)
	}
	f.gifts.decide = func(id string, r saga.Resolution, _ string) (saga.Resolution, saga.ResolveAnswer, error) {
		require.Equal(t, "g-9", id, "what cannot be an ID names no saga")
		return r, saga.ResolveAnswer{}, fault.New(fault.NotFound, "gift %s does not exist", id)
	}
	for _, path := range []string{"nothing/g-1", "gift/g-9", "gift/%20a", "gift/..", "gift/" + strings.Repeat("x", 201), "Gift/g-1"} {
		for _, request := range [][3]string{
			{http.MethodGet, "", ""}, {http.MethodGet, "/events", ""}, {http.MethodPost, "/cancellation", ""},
			{http.MethodPost, "/resolutions", `{"action":"retry"}`},
		} {
			a := f.do(request[0], "/v1/sagas/"+path+request[1], request[2])
			require.Equal(t, http.StatusNotFound, a.status, "%v %s", request, path)
			require.Equal(t, "not_found", a.problem(t).Code)
		}
	}
	require.Equal(t, "not_found", f.do(http.MethodPost, "/v1/sagas/nothing", giftBody).problem(t).Code)
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/sagas/gift", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

func TestIDsAreEscapedInPaths(t *testing.T) {
	require.Equal(t, "/v1/sagas/gift/a%2Fb%20c%3Fd%25", api.SagaPath("gift", "a/b c?d%"))
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")...)
	for _, path := range []string{"/v1/sagas/gift/g%2D1", "/v1/sagas/%67ift/%67-1", "/v1/sagas/gift/g-1/"} {
		a := f.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, a.status, path)
		require.Equal(t, "g-1", a.sagaOf(t).ID)
	}
}

func TestSagaEvents(t *testing.T) {
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")...)
	golden(t, "saga-timeline.json", f.do(http.MethodGet, "/v1/sagas/gift/g-1/events", "").body)

	var page struct {
		Items      []struct{ Version int64 }
		NextCursor *string
	}
	require.NoError(t, json.Unmarshal([]byte(f.do(http.MethodGet, "/v1/sagas/gift/g-1/events?limit=2&cursor=2", "").body), &page))
	require.Len(t, page.Items, 2)
	require.Equal(t, "4", *page.NextCursor)

	lines := f.do(http.MethodGet, "/v1/sagas/gift/g-1/events?limit=3", "", "Accept", "application/x-ndjson")
	require.Equal(t, "application/x-ndjson", lines.header.Get("Content-Type"))
	require.Equal(t, `</v1/sagas/gift/g-1/events?cursor=3&limit=3>; rel="next"`, lines.header.Get("Link"))
	scanner, versions := bufio.NewScanner(strings.NewReader(lines.body)), []int64{}
	for scanner.Scan() {
		var item struct{ Version int64 }
		require.NoError(t, json.Unmarshal(scanner.Bytes(), &item))
		versions = append(versions, item.Version)
	}
	require.Equal(t, []int64{1, 2, 3}, versions)

	f.gifts.content["g-2"] = json.RawMessage(`{}`)
	require.JSONEq(t, `{"items":[],"nextCursor":null}`, f.do(http.MethodGet, "/v1/sagas/gift/g-2/events", "").body)
}

func TestSagaEventsLive(t *testing.T) {
	f := newSagasFixture(t)
	server := f.listen()
	f.gifts.content["g-1"] = json.RawMessage(`{}`)
	stream := subscribe(t, server, "/v1/sagas/gift/g-1/events")
	for i, e := range giftEvents("g-1") {
		f.give("g-1", e)
		var item struct{ Type string }
		data := stream.line("data: ")
		require.NoError(t, json.Unmarshal([]byte(data), &item), data)
		require.Equal(t, e.Type, item.Type, "event %d", i)
	}
	for stream.lines.Scan() {
		require.Empty(t, stream.lines.Text(), "the terminal event is the last one")
	}
	again := f.do(http.MethodGet, "/v1/sagas/gift/g-1/events", "", "Accept", "text/event-stream", "Last-Event-ID", "5")
	require.Equal(t, http.StatusNoContent, again.status)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/sagas/gift/g-9/events", "", "Accept", "text/event-stream").status)
}

// line returns the rest of the next line that begins with a prefix.
func (s *subscription) line(prefix string) string {
	s.t.Helper()
	for s.lines.Scan() {
		if rest, ok := strings.CutPrefix(s.lines.Text(), prefix); ok {
			return rest
		}
	}
	require.Fail(s.t, "the stream has ended", "%v", s.lines.Err())
	return ""
}

func TestHeadOfSagas(t *testing.T) {
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")...)
	server := f.listen()
	for path, status := range map[string]int{
		"/v1/sagas": http.StatusOK, "/v1/sagas/gift/g-1": http.StatusOK, "/v1/sagas/gift/g-1/events": http.StatusOK,
		"/v1/sagas/gift/g-9": http.StatusNotFound, "/v1/sagas/nothing/g-1/events": http.StatusNotFound,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+path, nil)
		require.NoError(t, err)
		r.Header.Set("Accept", "text/event-stream") // it opens no stream
		response, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, status, response.StatusCode, path)
		require.Contains(t, response.Header.Get("Content-Type"), "json", path)
	}
}

func TestCancelSaga(t *testing.T) {
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")[:2]...)
	var asked []saga.Cancellation
	f.gifts.cancel = func(id string, c saga.Cancellation) (saga.CancelAnswer, error) {
		require.Equal(t, "g-1", id)
		asked = append(asked, c)
		return saga.CancelAnswer{Accepted: true, Status: saga.Compensating}, nil
	}
	a := f.do(http.MethodPost, "/v1/sagas/gift/g-1/cancellation", `{"reason":"bought\ntwice"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "locked", a.sagaOf(t).Status, "the saga as the log has it")
	require.Equal(t, "bought twice", asked[0].Reason)
	for range 2 {
		require.Equal(t, http.StatusOK, f.do(http.MethodPost, "/v1/sagas/gift/g-1/cancellation", "", "Idempotency-Key", "k-1").status)
	}
	require.Equal(t, asked[1].ID, asked[2].ID)
	require.NotEqual(t, asked[0].ID, asked[1].ID)

	f.gifts.cancel = func(string, saga.Cancellation) (saga.CancelAnswer, error) {
		return saga.CancelAnswer{Status: "settling", Detail: "the gift is settling"}, nil
	}
	a = f.do(http.MethodPost, "/v1/sagas/gift/g-1/cancellation", "", "X-Correlation-Id", "correlation-1")
	require.Equal(t, http.StatusConflict, a.status)
	golden(t, "saga-refused.json", a.body)

	f.gifts.cancel = func(string, saga.Cancellation) (saga.CancelAnswer, error) {
		return saga.CancelAnswer{}, fault.New(fault.Unavailable, "no worker")
	}
	require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodPost, "/v1/sagas/gift/g-1/cancellation", "").status)
	require.Equal(t, "/why", *f.do(http.MethodPost, "/v1/sagas/gift/g-1/cancellation", `{"why":"x"}`).problem(t).Errors[0].Pointer)
}

func TestResolveSaga(t *testing.T) {
	f := newSagasFixture(t)
	f.stuckGift("g-1")
	f.gifts.decide = func(id string, r saga.Resolution, key string) (saga.Resolution, saga.ResolveAnswer, error) {
		require.Equal(t, "g-1", id)
		require.Equal(t, "k-1", key)
		require.Equal(t, saga.Resolution{Action: saga.Retry, By: "ada", Attention: 1}, r)
		r.ID = "r-1"
		return r, saga.ResolveAnswer{Accepted: true, Status: saga.NeedsAttention}, nil
	}
	a := f.do(http.MethodPost, "/v1/sagas/gift/g-1/resolutions", `{"action":"retry","by":"ada","attention":1}`, "Idempotency-Key", "k-1")
	require.Equal(t, http.StatusOK, a.status, a.body)
	golden(t, "saga-resolution.json", a.body)

	f.gifts.decide = func(_ string, r saga.Resolution, _ string) (saga.Resolution, saga.ResolveAnswer, error) {
		return r, saga.ResolveAnswer{Status: "locked", Detail: "nothing is stuck"}, nil
	}
	p := f.do(http.MethodPost, "/v1/sagas/gift/g-1/resolutions", `{"action":"retry"}`).problem(t)
	require.Equal(t, "resolution_refused", p.Code)
	require.Equal(t, "nothing is stuck", p.Detail)
	require.Equal(t, "locked", p.SagaStatus)
	require.Empty(t, p.OrderStatus)
	require.Equal(t, "/action", *f.do(http.MethodPost, "/v1/sagas/gift/g-1/resolutions", `{}`).problem(t).Errors[0].Pointer)
	require.Equal(t, http.StatusBadRequest, f.do(http.MethodPost, "/v1/sagas/gift/g-1/resolutions", "").status)
}

func TestRequestLogNamesTheSaga(t *testing.T) {
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")...)
	f.do(http.MethodGet, "/v1/sagas/gift/g-1", "")
	require.Contains(t, f.output.String(), `"flow":"gift","saga_id":"g-1"`)
	f.append("o-1", timeline("o-1")...)
	f.do(http.MethodGet, "/v1/sagas/order/o-1/events", "")
	require.Contains(t, f.output.String(), `"flow":"order","order_id":"o-1"`)
}

func TestIncompleteFlowsAreRefused(t *testing.T) {
	f := newSagasFixture(t)
	whole := api.Flow{Definer: f.flow, Sagas: f.gifts}
	c := api.Config{Flows: []api.Flow{whole, {Definer: f.flow}, {Sagas: f.gifts}, whole}}
	var pointers []string
	for _, field := range fault.FieldsOf(c.Validate()) {
		if strings.HasPrefix(field.Pointer, "/flows") {
			pointers = append(pointers, field.Pointer)
		}
	}
	require.Equal(t, []string{"/flows/1", "/flows/2", "/flows/3"}, pointers)
}

// Every step of every page of a timeline is there once, whatever its size.
func TestPagesOfSagaEvents(t *testing.T) {
	f := newSagasFixture(t)
	f.give("g-1", giftEvents("g-1")...)
	for limit := 1; limit <= 6; limit++ {
		cursor, versions := "", []int64{}
		for {
			var page struct {
				Items      []struct{ Version int64 }
				NextCursor *string
			}
			a := f.do(http.MethodGet, "/v1/sagas/gift/g-1/events?limit="+strconv.Itoa(limit)+"&cursor="+url.QueryEscape(cursor), "")
			require.NoError(t, json.Unmarshal([]byte(a.body), &page))
			for _, item := range page.Items {
				versions = append(versions, item.Version)
			}
			if page.NextCursor == nil {
				break
			}
			cursor = *page.NextCursor
		}
		require.Equal(t, []int64{1, 2, 3, 4, 5}, versions, limit)
	}
}
