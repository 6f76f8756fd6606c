package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryResponseHasCacheControl(t *testing.T) {
	f := newFixture(t)
	f.append("o-1", timeline("o-1")...)
	for path, want := range map[string]string{
		"/openapi.yaml": "no-cache", "/asyncapi.yaml": "no-cache", "/docs": "no-cache", "/schemas/order.accepted/1": "no-cache",
		"/": "no-store", "/problems/invalid": "no-store", "/metrics": "no-store", "/livez": "no-store", "/readyz": "no-store",
		"/v1/orders": "no-store", "/v1/orders/o-1": "no-store", "/v1/orders/o-1/events": "no-store", "/v1/stock": "no-store",
		"/v1/orders/o-9": "no-store", "/nowhere": "no-store",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			if a := f.do(method, path, ""); method != http.MethodOptions {
				require.Equal(t, want, a.header.Get("Cache-Control"), "%s %s", method, path)
			} else {
				require.Equal(t, "no-store", a.header.Get("Cache-Control"), "%s %s", method, path)
			}
		}
	}
}

func TestDocumentsAreRevalidated(t *testing.T) {
	f := newFixture(t)
	tags := make(map[string]bool)
	for _, path := range []string{"/openapi.yaml", "/asyncapi.yaml", "/docs", "/schemas/order.accepted/1", "/schemas/order.completed/1"} {
		a := f.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, a.status, path)
		tag := a.header.Get("ETag")
		require.Regexp(t, `^"[0-9a-f]{32}"$`, tag)
		tags[tag] = true
		for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			a = f.do(http.MethodGet, path, "", "If-None-Match", known)
			require.Equal(t, http.StatusNotModified, a.status, "%s %s", path, known)
			require.Empty(t, a.body)
			require.Equal(t, tag, a.header.Get("ETag"))
		}
		require.Equal(t, http.StatusOK, f.do(http.MethodGet, path, "", "If-None-Match", `"other"`).status)
	}
	require.Len(t, tags, 5)
}

func TestMetricsHaveNoLabelsThatClientsChoose(t *testing.T) {
	f := newFixture(t)
	for i := range 6 {
		name := fmt.Sprintf("made-up-%d", i)
		for _, path := range []string{
			"/" + name, "/v1/" + name, "/v1/orders/" + name, "/v1/orders/" + name + "/events", "/v1/orders/o/" + name, "/v1/stock/" + name + "/receipts",
			"/v1/stock/" + name + "/x/y", "/schemas/" + name + "/" + name, "/problems/" + name, "//" + name, "/v1/orders/" + name + "/", "/docs/" + name,
		} {
			for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS", "HEAD", "PURGE", strings.ToUpper(name)} {
				f.doAs("localhost", method, path, "")
			}
			f.doAs(name+".example", "GET", path, "")
			f.doAs("localhost", "POST", path, "", "Origin", "https://"+name+".example")
		}
	}
	metrics := f.do(http.MethodGet, "/metrics", "").body
	require.NotContains(t, strings.ToLower(metrics), "made-up")
	routes := []string{"none"}
	for _, route := range f.server.Routes() {
		_, path, _ := strings.Cut(route, " ")
		routes = append(routes, path)
	}
	series := regexp.MustCompile(`ordersaga_http_requests_total\{method="([^"]*)",route="([^"]*)",status="([^"]*)"\}`).FindAllStringSubmatch(metrics, -1)
	require.NotEmpty(t, series)
	for _, s := range series {
		require.True(t, slices.Contains([]string{"GET", "POST", "DELETE", "OPTIONS", "other"}, s[1]), s[0])
		require.True(t, slices.Contains(routes, s[2]), s[0])
	}
	require.Contains(t, metrics, `route="none",status="404"`)
	require.Contains(t, metrics, `route="none",status="421"`)
	require.NotContains(t, f.output.String(), `"route":"/v1/made-up`)
}
