package api

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ordersaga/ordersaga/internal/auth"
)

// Server is the REST API. Call New.
type Server struct {
	cfg     Config
	echo    *echo.Echo
	metrics *metrics
	probes  Probes
	limits  *limits
	// docs is the page of /docs.
	docs []byte
	// corsHeaders are what web pages of CORSOrigins may send.
	corsHeaders string
	// console serves /console; nil without a console.
	console http.Handler

	// streams counts the event streams that are open.
	streams atomic.Int64

	// leaving is set by Leave and by Drain.
	leaving atomic.Bool

	// draining ends with Drain.
	draining context.Context
	drain    context.CancelFunc
}

// New returns a Server. It does no I/O. The error says what is wrong with the configuration.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: c, corsHeaders: corsRequestHeaders}
	var err error
	if s.docs, err = docsPage(); err != nil {
		return nil, err
	}
	err = s.serve(s.routes())
	return s, err
}

// serve makes the Server serve routes, and nothing else.
func (s *Server) serve(routes []route) (err error) {
	c := s.cfg
	s.limits = newLimits(c)
	s.probes = Probes{Ready: s.readiness, Logger: c.Logger}
	if !c.HideMetrics {
		s.probes.Metrics = promhttp.HandlerFor(c.Registry, promhttp.HandlerOpts{})
	}
	s.draining, s.drain = context.WithCancel(context.Background())
	if s.metrics, err = newMetrics(c.Registry, routes); err != nil {
		return err
	}
	if c.Console != nil {
		if s.console, err = c.Console(s); err != nil {
			return err
		}
	}
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.writeError
	e.Use(s.observe, s.recoverPanics, s.protectBrowsers)
	for _, r := range routes {
		e.Add(r.method, r.path, s.guard(r))
	}
	s.echo = e
	return nil
}

// ServeHTTP implements http.Handler. A HEAD is answered as the GET of the same path, whose body net/http leaves
// out; it never opens an event stream. A slash at the end of a path means nothing.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.RequestURI == "*" && r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent) // RFC 9110, 9.3.7: the server answers, no more
		return
	}
	if s.leaving.Load() {
		w.Header().Set(echo.HeaderConnection, "close")
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

// Leave makes /readyz answer 503, and closes each connection after its next answer, so that clients connect to other processes. Everything is
// served as before. It returns at once.
func (s *Server) Leave() { s.leaving.Store(true) }

// Drain does what Leave does, ends event streams, and answers requests that wait for an order's end with the
// order as it is. Everything else is served as before, until the HTTP server is shut down. It returns at once.
func (s *Server) Drain() {
	s.Leave()
	s.drain()
}

func (s *Server) isDraining() bool { return s.draining.Err() != nil }

// route is what is served, and to whom. No route is reached but through guard.
type route struct {
	method, path string
	// scope is what a caller needs; auth.Public is open to everyone.
	scope auth.Scope
	// limited says whether callers that are limited to a customer may use it: its handler shows them that customer's orders only.
	limited bool
	handle  echo.HandlerFunc
}

// Values of route.limited.
const (
	own  = true
	none = false
)

// routes lists what is served; openapi.yaml describes the same.
func (s *Server) routes() []route {
	refunds, returns := s.refundSagas(), s.returnSagas()
	return append(s.consoleRoutes(), []route{
		{http.MethodPost, "/v1/orders", auth.OrdersWrite, own, s.placeOrder},
		{http.MethodGet, "/v1/orders", auth.OrdersRead, own, s.listOrders},
		{http.MethodGet, "/v1/orders/:id", auth.OrdersRead, own, s.getOrder},
		{http.MethodGet, "/v1/orders/:id/events", auth.OrdersRead, own, s.getEvents},
		{http.MethodPost, "/v1/orders/:id/cancellation", auth.OrdersWrite, own, s.cancelOrder},
		{http.MethodPost, "/v1/orders/:id/resolutions", auth.Operate, none, s.resolveOrder},
		{http.MethodPost, "/v1/orders/:id/refunds", auth.RefundsWrite, own, refunds.start},
		{http.MethodGet, "/v1/orders/:id/refunds", auth.OrdersRead, own, refunds.list},
		{http.MethodGet, "/v1/orders/:id/refunds/:refundId", auth.OrdersRead, own, refunds.get},
		{http.MethodGet, "/v1/orders/:id/ledger", auth.OrdersRead, own, s.listLedger},
		{http.MethodPost, "/v1/orders/:id/returns", auth.RefundsWrite, own, returns.start},
		{http.MethodGet, "/v1/orders/:id/returns", auth.OrdersRead, own, returns.list},
		{http.MethodGet, "/v1/orders/:id/returns/:returnId", auth.OrdersRead, own, returns.get},
		{http.MethodPost, "/v1/orders/:id/returns/:returnId/receipts", auth.StockWrite, none, s.receiveReturn},
		{http.MethodGet, "/v1/orders/:id/audit", auth.Audit, none, s.getOrderAudit},
		{http.MethodGet, "/v1/audit/checkpoints", auth.Audit, none, s.listCheckpoints},
		{http.MethodGet, "/v1/audit/checkpoints/:n", auth.Audit, none, s.getCheckpoint},
		{http.MethodGet, "/v1/attention", auth.Operate, none, s.listAttention},

		{http.MethodGet, "/v1/sagas", auth.OrdersRead, none, s.listSagas},
		{http.MethodPost, "/v1/sagas/:flow", auth.SagasWrite, none, s.startSaga},
		{http.MethodGet, "/v1/sagas/:flow/:id", auth.OrdersRead, none, s.getSaga},
		{http.MethodGet, "/v1/sagas/:flow/:id/events", auth.OrdersRead, none, s.getSagaEvents},
		{http.MethodPost, "/v1/sagas/:flow/:id/cancellation", auth.SagasWrite, none, s.cancelSaga},
		{http.MethodPost, "/v1/sagas/:flow/:id/resolutions", auth.Operate, none, s.resolveSaga},

		{http.MethodGet, "/v1/dead-letters", auth.Operate, none, s.listDead},
		{http.MethodGet, "/v1/dead-letters/:id", auth.Operate, none, s.getDead},
		{http.MethodPost, "/v1/dead-letters/:id/replay", auth.Operate, none, s.replayDead},
		{http.MethodPost, "/v1/dead-letters/:id/discard", auth.Operate, none, s.discardDead},

		{http.MethodGet, "/v1/stock", auth.StockRead, none, s.listStock},
		{http.MethodGet, "/v1/stock/:sku", auth.StockRead, none, s.getStock},
		{http.MethodGet, "/v1/stock/:sku/events", auth.StockRead, none, s.getStockEvents},
		{http.MethodPost, "/v1/stock/:sku/receipts", auth.StockWrite, none, s.receiveStock},
		{http.MethodPost, "/v1/stock/:sku/adjustments", auth.StockWrite, none, s.adjustStock},
		{http.MethodPost, "/v1/stock/:sku/counts", auth.StockWrite, none, s.countStock},

		{http.MethodPost, "/v1/webhooks/stripe", auth.Public, none, s.receiveStripe},
		{http.MethodGet, "/v1/reconcile", auth.Operate, none, s.getReconcile},

		{http.MethodGet, "/livez", auth.Public, none, s.probe},
		{http.MethodGet, "/readyz", auth.Public, none, s.probe},
		{http.MethodGet, "/metrics", auth.Public, none, s.probe},
		{http.MethodGet, "/openapi.yaml", auth.Public, none, s.serveSpecification},
		{http.MethodGet, "/asyncapi.yaml", auth.Public, none, s.serveAsyncAPI},
		{http.MethodGet, "/schemas/:type/:version", auth.Public, none, s.serveSchema},
		{http.MethodGet, "/docs", auth.Public, none, s.serveDocs},
		{http.MethodGet, "/docs/:file", auth.Public, none, s.serveDocsFile},
		{http.MethodGet, "/problems/:code", auth.Public, none, s.explainProblem},
		{http.MethodGet, "/", auth.Public, none, s.toStart},
	}...)
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
