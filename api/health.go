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

// readiness is the answer of /readyz.
type readiness struct {
	// Status is ready, not_ready or draining.
	Status string       `json:"status"`
	Checks []checkState `json:"checks"`
}

type checkState struct {
	Name string `json:"name"`
	// Status is ok or failing.
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// livez is GET /livez: the process answers. It says nothing about dependencies: a restart would not mend them.
func (s *Server) livez(c echo.Context) error {
	return writeJSON(c, http.StatusOK, map[string]string{"status": "alive"})
}

// readyz is GET /readyz: 200 when every dependency answers and the server does not drain, else 503.
func (s *Server) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	r := readiness{Status: "ready", Checks: []checkState{}}
	for _, check := range s.cfg.Ready(ctx) {
		state := checkState{Name: check.Name, Status: "ok"}
		if check.Err != nil {
			state.Status, state.Detail, r.Status = "failing", fault.SafeMessage(check.Err), "not_ready"
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a dependency is not ready",
				slog.String("dependency", check.Name), slog.Any("error", check.Err))
		}
		r.Checks = append(r.Checks, state)
	}
	if s.isDraining() {
		r.Status = "draining"
	}
	status := http.StatusOK
	if r.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(c, status, r)
}
