package service

import (
	"context"
	"net/http"

	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/console"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// console makes the pages of operators out of the REST API.
func (s *Service) console(by auth.Authenticator) func(rest http.Handler) (http.Handler, error) {
	return func(rest http.Handler) (http.Handler, error) {
		var flows []saga.Info
		for _, f := range s.tables() {
			flows = append(flows, f.Info())
		}
		return console.New(console.Config{REST: rest, Auth: by, Keys: s.cfg.ConsoleKeys, Flows: flows})
	}
}

// lastReconcile returns the last check of the schedule that has ended. Errors: NotFound when there is none, Unavailable.
func lastReconcile(ctx context.Context, temporal client.Client) (api.ReconcileReport, error) {
	run, err := workers.LastReconcile(ctx, temporal)
	if err != nil {
		return api.ReconcileReport{}, err
	}
	report := api.ReconcileReport{
		Status: run.Status, StartedAt: run.StartedAt, EndedAt: run.EndedAt, Violations: run.Result.Violations, Repaired: run.Result.Repaired, Notes: run.Result.Notes,
		Orders: run.Result.Orders, Streams: run.Result.Streams, SKUs: run.Result.SKUs, Payments: run.Result.Payments, Findings: []api.ReconcileFinding{},
	}
	for _, f := range run.Result.Findings {
		report.Findings = append(report.Findings, api.ReconcileFinding(f))
	}
	return report, nil
}
