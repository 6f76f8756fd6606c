package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// doChunked sends a POST whose body has no length in the headers.
func (f *fixture) doChunked(target, body string, headers ...string) answer {
	f.t.Helper()
	r := httptest.NewRequest(http.MethodPost, target, struct{ *strings.Reader }{strings.NewReader(body)})
	require.EqualValues(f.t, -1, r.ContentLength)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return answer{status: w.Code, header: w.Header(), body: w.Body.String()}
}

func TestAnEmptyBodyIsNoneHoweverItIsSent(t *testing.T) {
	f := newFixture(t)
	cancelled := cancelling(f)
	const path = "/v1/orders/o-1/cancellation"
	require.Equal(t, http.StatusOK, f.doChunked(path, "").status)
	require.Equal(t, http.StatusOK, f.doChunked(path, "", "Content-Type", "application/json").status)
	require.Equal(t, http.StatusOK, f.doChunked(path, "", "Content-Type", "application/octet-stream").status)
	require.Equal(t, http.StatusOK, f.doChunked(path, "", "Content-Encoding", "gzip").status)
	require.Equal(t, 4, *cancelled)
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		a := f.doChunked(path, `{"reason":"x"}`, "Content-Type", contentType)
		require.Equal(t, http.StatusUnsupportedMediaType, a.status, contentType)
		a.problem(t)
	}
	require.Equal(t, http.StatusBadRequest, f.doChunked("/v1/orders", "").status, "an order is mandatory")
	require.Equal(t, http.StatusAccepted, f.doChunked("/v1/orders", validOrder, "Content-Type", "application/json").status)
	require.Equal(t, 4, *cancelled)
}

func TestContentTypesOfJSON(t *testing.T) {
	f := newFixture(t)
	for _, contentType := range []string{
		"application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF8", `application/json; charset="utf-8"`,
		"application/json; charset='utf-8'", "application/json; charset=us-ascii", "application/json; charset", "application/json; charset=", "application/json;",
		"application/json; charset=utf-8; charset=utf8", "application/json; profile=x", "application/json; =", "application/json ;charset=utf-8",
	} {
		a := f.do(http.MethodPost, "/v1/orders", validOrder, "Content-Type", contentType)
		require.Equal(t, http.StatusAccepted, a.status, "%q: %s", contentType, a.body)
	}
	for contentType, detail := range map[string]string{
		"":                                 "the content type is missing: send application/json",
		"text/html":                        `content type "text/html" is not supported: send application/json`,
		"json; charset=utf-8":              `content type "json; charset=utf-8" is not supported: send application/json`,
		"application/json, text/plain":     `content type "application/json, text/plain" is not supported: send application/json`,
		"application/json; charset=latin1": `charset "latin1" is not supported: send UTF-8`,
		"application/json; charset=utf-16": `charset "utf-16" is not supported: send UTF-8`,
	} {
		a := f.do(http.MethodPost, "/v1/orders", validOrder, "Content-Type", contentType)
		require.Equal(t, http.StatusUnsupportedMediaType, a.status, contentType)
		require.Equal(t, detail, a.problem(t).Detail)
	}
}

func TestContentEncodingIsRefusedByName(t *testing.T) {
	f := newFixture(t)
	for _, coding := range []string{"gzip", "br", "identity, deflate"} {
		a := f.do(http.MethodPost, "/v1/orders", validOrder, "Content-Encoding", coding)
		require.Equal(t, http.StatusUnsupportedMediaType, a.status, coding)
		last := coding[strings.LastIndexByte(coding, ' ')+1:]
		require.Equal(t, `content encoding "`+last+`" is not supported: send the body without encoding`, a.problem(t).Detail)
		require.Equal(t, "identity", a.header.Get("Accept-Encoding"))
	}
	a := f.do(http.MethodPost, "/v1/orders", validOrder, "Content-Encoding", "Identity")
	require.Equal(t, http.StatusAccepted, a.status)
	require.Empty(t, f.do(http.MethodPost, "/v1/orders", validOrder, "Content-Type", "text/html").header.Get("Accept-Encoding"))
}

func TestAByteOrderMarkIsPassedOver(t *testing.T) {
	f := newFixture(t)
	const mark = "\ufeff"
	require.Equal(t, http.StatusAccepted, f.doChunked("/v1/orders", mark+validOrder, "Content-Type", "application/json").status)
	require.Len(t, f.sagas.placed, 1)
	require.Equal(t, http.StatusBadRequest, f.doChunked("/v1/orders", mark+mark+validOrder, "Content-Type", "application/json").status)
	cancelled := cancelling(f)
	require.Equal(t, http.StatusOK, f.doChunked("/v1/orders/o-1/cancellation", mark, "Content-Type", "application/json").status)
	require.Equal(t, 1, *cancelled)
}

func TestATrailingSlashMeansNothing(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")...)
	f.sagas.cancel = func(_ context.Context, id string, _ order.Cancellation) (saga.CancelAnswer, error) {
		require.Equal(t, "o-1", id)
		return saga.CancelAnswer{Accepted: true}, nil
	}
	for _, path := range []string{
		"/v1/orders", "/v1/orders/o-1", "/v1/orders/o-1/events", "/v1/stock", "/v1/attention", "/v1/dead-letters", "/livez", "/readyz", "/metrics",
		"/openapi.yaml", "/docs", "/schemas/order.accepted/1",
	} {
		require.Equal(t, http.StatusOK, f.do(http.MethodGet, path, "").status, path)
		require.Equal(t, http.StatusOK, f.do(http.MethodGet, path+"/", "").status, path)
	}
	require.Equal(t, http.StatusAccepted, f.do(http.MethodPost, "/v1/orders/", validOrder).status)
	require.Equal(t, http.StatusOK, f.do(http.MethodPost, "/v1/orders/o-1/cancellation/", "").status)
	require.Equal(t, http.StatusCreated, f.do(http.MethodPost, "/v1/stock/tea/receipts/", `{"quantity":1}`).status)
	require.Equal(t, http.StatusFound, f.do(http.MethodGet, "/", "").status)
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/v1/orders/o-9/", "").status)
	require.Contains(t, f.do(http.MethodGet, "/metrics", "").body, `method="GET",route="/v1/orders/{id}/events",status="200"} 2`)
	for _, path := range []string{"/nowhere/", "/v1//orders", "/v1/orders/o-1%2F"} {
		require.Equal(t, http.StatusNotFound, f.doAs("localhost", http.MethodGet, path, "").status, path)
	}
}
