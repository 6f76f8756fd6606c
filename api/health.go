package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

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

// ReadinessOf turns the outcome of looking at the dependencies into an answer and its HTTP status.
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

// probe answers /livez, /readyz and /metrics.
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
	if s.isDraining() {
		r.Status, status = "draining", http.StatusServiceUnavailable
	}
	return r, status
}
