package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// phase is a part of a shutdown. The phases come one after the other, and share SHUTDOWN_GRACE.
type phase int

const (
	// intake ends what lets work in: requests and messages that are being handled are finished.
	intake phase = iota
	// working ends the workers: activities that are running are finished.
	working
	// closing sends what is on its way to the broker, and closes connections.
	closing
	phases
)

// maxClosing is the most that closing gets: nothing waits there for people or other services.
const maxClosing = 5 * time.Second

// drainPlan is when the phases end, counted from the beginning of the shutdown.
type drainPlan [phases]time.Duration

// planDrain shares the time: what a phase leaves goes to the next. Intake and workers get equal shares.
func planDrain(grace time.Duration) drainPlan {
	last := min(maxClosing, grace/6)
	return drainPlan{intake: (grace - last) / 2, working: grace - last, closing: grace}
}

// slack is the part of a phase's time in which its steps are expected to return although they are not done: their contexts have
// ended, and unhandled messages return to their queues.
func slack(grace time.Duration) time.Duration { return min(grace/20, time.Second) }

// workerGrace is how long a worker lets its activities run before it ends their contexts: its share, less what they need then.
func workerGrace(grace time.Duration) time.Duration {
	plan := planDrain(grace)
	return plan[working] - plan[intake] - slack(grace)
}

type drainStep struct {
	name  string
	phase phase
	// stop returns when it has ended, soon after its context has.
	stop func(ctx context.Context) error
}

// drain takes the steps in their order, and returns after grace at the latest, whatever they do. A step that does not return in
// time is abandoned. The error names every step that failed or was abandoned.
func drain(ctx context.Context, grace time.Duration, steps []drainStep) error {
	began := time.Now()
	plan, extra := planDrain(grace), slack(grace)
	var failed []error
	for _, s := range steps {
		end := began.Add(plan[s.phase])
		if err := s.run(ctx, end.Add(-extra), end); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(failed...)
}

var errNotStopped = errors.New("it did not end in time")

// run runs the step with a context that ends at a deadline, and waits for it until the end.
func (s drainStep) run(ctx context.Context, deadline, end time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop(ctx) }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(time.Until(end)):
		return errNotStopped
	}
}

// leave serves the API for SHUTDOWN_DELAY while /readyz says that the process is stopping: a load balancer sends requests until it has noticed.
func (s *Service) leave() {
	if s.api == nil || s.cfg.ShutdownDelay == 0 {
		return
	}
	s.logger.LogAttrs(context.Background(), slog.LevelInfo, "stopping: not ready any more, requests are served", slog.Int64("delay_ms", s.cfg.ShutdownDelay.Milliseconds()))
	s.api.Leave()
	<-time.After(s.cfg.ShutdownDelay)
}

// close drains and ends everything within SHUTDOWN_GRACE, in the order of dependence: first what lets work in.
func (s *Service) close() {
	ctx := context.Background()
	if err := drain(ctx, s.cfg.ShutdownGrace, s.drainSteps()); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "not everything drained in time", slog.Any("error", err))
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "ended")
}

func (s *Service) drainSteps() []drainStep {
	var steps []drainStep
	add := func(name string, p phase, started bool, stop func(ctx context.Context) error) {
		if started {
			steps = append(steps, drainStep{name, p, stop})
		}
	}
	// quick is for what ends at once.
	quick := func(stop func()) func(context.Context) error {
		return func(context.Context) error { stop(); return nil }
	}
	add("api", intake, s.api != nil, quick(func() { s.api.Drain() }))
	add("http", intake, s.http != nil, func(ctx context.Context) error { return s.http.shutdown(ctx) })
	add("completion listener", intake, s.stopCompletions != nil, quick(s.stopCompletions))
	add("consumer", intake, s.consumer != nil, func(ctx context.Context) error { return s.consumer.Stop(ctx) })
	add("dead letters", intake, s.letters != nil, func(ctx context.Context) error { return s.letters.Stop(ctx) })
	add("expiry of dead letters", intake, s.stopExpiry != nil, quick(s.stopExpiry))
	add("notifications", intake, s.notices != nil, func(ctx context.Context) error { return s.notices.Stop(ctx) })
	add("retries", intake, s.temporal != nil, quick(s.retries.stop))
	add("workers", working, s.workers != nil, quick(func() { s.workers.Stop() }))
	add("publisher", closing, s.publisher != nil, func(ctx context.Context) error { return s.publisher.Stop(ctx) })
	add("temporal", closing, s.temporal != nil, quick(func() { s.temporal.Close() }))
	add("participants", closing, s.payments != nil || s.warehouse != nil, quick(s.closeParticipants))
	add("mongodb", closing, s.stores != nil, func(ctx context.Context) error { s.stores.close(ctx); return nil })
	add("metrics", closing, s.metrics != nil, func(context.Context) error { return s.metrics.Close() })
	add("traces", closing, s.tracing != nil, func(ctx context.Context) error { return s.tracing.Stop(ctx) })
	add("profiler", closing, s.debug != nil, func(context.Context) error { return s.debug.Close() })
	return steps
}
