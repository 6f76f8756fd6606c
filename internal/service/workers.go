package service

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"

	"go.temporal.io/api/serviceerror"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func (s *Service) startWorkers(ctx context.Context) (err error) {
	reconciler, err := s.reconciler()
	if err != nil {
		return err
	}
	flows, err := s.flows()
	if err != nil {
		return err
	}
	s.moveLate(ctx)
	cfg := workers.Config{
		Client: s.temporal, Queues: s.cfg.WorkerQueues, Added: s.ownQueues(), Grace: workerGrace(s.cfg.ShutdownGrace),
		Concurrency: s.cfg.WorkerConcurrency, Cache: s.cfg.WorkerCache,
		Deployment: s.cfg.WorkerDeployment, BuildID: cmp.Or(s.cfg.WorkerBuildID, s.version),
		OnFatal: func(err error) {
			select {
			case s.fatal <- err:
			default:
			}
		},
		Flows:          flows,
		Reconciliation: &activities.Reconciliation{Reconciler: scheduled{reconciler, s.checkMetrics}}, Checkpoints: s.checkpoints(),
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
		err = await(ctx, s.logger, dependency{"temporal", s.cfg.TemporalAddress, "TEMPORAL_ADDRESS, TEMPORAL_TLS_*"}, launch)
	}
	if err != nil || !slices.Contains(s.cfg.WorkerQueues, saga.QueueOrders) {
		return err
	}
	s.schedule(ctx, "reconcile", func(ctx context.Context) error {
		return workers.ScheduleReconcile(ctx, s.temporal, s.cfg.ReconcileEvery, s.cfg.ReconcileRepair)
	})
	// Without a key, another process may have it.
	if s.cfg.AuditSigner.Configured() {
		s.schedule(ctx, "audit checkpoint", func(ctx context.Context) error { return workers.ScheduleCheckpoints(ctx, s.temporal, s.cfg.AuditEvery) })
	}
	return nil
}

// ownQueues are the task queues of added flows that are none of the service's. A process works on them if it works on that of orders: one of a
// binary without the flow leaves its sagas there, for a process that has it.
func (s *Service) ownQueues() (queues []string) {
	if !slices.Contains(s.cfg.WorkerQueues, saga.QueueOrders) {
		return nil
	}
	for _, f := range s.added {
		for _, q := range f.Info().Queues {
			if !slices.Contains(workers.Queues, q) && !slices.Contains(queues, q) {
				queues = append(queues, q)
			}
		}
	}
	return queues
}

// schedule creates a schedule. Orders do not wait for it: what fails is retried in the background.
func (s *Service) schedule(ctx context.Context, name string, create func(ctx context.Context) error) {
	err := create(ctx)
	if err == nil {
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelError, name+" schedule not created yet", slog.Any("error", err))
	s.retries.start(ctx, func(ctx context.Context) {
		_ = await(ctx, s.logger, dependency{"temporal, for the " + name + " schedule", s.cfg.TemporalAddress, "TEMPORAL_ADDRESS"}, create)
	})
}

// unreachable reports whether Temporal did not answer, or not in time.
func unreachable(err error) bool {
	var unavailable *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	return errors.As(err, &unavailable) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
}
