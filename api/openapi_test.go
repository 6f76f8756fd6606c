package api_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// specified is the specification and a router over it, read once.
var specified = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Specification)
	if err != nil {
		panic(err)
	}
	router, err := legacy.NewRouter(doc, openapi3.IsOpenAPI31OrLater())
	if err != nil {
		panic(err)
	}
	return doc, router
})

// checkAgainstSpecification holds an answer to the specification, and the specification to a request that was
// served.
func checkAgainstSpecification(t *testing.T, r *http.Request, body string, a answer) {
	t.Helper()
	_, router := specified()
	r = r.Clone(t.Context())
	r.Body = io.NopCloser(strings.NewReader(body))
	// The server reads a plus sign that was not escaped, a router need not.
	r.URL = &url.URL{Path: r.URL.EscapedPath(), RawQuery: strings.ReplaceAll(r.URL.RawQuery, "+", "%2B")}
	route, parameters, err := router.FindRoute(r)
	if err != nil {
		return // a path or a method that is none: there is nothing to hold it to
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	contentType, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if !slices.Contains([]string{"application/json", "application/problem+json"}, contentType) {
		options.ExcludeResponseBody = true
	}
	request := &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters, Route: route, Options: options}
	if a.status < http.StatusBadRequest {
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), request))
	}
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: a.status, Header: a.header,
		Body: io.NopCloser(bytes.NewReader([]byte(a.body))), Options: options,
	}), a.body)
}

func TestSpecificationIsValid(t *testing.T) {
	doc, _ := specified()
	require.NoError(t, doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()))
}

func TestSpecificationHasEveryRouteAndNoOther(t *testing.T) {
	doc, _ := specified()
	var described []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	require.ElementsMatch(t, newFixture(t).server.Routes(), described)
}

func TestSpecificationHasEveryStatus(t *testing.T) {
	doc, _ := specified()
	var described []order.Status
	for _, status := range doc.Components.Schemas["Status"].Value.Enum {
		described = append(described, order.Status(status.(string)))
	}
	require.Equal(t, order.Statuses, described)
}

func TestDocsHaveNoExternalResources(t *testing.T) {
	f := newFixture(t)
	page := f.do(http.MethodGet, "/docs", "")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';")
	require.Contains(t, page.body, `id="problem-cancellation_refused"`)
	require.NotRegexp(t, `(src|href|url)="(https?:)?//`, page.body)
	for _, file := range []string{"rapidoc-min.js", "docs.js", "docs.css"} {
		require.Contains(t, page.body, `"/docs/`+file+`"`)
		require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/docs/"+file, "").status)
	}
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/docs/index.html", "").status)

	require.Equal(t, "/docs", f.do(http.MethodGet, "/", "").header.Get("Location"))
	spec := f.do(http.MethodGet, "/openapi.yaml", "")
	require.Equal(t, string(api.Specification), spec.body)
}

func TestProblemTypesLeadToDocs(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, "/docs#problem-not_found", f.do(http.MethodGet, "/problems/not_found", "").header.Get("Location"))
	require.Equal(t, "not_found", f.do(http.MethodGet, "/problems/made_up", "").problem(t).Code)
}

// Every operation describes the errors that are returned before it gets the request.
func TestSpecificationHasErrorsOfEveryOperation(t *testing.T) {
	doc, _ := specified()
	for path, item := range doc.Paths.Map() {
		if slices.Contains([]string{"/livez", "/readyz", "/metrics"}, path) {
			continue
		}
		for method, operation := range item.Operations() {
			statuses := []int{http.StatusForbidden, http.StatusMisdirectedRequest}
			if scopeIn(operation) != "" {
				statuses = append(statuses, http.StatusUnauthorized, http.StatusTooManyRequests)
			}
			if method == http.MethodPost {
				statuses = append(statuses, http.StatusUnsupportedMediaType)
			}
			for _, status := range statuses {
				require.NotNil(t, operation.Responses.Status(status), "%s %s has no %d", method, path, status)
			}
		}
	}
}
