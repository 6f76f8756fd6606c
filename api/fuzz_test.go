package api_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// FuzzBodies: every body is decoded, or refused as Malformed or Invalid with a place; a body that is not JSON is never accepted.
func FuzzBodies(f *testing.F) {
	names := slices.Sorted(maps.Keys(api.BodyDecoders))
	for i := range names {
		for _, seed := range []string{
			`{}`, `[]`, `{"quantity":1,"note":"a"}`, `{"counted":9007199254740993}`, `{"quantity":1e309}`, `{"action":"skip","attention":0,"by":"../a","note":"\u202e"}`,
			`{"reason":"\ud800"}`, `{"note":"a","note":"b"}`, `{"body":{"a":[[[[]]]]},"force":1}`, `{"body":"\u0000","dryRun":true}`, "\ufeff{}",
		} {
			f.Add(uint8(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		name := names[int(which)%len(names)]
		err := api.BodyDecoders[name](body)
		switch {
		case err == nil && len(body) > 0 && !json.Valid(body):
			t.Fatalf("%s: %q is not JSON, and was accepted", name, body)
		case err == nil:
		case !errors.Is(err, fault.Malformed) && !errors.Is(err, fault.Invalid):
			t.Fatalf("%s: error without its code: %v", name, err)
		case len(fault.FieldsOf(err)) == 0:
			t.Fatalf("%s: error without a place: %v", name, err)
		}
	})
}

// FuzzQuery: any query, path parameter and header is answered, and never with an internal error.
func FuzzQuery(f *testing.F) {
	paths := []string{"/v1/orders", "/v1/orders/", "/v1/attention", "/v1/sagas", "/v1/dead-letters", "/v1/dead-letters/", "/v1/stock", "/v1/stock/", "/schemas/order.accepted/", "/problems/"}
	for i := range paths {
		for _, seed := range []string{
			"", "limit=0&limit=1", "cursor=~AA", "cursor=ZC4xLm8", "from=2026-01-01T00:00:00+01:00", "status=a,,b&status=", "%zz", "id=%00", "needsAttention=maybe", "at=now",
		} {
			f.Add(uint8(i), "o-1", seed, "1")
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, name, query, header string) {
		server := newFixture(t).server
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
		path := paths[int(which)%len(paths)]
		r.URL = &url.URL{Path: path, RawQuery: query}
		if path[len(path)-1] == '/' {
			r.URL.Path, r.URL.RawPath = path+name, path+url.PathEscape(name)
		}
		for _, h := range []string{"Last-Event-ID", "Prefer", "Accept", "If-None-Match", "X-Correlation-Id", "Traceparent", "Origin"} {
			r.Header.Set(h, header)
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError || w.Code == 0 {
			t.Fatalf("%s?%s: %d %s", r.URL.Path, query, w.Code, w.Body)
		}
	})
}
