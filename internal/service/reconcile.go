package service

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/metrics"
	"github.com/ordersaga/ordersaga/internal/reconcile"
)

// Reconcile runs the check of what must hold, as a command.
func (s *Service) Reconcile(ctx context.Context, o reconcile.Options) (report reconcile.Report, err error) {
	if s.participants, err = newParticipants(s.cfg, s.stores, nil, s.logger); err != nil {
		return report, err
	}
	defer s.closeParticipants()
	r, err := s.reconciler()
	if err != nil {
		return report, err
	}
	return r.Run(ctx, o)
}

func (s *Service) reconciler() (*reconcile.Reconciler, error) {
	cfg := reconcile.Config{
		Flows: s.checkedFlows(), List: s.stores.orders, FlowList: s.stores.sagas, Log: s.stores.raw, Shortages: s.sagas, Gateway: s.gateway,
		Clock: time.Now, Logger: s.logger,
	}
	if s.warehouse != nil {
		cfg.Warehouse = s.warehouse
	}
	return reconcile.New(cfg)
}

// shownFindings bounds how many findings a workflow's result carries.
const shownFindings = 50

// scheduled makes the check what its activity needs.
type scheduled struct {
	*reconcile.Reconciler
	metrics *metrics.Reconcile
}

func (s scheduled) Reconcile(ctx context.Context, in activities.ReconcileInput, progress func(int)) (activities.ReconcileResult, error) {
	report, err := s.Run(ctx, reconcile.Options{
		Repair: in.Repair, Stale: in.Stale, Since: in.Since, Now: in.Now, Progress: func(c reconcile.Counts) { progress(c.Streams) },
	})
	if err != nil {
		return activities.ReconcileResult{}, fault.Wrap(err, fault.CodeOf(err), "reconcile")
	}
	s.metrics.Done(report, time.Now())
	result := activities.ReconcileResult{
		Violations: report.Violations + report.Unlisted, Repaired: report.Repaired, Notes: report.Notes, Orders: report.Orders,
		Streams: report.Streams, SKUs: report.SKUs, Payments: report.Payments, TookMillis: report.TookMillis,
	}
	for _, f := range report.Findings[:min(len(report.Findings), shownFindings)] {
		result.Findings = append(result.Findings, activities.ReconcileFinding{
			Kind: string(f.Kind), Subject: f.Subject, Detail: f.Detail, Repair: f.Repair, Repaired: f.Repaired, Note: f.Note,
		})
	}
	return result, nil
}
