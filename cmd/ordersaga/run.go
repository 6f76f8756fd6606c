package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/broker"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows"
)

// roles say what a process does.
type roles struct{ api, worker, consumer bool }

// service is a running process: its dependencies, and what it runs.
type service struct {
	cfg      config.Config
	roles    roles
	logger   *slog.Logger
	registry *prometheus.Registry

	stores    *stores
	gateway   payment.Gateway
	temporal  client.Client
	publisher *broker.Publisher
	// busMetrics are shared by everything that is connected to the broker.
	busMetrics *broker.Metrics
	sagas      *sagaclient.Client

	attributes *attributeRegistration
	workers    *workers.Workers
	// giveUpSchedule ends the attempts to schedule the check; nil when there are none.
	giveUpSchedule func()

	consumer *broker.Consumer
	keeper   *broker.Consumer
	// announcer consumes the events that customers hear of; nil when they are not notified.
	announcer *broker.Consumer
	// ends is nil where sagas run, or nobody waits.
	ends *ends
	api  *api.Server
	http *listener
	// debug is Go's profiler; nil when it is off.
	debug *http.Server
	// fatal gets the error of a worker that has given up.
	fatal chan error
}

// publisherGrace is how long the publisher of a command may wait for confirms when the command ends.
const publisherGrace = 5 * time.Second

// localPoll is how soon a stream is looked at for what other processes append, where most of it is appended in this one.
const localPoll = 250 * time.Millisecond

// gcPercent is what GOGC is unless the environment says so: with few parked sagas a few dozen megabytes are alive, which would
// double, and be collected, for every few dozen orders.
const gcPercent = 200

// run runs the roles until the context ends, then drains: nothing that was accepted is lost.
func run(ctx context.Context, r roles, environ []string) error {
	cfg, err := config.Load(environ)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	s := &service{cfg: cfg, roles: r, logger: newLogger(cfg), registry: prometheus.NewRegistry(), fatal: make(chan error, 1)}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "ordersaga starts", slog.String("version", version), slog.Any("config", cfg))
	defer s.close()
	if err := s.connect(ctx); err != nil {
		return ended(ctx, err)
	}
	if err := s.start(ctx); err != nil {
		return ended(ctx, err)
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "ready", slog.String("http", "http://"+s.http.addr()))
	select {
	case <-ctx.Done():
		s.logger.LogAttrs(ctx, slog.LevelInfo, "draining", slog.Int64("grace_ms", cfg.ShutdownGrace.Milliseconds()))
		return nil
	case err := <-s.http.failed:
		return fmt.Errorf("serve %s: %w", cfg.HTTPAddr, err)
	case err := <-s.fatal:
		// A worker that has given up polls nothing: another process should take over.
		return fmt.Errorf("temporal worker: %w", err)
	}
}

// ended hides the error of a start that was broken off by a signal: that is no failure.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// connect makes the connections, and waits for each dependency.
func (s *service) connect(ctx context.Context) (err error) {
	if s.http, err = listen(ctx, s.cfg.HTTPAddr, s.starting(nil)); err != nil {
		return err
	}
	if s.debug, err = listenDebug(ctx, s.cfg.DebugAddr); err != nil {
		return err
	}
	var poll time.Duration
	if s.roles.worker {
		poll = localPoll
	}
	if s.stores, err = openStoresPolling(ctx, s.cfg, poll, true, s.logger); err != nil {
		return err
	}
	if s.gateway, err = newGateway(s.cfg, s.stores); err != nil {
		return err
	}
	if err = s.connectTemporal(ctx); err != nil {
		return err
	}
	refusals := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ordersaga_cancellations_refused_total",
		Help: "Cancellations that were refused without an event of their own: an earlier refusal, or the end of the order, is the answer.",
	})
	if err := s.registry.Register(refusals); err != nil {
		return fmt.Errorf("register metrics of cancellations: %w", err)
	}
	s.sagas = sagaclient.New(sagaclient.Config{
		Temporal: s.temporal, Log: s.stores.log, Logger: s.logger, Eager: s.roles.worker && s.roles.api, OnRefusal: refusals.Inc,
	})
	if s.busMetrics, err = broker.NewMetrics(s.registry); err != nil {
		return err
	}
	if s.publisher, err = broker.NewPublisher(broker.PublisherConfig{Config: s.broker(), Headers: trace.Headers}); err != nil {
		return err
	}
	s.publisher.Start()
	if !s.roles.worker && !s.roles.consumer {
		// The API alone needs the broker for replays of dead letters, and serves everything else without it.
		return nil
	}
	s.http.serve(s.starting(s.publisher))
	return await(ctx, s.logger, "rabbitmq", hostOf(s.cfg.AMQPURL.Reveal()), func(context.Context) error { return s.publisher.Ready() })
}

// connectTemporal connects to Temporal and makes its namespace ready for sagas.
func (s *service) connectTemporal(ctx context.Context) error {
	options, err := s.cfg.TemporalOptions()
	if err != nil {
		return err
	}
	options.Logger = temporalLogger(s.logger)
	options.ContextPropagators = append(options.ContextPropagators, workflows.TraceParent{})
	if s.temporal, err = client.NewLazyClient(options); err != nil {
		return fmt.Errorf("temporal client: %w", err)
	}
	err = await(ctx, s.logger, "temporal", s.cfg.TemporalAddress, func(ctx context.Context) error {
		_, err := s.temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{
			Namespace: s.cfg.TemporalNamespace,
		})
		if err != nil {
			return fmt.Errorf("namespace %s: %w", s.cfg.TemporalNamespace, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.attributes = &attributeRegistration{
		temporal: s.temporal, namespace: s.cfg.TemporalNamespace, where: s.cfg.TemporalAddress, logger: s.logger, patience: attributesPatience,
	}
	return s.attributes.run(ctx)
}

// newGateway makes the payment gateway that the settings name.
func newGateway(c config.Config, s *stores) (payment.Gateway, error) {
	// config has refused every other name.
	gateway, err := simulator.New(simulator.Config{Log: s.log, Outage: c.SimulatorOutage, Slow: !c.SimulatorFast})
	if err != nil {
		return nil, err
	}
	return gateway, c.CheckGateway(gateway.Traits())
}

// broker is what publisher and consumer have in common.
func (s *service) broker() broker.Config {
	return broker.Config{
		URL: s.cfg.AMQPURL.Reveal(), Logger: s.logger, Metrics: s.busMetrics,
		Topology: broker.Topology{Exchange: s.cfg.EventExchange, Prefix: s.cfg.BrokerPrefix},
	}
}

// start starts what the roles need, workers first: what is accepted is worked on at once.
func (s *service) start(ctx context.Context) error {
	if s.roles.worker {
		if err := s.startWorkers(ctx); err != nil {
			return err
		}
	}
	if s.roles.consumer {
		if err := s.startConsumer(ctx); err != nil {
			return err
		}
	}
	if s.roles.api && !s.roles.worker {
		var err error
		if s.ends, err = hearEnds(s.broker(), s.stores.log, s.logger); err != nil {
			return err
		}
	}
	return s.startHTTP()
}

func (s *service) startWorkers(ctx context.Context) (err error) {
	reconciler, err := s.reconciler()
	if err != nil {
		return err
	}
	notices, err := s.notices()
	if err != nil {
		return err
	}
	publisher := recordPublisher(s.publisher.PublishRecords)
	recorder := &activities.Recorder{
		Log: s.stores.log, Publisher: publisher,
		ReadModel: projection{s.stores.orders}, Clock: time.Now, Logger: s.logger,
	}
	of := workers.Config{
		Client: s.temporal, Queues: s.cfg.WorkerQueues, Grace: workerGrace(s.cfg.ShutdownGrace), Concurrency: s.cfg.WorkerConcurrency, Cache: s.cfg.WorkerCache,
		OnFatal: func(err error) {
			select {
			case s.fatal <- err:
			default:
			}
		},
		Outcomes:  &activities.Outcomes{Recorder: recorder, Timing: s.cfg.Timing(), InlinePayment: s.gateway.Traits().Fast, Predecessors: s.sagas},
		Inventory: &activities.Inventory{Recorder: recorder, Stock: s.stores.ledger},
		Payment:   &activities.Payment{Recorder: recorder, Gateway: s.gateway},
		LateMoney: &activities.LateMoney{
			Log: s.stores.log, Gateway: s.gateway, Desk: lateDesk{s.stores.late}, Patience: s.cfg.Timing().Attention, Clock: time.Now,
		},
		Customers:      &activities.Customers{Log: s.stores.log, Publisher: publisher, Welcome: s.notifies()},
		Notices:        notices,
		Reconciliation: &activities.Reconciliation{Reconciler: scheduled{reconciler}},
		Shortages:      &activities.Shortages{Log: s.stores.log, Stock: s.stores.ledger, Orders: s.sagas},
	}
	// New workers each time: those whose start has failed cannot be started again.
	launch := func(context.Context) (err error) {
		if s.workers, err = workers.New(of); err != nil {
			return err
		}
		return s.workers.Start()
	}
	if err = launch(ctx); unreachable(err) {
		// Temporal was there a moment ago: it is waited for as at first.
		err = await(ctx, s.logger, "temporal", s.cfg.TemporalAddress, launch)
	}
	if err != nil || !slices.Contains(s.cfg.WorkerQueues, workflows.QueueOrders) {
		return err
	}
	s.scheduleReconcile(ctx)
	return nil
}

// scheduleReconcile has the check of what must hold scheduled. Orders do not wait for their inspector: what does not work at
// once is tried again beside them.
func (s *service) scheduleReconcile(ctx context.Context) {
	schedule := func(ctx context.Context) error {
		return workers.ScheduleReconcile(ctx, s.temporal, s.cfg.ReconcileEvery, s.cfg.ReconcileRepair)
	}
	err := schedule(ctx)
	if err == nil {
		return
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "the check of what must hold is not scheduled yet", slog.Any("error", err))
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() {
		_ = await(ctx, s.logger, "temporal, for the schedule of the check", s.cfg.TemporalAddress, schedule)
	})
	s.giveUpSchedule = func() {
		cancel()
		beside.Wait()
	}
}

// unreachable reports whether Temporal did not answer, or not in time.
func unreachable(err error) bool {
	var unavailable *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	return errors.As(err, &unavailable) || errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
}

func (s *service) startConsumer(ctx context.Context) (err error) {
	router := &workers.Router{
		Sagas: s.sagas, Stock: receiver{s.stores.ledger}, Verdicts: s.stores.log, Clock: time.Now, Logger: s.logger,
		Log: s.stores.log, Sealer: sealed.NewBox(s.stores.keys),
	}
	handle := func(ctx context.Context, m wire.Message) error {
		e, err := wire.Decode(m)
		if err != nil {
			return err
		}
		parent, _ := m.Header(trace.Header)
		return router.Handle(trace.With(ctx, parent), e)
	}
	s.consumer, err = broker.NewConsumer(broker.ConsumerConfig{
		Config: s.broker(), Publisher: s.publisher, Prefetch: s.cfg.ConsumerPrefetch, ParkMax: s.cfg.SignalParkMax, Probe: s.probe,
		Handler: func(ctx context.Context, d broker.Delivery) error { return handle(ctx, d.Message) },
		Reply:   wire.NestReply,
	})
	if err != nil {
		return err
	}
	s.consumer.Start()
	announce := s.announcement()
	if err := s.startKeeper(func(ctx context.Context, queue string, m wire.Message) error {
		if queue == s.broker().Topology.Queue(notificationQueue) {
			return announce(ctx, m)
		}
		return handle(ctx, m)
	}); err != nil {
		return err
	}
	if err := s.startAnnouncer(announce); err != nil {
		return err
	}
	return s.consumer.WaitReady(ctx)
}

// probe reports whether everything answers that the handlers of messages depend on.
func (s *service) probe(ctx context.Context) error {
	_, err := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return errors.Join(err, s.stores.ping(ctx))
}

// checks looks at every dependency, for /readyz.
func (s *service) checks(ctx context.Context) []api.Check {
	_, temporal := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	checks := []api.Check{
		{Name: "mongodb", Err: s.stores.ping(ctx)},
		{Name: "temporal", Err: temporal},
	}
	if s.roles.worker || s.roles.consumer {
		checks = append(checks, brokerCheck("rabbitmq", s.publisher))
	}
	if s.consumer != nil {
		checks = append(checks, brokerCheck("consumer", s.consumer))
	}
	// Orders do not wait for dead letters, nor for messages to people.
	if s.keeper != nil {
		checks = append(checks, optional(brokerCheck("keeper", s.keeper)))
	}
	if s.announcer != nil {
		checks = append(checks, optional(brokerCheck("announcer", s.announcer)))
	}
	return checks
}
