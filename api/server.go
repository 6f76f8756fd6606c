package api

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// Bounds of a connection, for ConfigureServer.
const (
	// ReadHeaderTimeout is how long a client may take to send its headers.
	ReadHeaderTimeout = 5 * time.Second
	// IdleTimeout is how long a connection may wait for its next request: longer than the usual proxy keeps it,
	// so that it is the proxy who closes.
	IdleTimeout = 120 * time.Second
	// MaxHeaderBytes is the most that a request's headers may take.
	MaxHeaderBytes = 64 << 10
)

// ConfigureServer sets the bounds of an HTTP server for a Server. ReadTimeout and WriteTimeout stay zero: both
// would cut event streams and Prefer: wait; bodies and answers have deadlines of their own.
func ConfigureServer(s *http.Server) {
	s.ReadHeaderTimeout, s.IdleTimeout, s.MaxHeaderBytes = ReadHeaderTimeout, IdleTimeout, MaxHeaderBytes
}

// Server is the REST API. Call New.
type Server struct {
	cfg     Config
	echo    *echo.Echo
	metrics *metrics
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
	s.draining, s.drain = context.WithCancel(context.Background())
	var err error
	if s.metrics, err = newMetrics(c.Registry); err != nil {
		return nil, err
	}
	if s.docs, err = docsPage(); err != nil {
		return nil, err
	}
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.writeError
	e.Use(s.observe, secureHeaders, s.recoverPanics)
	for _, r := range s.routes() {
		e.Add(r.method, r.path, r.handle)
	}
	s.echo = e
	return s, nil
}

// ServeHTTP implements http.Handler. A HEAD is answered as the GET of the same path, whose body net/http leaves
// out; it never opens an event stream.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
		r.Header.Del(echo.HeaderAccept)
	}
	s.echo.ServeHTTP(w, r)
}

// Drain makes /readyz answer 503, ends event streams, and answers those who wait for an order's end with where
// it stands. Everything else is served as before, until the HTTP server is shut down. It returns at once.
func (s *Server) Drain() { s.drain() }

func (s *Server) isDraining() bool { return s.draining.Err() != nil }

// route is a method, a path and who handles it.
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
		{http.MethodGet, "/v1/attention", s.listDesk},

		{http.MethodGet, "/v1/dead-letters", s.listDead},
		{http.MethodGet, "/v1/dead-letters/:id", s.getDead},
		{http.MethodPost, "/v1/dead-letters/:id/replay", s.replayDead},
		{http.MethodPost, "/v1/dead-letters/:id/discard", s.discardDead},

		{http.MethodGet, "/v1/stock", s.listStock},
		{http.MethodGet, "/v1/stock/:sku", s.getStock},
		{http.MethodPost, "/v1/stock/:sku/receipts", s.receiveStock},
		{http.MethodPost, "/v1/stock/:sku/adjustments", s.adjustStock},
		{http.MethodPost, "/v1/stock/:sku/counts", s.countStock},

		{http.MethodGet, "/livez", s.livez},
		{http.MethodGet, "/readyz", s.readyz},
		{http.MethodGet, "/metrics", s.serveMetrics},
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
