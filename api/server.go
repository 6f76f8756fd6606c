package api

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server is the REST API. Call New.
type Server struct {
	cfg     Config
	echo    *echo.Echo
	metrics *metrics
	probes  Probes
	// docs is the page of /docs.
	docs []byte

	// streams counts the event streams that are open.
	streams atomic.Int64

	// draining ends with Drain.
	draining context.Context
	drain    context.CancelFunc
}

// New returns a Server. It does no I/O. The error says what is wrong with the configuration.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: c}
	s.probes = Probes{Ready: s.readiness, Metrics: promhttp.HandlerFor(c.Registry, promhttp.HandlerOpts{}), Logger: c.Logger}
	s.draining, s.drain = context.WithCancel(context.Background())
	var err error
	if s.metrics, err = newMetrics(c.Registry, s.routes()); err != nil {
		return nil, err
	}
	if s.docs, err = docsPage(); err != nil {
		return nil, err
	}
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.writeError
	e.Use(s.observe, s.recoverPanics, s.protectBrowsers)
	for _, r := range s.routes() {
		e.Add(r.method, r.path, r.handle)
	}
	s.echo = e
	return s, nil
}

// ServeHTTP implements http.Handler. A HEAD is answered as the GET of the same path, whose body net/http leaves
// out; it never opens an event stream. A slash at the end of a path means nothing.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.RequestURI == "*" && r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent) // RFC 9110, 9.3.7: the server answers, no more
		return
	}
	r = withoutTrailingSlash(r)
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
		r.Header.Del(echo.HeaderAccept)
	}
	s.echo.ServeHTTP(w, r)
}

// withoutTrailingSlash returns the request, or one whose path does not end with a slash.
func withoutTrailingSlash(r *http.Request) *http.Request {
	path, found := strings.CutSuffix(r.URL.Path, "/")
	if !found || path == "" || r.URL.RawPath != "" && !strings.HasSuffix(r.URL.RawPath, "/") {
		return r
	}
	trimmed := *r.URL
	trimmed.Path, trimmed.RawPath = path, strings.TrimSuffix(trimmed.RawPath, "/")
	r = r.WithContext(r.Context())
	r.URL = &trimmed
	return r
}

// Drain makes /readyz answer 503, ends event streams, and answers requests that wait for an order's end with the
// order as it is. Everything else is served as before, until the HTTP server is shut down. It returns at once.
func (s *Server) Drain() { s.drain() }

func (s *Server) isDraining() bool { return s.draining.Err() != nil }

type route struct {
	method, path string
	handle       echo.HandlerFunc
}

// routes lists what is served; openapi.yaml describes the same.
func (s *Server) routes() []route {
	return []route{
		{http.MethodPost, "/v1/orders", s.placeOrder},
		{http.MethodGet, "/v1/orders", s.listOrders},
		{http.MethodGet, "/v1/orders/:id", s.getOrder},
		{http.MethodGet, "/v1/orders/:id/events", s.getEvents},
		{http.MethodPost, "/v1/orders/:id/cancellation", s.cancelOrder},
		{http.MethodPost, "/v1/orders/:id/resolutions", s.resolveOrder},
		{http.MethodGet, "/v1/attention", s.listAttention},

		{http.MethodGet, "/v1/sagas", s.listSagas},
		{http.MethodPost, "/v1/sagas/:flow", s.startSaga},
		{http.MethodGet, "/v1/sagas/:flow/:id", s.getSaga},
		{http.MethodGet, "/v1/sagas/:flow/:id/events", s.getSagaEvents},
		{http.MethodPost, "/v1/sagas/:flow/:id/cancellation", s.cancelSaga},
		{http.MethodPost, "/v1/sagas/:flow/:id/resolutions", s.resolveSaga},

		{http.MethodGet, "/v1/dead-letters", s.listDead},
		{http.MethodGet, "/v1/dead-letters/:id", s.getDead},
		{http.MethodPost, "/v1/dead-letters/:id/replay", s.replayDead},
		{http.MethodPost, "/v1/dead-letters/:id/discard", s.discardDead},

		{http.MethodGet, "/v1/stock", s.listStock},
		{http.MethodGet, "/v1/stock/:sku", s.getStock},
		{http.MethodPost, "/v1/stock/:sku/receipts", s.receiveStock},
		{http.MethodPost, "/v1/stock/:sku/adjustments", s.adjustStock},
		{http.MethodPost, "/v1/stock/:sku/counts", s.countStock},

		{http.MethodGet, "/livez", s.probe},
		{http.MethodGet, "/readyz", s.probe},
		{http.MethodGet, "/metrics", s.probe},
		{http.MethodGet, "/openapi.yaml", s.serveSpecification},
		{http.MethodGet, "/asyncapi.yaml", s.serveAsyncAPI},
		{http.MethodGet, "/schemas/:type/:version", s.serveSchema},
		{http.MethodGet, "/docs", s.serveDocs},
		{http.MethodGet, "/problems/:code", s.explainProblem},
		{http.MethodGet, "/", s.toDocs},
	}
}

// pathOf writes a route in the way of OpenAPI: /v1/orders/{id}.
func pathOf(route string) string {
	segments := strings.Split(route, "/")
	for i, segment := range segments {
		if name, isParameter := strings.CutPrefix(segment, ":"); isParameter {
			segments[i] = "{" + name + "}"
		}
	}
	return strings.Join(segments, "/")
}
