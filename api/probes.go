package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// readyTimeout bounds a look at the dependencies: shorter than the patience of the usual prober.
const readyTimeout = 3 * time.Second

// Readiness is the answer of /readyz.
type Readiness struct {
	// Status is ready, not_ready, starting or draining.
	Status string  `json:"status"`
	Checks []Check `json:"checks"`
}

// ReadinessOf turns the results of the dependency checks into an answer and its HTTP status.
func ReadinessOf(checks []Check) (Readiness, int) {
	r, status := Readiness{Status: "ready", Checks: []Check{}}, http.StatusOK
	for _, check := range checks {
		check.Status = "ok"
		if check.Err != nil {
			check.Status, check.Detail = "failing", fault.SafeMessage(check.Err)
			if !check.Optional {
				r.Status, status = "not_ready", http.StatusServiceUnavailable
			}
		}
		r.Checks = append(r.Checks, check)
	}
	return r, status
}

func (s *Server) probe(c echo.Context) error {
	s.probes.answer(c.Response(), c.Request())
	return nil
}

// readiness is 200 when every dependency answers and the server does not drain, else 503.
func (s *Server) readiness(ctx context.Context) (Readiness, int) {
	checks := s.cfg.Ready(ctx)
	for _, check := range checks {
		if check.Err != nil {
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a dependency is not ready",
				slog.String("dependency", check.Name), slog.Any("error", check.Err))
		}
	}
	r, status := ReadinessOf(checks)
	if s.leaving.Load() {
		r.Status, status = "draining", http.StatusServiceUnavailable
	}
	return r, status
}

// Probes answers what an orchestrator asks of a process that does not serve the API, or not yet: /livez, /readyz and
// /metrics, as a Server does. Every other request is answered with a problem. All fields but Starting and Metrics are mandatory.
type Probes struct {
	// Ready is the answer to /readyz, and its HTTP status. Its context is bounded.
	Ready func(ctx context.Context) (Readiness, int)
	// Metrics answers /metrics; nil where it is served on another address.
	Metrics http.Handler
	// Starting reports that the process will serve the API: requests for anything else are answered Unavailable, not NotFound.
	Starting bool
	Logger   *slog.Logger
}

// ServeHTTP implements http.Handler.
func (p Probes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	setAnswerHeaders(h)
	correlationID := r.Header.Get(headerCorrelationID)
	if !isVisible(correlationID, maxCorrelationID) {
		correlationID = uuid.NewString()
	}
	h.Set(headerCorrelationID, correlationID)
	r = withoutTrailingSlash(r)
	isProbe := slices.Contains(probePaths, r.URL.Path)
	switch {
	case isProbe && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		p.answer(w, r)
	case isProbe:
		h.Set(echo.HeaderAllow, "GET, HEAD")
		p.writeProblem(w, correlationID, fault.New(fault.MethodNotAllowed, "the Allow header lists the methods of this path"))
	case p.Starting:
		p.writeProblem(w, correlationID, fault.New(fault.Unavailable, "the service is starting"))
	default:
		p.writeProblem(w, correlationID, fault.New(fault.NotFound, "this process does not serve the API, only /livez, /readyz and /metrics"))
	}
}

// answer answers a request of one of the probePaths.
func (p Probes) answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/livez":
		// It does not check dependencies: a restart would not repair them.
		p.write(w, echo.MIMEApplicationJSON, http.StatusOK, map[string]string{"status": "alive"})
	case "/readyz":
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		readiness, status := p.Ready(ctx)
		if p.Starting {
			readiness.Status, status = "starting", http.StatusServiceUnavailable
			w.Header().Set(echo.HeaderRetryAfter, "1")
		}
		p.write(w, echo.MIMEApplicationJSON, status, readiness)
	case "/metrics":
		if p.Metrics == nil {
			p.writeProblem(w, w.Header().Get(headerCorrelationID), fault.New(fault.NotFound, "/metrics is served on METRICS_ADDR"))
			return
		}
		p.Metrics.ServeHTTP(w, r)
	}
}

func (p Probes) writeProblem(w http.ResponseWriter, correlationID string, err error) {
	problem := problemOf(err)
	problem.CorrelationID = correlationID
	if problem.Status == http.StatusServiceUnavailable {
		w.Header().Set(echo.HeaderRetryAfter, "1")
	}
	p.write(w, problemType, problem.Status, problem)
}

func (p Probes) write(w http.ResponseWriter, contentType string, status int, value any) {
	body, err := encodeJSON(value)
	if err == nil {
		w.Header().Set(echo.HeaderContentType, contentType)
		w.WriteHeader(status)
		_, err = w.Write(body)
	}
	if err != nil {
		p.Logger.LogAttrs(context.Background(), slog.LevelDebug, "write an answer", slog.Any("error", err))
	}
}
