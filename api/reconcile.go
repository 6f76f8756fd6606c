package api

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
)

// ReconcileReport is the result of a check of what must hold, which runs on a schedule.
type ReconcileReport struct {
	// Status is completed or failed.
	Status             string
	StartedAt, EndedAt time.Time
	Violations         int
	Repaired           int
	Notes              int
	Orders             int
	Streams            int
	SKUs               int
	Payments           int
	Findings           []ReconcileFinding
}

// ReconcileFinding is a violation, or a note.
type ReconcileFinding struct {
	Kind     string `json:"kind"`
	Subject  string `json:"subject"`
	Detail   string `json:"detail"`
	Repair   string `json:"repair"`
	Repaired bool   `json:"repaired"`
	Note     bool   `json:"note"`
}

type reconcileResource struct {
	Status     string             `json:"status"`
	StartedAt  null.Time          `json:"startedAt"`
	EndedAt    null.Time          `json:"endedAt"`
	Violations int                `json:"violations"`
	Repaired   int                `json:"repaired"`
	Notes      int                `json:"notes"`
	Orders     int                `json:"orders"`
	Streams    int                `json:"streams"`
	SKUs       int                `json:"skus"`
	Payments   int                `json:"payments"`
	Findings   []ReconcileFinding `json:"findings"`
}

// getReconcile answers with the last check of the schedule that has ended.
func (s *Server) getReconcile(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	return answer(s, c, func(r ReconcileReport) reconcileResource {
		return reconcileResource{
			r.Status, null.At(r.StartedAt), null.At(r.EndedAt), r.Violations, r.Repaired, r.Notes, r.Orders, r.Streams, r.SKUs, r.Payments,
			append([]ReconcileFinding{}, r.Findings...),
		}
	}, func(ctx context.Context) (ReconcileReport, error) {
		if s.cfg.LastReconcile == nil {
			return ReconcileReport{}, fault.New(fault.NotFound, "there is no reconcile schedule")
		}
		return s.cfg.LastReconcile(ctx)
	})
}
