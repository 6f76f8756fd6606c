package service

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows"
)

func (s *Service) startWorkers(ctx context.Context) (err error) {
	reconciler, err := s.reconciler()
	if err != nil {
		return err
	}
	notices, err := s.noticeActivities()
	if err != nil {
		return err
	}
	publisher := recordPublisher(s.publisher.PublishRecords)
	recorder := &activities.Recorder{
		Log: s.stores.log, Publisher: publisher, ReadModel: projection{s.stores.orders}, Clock: time.Now, Logger: s.logger,
	}
	cfg := workers.Config{
		Client: s.temporal, Queues: s.cfg.WorkerQueues, Grace: workerGrace(s.cfg.ShutdownGrace),
		Concurrency: s.cfg.WorkerConcurrency, Cache: s.cfg.WorkerCache,
		OnFatal: func(err error) {
			select {
			case s.fatal <- err:
			default:
			}
		},
		Outcomes:  &activities.Outcomes{Recorder: recorder, Timing: s.cfg.Timing, InlinePayment: s.gateway.Traits().Fast, Predecessors: s.sagas},
		Inventory: &activities.Inventory{Recorder: recorder, Stock: s.stores.ledger},
		Payment:   &activities.Payment{Recorder: recorder, Gateway: s.gateway},
		LateMoney: &activities.LateMoney{
			Log: s.stores.log, Gateway: s.gateway, Desk: lateDesk{s.stores.late}, Patience: s.cfg.Timing.Attention, Clock: time.Now,
		},
		Customers:      &activities.Customers{Log: s.stores.log, Publisher: publisher, Welcome: s.notifies()},
		Notices:        notices,
		Reconciliation: &activities.Reconciliation{Reconciler: scheduled{reconciler}},
		Shortages:      &activities.Shortages{Log: s.stores.log, Stock: s.stores.ledger, Orders: s.sagas},
	}
	// New workers each time: those whose start has failed cannot be started again.
	launch := func(context.Context) (err error) {
		if s.workers, err = workers.New(cfg); err != nil {
			return err
		}
		return s.workers.Start()
	}
	if err = launch(ctx); unreachable(err) {
		// Temporal answered a moment ago: it is waited for as at first.
		err = await(ctx, s.logger, "temporal", s.cfg.TemporalAddress, launch)
	}
	if err != nil || !slices.Contains(s.cfg.WorkerQueues, workflows.QueueOrders) {
		return err
	}
	s.scheduleReconcile(ctx)
	return nil
}

// scheduleReconcile creates the schedule of reconcile. Orders do not wait for it: what fails is tried again in the background.
func (s *Service) scheduleReconcile(ctx context.Context) {
	schedule := func(ctx context.Context) error {
		return workers.ScheduleReconcile(ctx, s.temporal, s.cfg.ReconcileEvery, s.cfg.ReconcileRepair)
	}
	err := schedule(ctx)
	if err == nil {
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "reconcile schedule not created yet", slog.Any("error", err))
	s.retries.start(ctx, func(ctx context.Context) {
		_ = await(ctx, s.logger, "temporal, for the schedule of the check", s.cfg.TemporalAddress, schedule)
	})
}

// unreachable reports whether Temporal did not answer, or not in time.
func unreachable(err error) bool {
	var unavailable *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	return errors.As(err, &unavailable) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
}
