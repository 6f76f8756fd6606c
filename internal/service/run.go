// Package service is the running service: it opens stores, broker and Temporal, wires them to the packages that need them, starts
// what the roles of a process need, and stops it in order. Commands open parts of it. It decides nothing.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/metrics"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/oidc"
	"github.com/ordersaga/ordersaga/internal/payloads"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/internal/tracing"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows"
)

// Roles say what a process does. A process with the role Codec, the codec server, has no other one.
type Roles struct{ API, Worker, Consumer, Codec bool }

// check checks the settings that are mandatory for the roles only.
func (r Roles) check(c config.Config) error {
	switch {
	case r.Codec:
		return c.CheckCodec()
	case r.API:
		return c.CheckAPI()
	}
	return nil
}

// Service is a running process: its dependencies, and what it runs.
type Service struct {
	cfg      config.Config
	roles    Roles
	version  string
	logger   *slog.Logger
	registry *prometheus.Registry
	// tracing is nil when traces are not exported.
	tracing *tracing.Tracing

	stores *stores
	participants
	temporal  client.Client
	publisher *rabbitmq.Publisher
	// busMetrics are shared by everything that is connected to the broker.
	busMetrics *rabbitmq.Metrics
	// sagaMetrics, remoteMetrics and checkMetrics are those of what the workers do.
	sagaMetrics   *metrics.Sagas
	remoteMetrics *metrics.Remote
	checkMetrics  *metrics.Reconcile
	// added are the flows that a team has added.
	added []Flow
	clients
	workers *workers.Workers
	// retries are what could not be set up in Temporal at once.
	retries background

	consumer *rabbitmq.Consumer
	// letters consumes the queue of dead letters, notices the events that customers are notified of.
	letters, notices *rabbitmq.Consumer
	// stopCompletions ends the listener to completions; nil where sagas run, or no client waits for them.
	stopCompletions func()
	// stopExpiry ends the deletion of dead letters; nil where none are consumed.
	stopExpiry func()
	api        *api.Server
	http       *listener
	// metrics serves METRICS_ADDR; nil when /metrics is served by http.
	metrics *http.Server
	// debug is Go's profiler; nil when it is off.
	debug *http.Server
	// oidc verifies tokens; nil when none are accepted.
	oidc *oidc.Verifier
	// fatal gets the error of a worker that has given up.
	fatal chan error
}

// localPoll is how soon a stream is looked at for what other processes append, where most of it is appended in this one.
const localPoll = 250 * time.Millisecond

// gcPercent is what GOGC is unless the environment says so: with few parked sagas a few dozen megabytes are alive, which would
// double, and be collected, for every few dozen orders.
const gcPercent = 200

// Run runs the roles until the context ends, then drains: nothing that was accepted is lost. It returns the context's error
// when that ends during the start. It sets GOGC for the process.
func Run(ctx context.Context, r Roles, cfg config.Config, version string, flows ...Flow) error {
	if err := r.check(cfg); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	s := &Service{cfg: cfg, roles: r, version: version, added: flows, logger: NewLogger(cfg), registry: prometheus.NewRegistry(), fatal: make(chan error, 1)}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "starting ordersaga", slog.String("version", version), slog.Any("config", cfg))
	s.warn(ctx)
	defer s.close()
	var err error
	if s.tracing, err = tracing.New(ctx, tracing.Config{
		Protocol: cfg.TracesProtocol, Version: version,
		OnError: func(err error) {
			s.logger.LogAttrs(context.Background(), slog.LevelWarn, "traces not exported",
				slog.String("settings", "OTEL_EXPORTER_OTLP_*"), slog.Any("error", err))
		},
	}); err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "ready", slog.String("http", s.http.url()))
	select {
	case <-ctx.Done():
		s.leave()
		s.logger.LogAttrs(ctx, slog.LevelInfo, "draining", slog.Int64("grace_ms", cfg.ShutdownGrace.Milliseconds()))
		return nil
	case err := <-s.http.failed:
		return fmt.Errorf("serve %s: %w", cfg.HTTPAddr, err)
	case err := <-s.fatal:
		// A worker that has given up polls nothing: another process should take over.
		return fmt.Errorf("temporal worker: %w", err)
	}
}

// connect makes the connections, and waits for each dependency.
func (s *Service) connect(ctx context.Context) (err error) {
	if s.http, err = s.listen(ctx, s.probes(true, func(context.Context) []api.Check { return nil })); err != nil {
		return err
	}
	if s.metrics, err = s.listenMetrics(ctx); err != nil {
		return err
	}
	if s.debug, err = listenDebug(ctx, s.cfg.DebugAddr); err != nil {
		return err
	}
	if s.roles.Codec {
		return s.connectCodec(ctx)
	}
	var poll time.Duration
	if s.roles.Worker {
		poll = localPoll
	}
	if s.stores, err = openStores(ctx, s.cfg, poll, true, s.logger, mongo.NewMetrics(s.registry)); err != nil {
		return err
	}
	s.registerMetrics()
	if s.participants, err = newParticipants(s.cfg, s.stores, s.registry, s.logger); err != nil {
		return err
	}
	if err = s.connectTemporal(ctx); err != nil {
		return err
	}
	if err = s.describeParticipants(ctx); err != nil {
		return err
	}
	s.useSagas(sagaclient.Config{
		// An eager start runs in this process even if its version is not the current one of the Worker Deployment.
		Temporal: s.temporal, Log: s.stores.log, Logger: s.logger, Converter: payloads.Converter(s.cfg.PayloadKeys),
		Eager: s.roles.Worker && s.roles.API && s.cfg.WorkerDeployment == "", OnRefusal: metrics.NewCancellations(s.registry).Inc,
	})
	s.busMetrics = rabbitmq.NewMetrics(s.registry)
	if s.publisher, err = rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: s.broker(), Headers: trace.Headers}); err != nil {
		return err
	}
	s.publisher.Start()
	if !s.roles.Worker && !s.roles.Consumer {
		// The API alone needs the broker for replays of dead letters, and serves everything else without it.
		return nil
	}
	// What is wrong with the connection to the broker may not go away by waiting: /readyz shows it from now on.
	s.http.serve(s.probes(true, func(context.Context) []api.Check { return []api.Check{brokerCheck("rabbitmq", s.publisher)} }))
	return await(ctx, s.logger, dependency{"rabbitmq", s.cfg.AMQPURL.Host(), "AMQP_URL, AMQP_TLS_*"}, func(context.Context) error { return s.publisher.Ready() })
}

// connectTemporal connects to Temporal and makes its namespace ready for sagas.
func (s *Service) connectTemporal(ctx context.Context) error {
	options, err := s.temporalOptions()
	if err != nil {
		return err
	}
	if err := s.dialTemporal(ctx, options); err != nil {
		return err
	}
	return s.registerAttributes(ctx, attributesTimeout)
}

// temporalOptions are the options of the Temporal client.
func (s *Service) temporalOptions() (client.Options, error) {
	options, err := s.cfg.TemporalOptions()
	if err != nil {
		return options, err
	}
	options.Logger = temporalLogger(s.logger)
	if s.registry != nil {
		if options.MetricsHandler, err = metrics.NewTemporal(s.registry); err != nil {
			return options, err
		}
	}
	if options.Interceptors, err = s.tracing.Interceptors(); err != nil {
		return options, err
	}
	options.ContextPropagators = append(options.ContextPropagators, workflows.TraceParent{})
	return options, nil
}

// dialTemporal waits for Temporal and its namespace.
func (s *Service) dialTemporal(ctx context.Context, options client.Options) (err error) {
	if s.temporal, err = client.NewLazyClient(options); err != nil {
		return fmt.Errorf("temporal client: %w", err)
	}
	return await(ctx, s.logger, dependency{"temporal", s.cfg.TemporalAddress, "TEMPORAL_ADDRESS, TEMPORAL_TLS_*"}, func(ctx context.Context) error {
		_, err := s.temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{
			Namespace: s.cfg.TemporalNamespace,
		})
		if err != nil {
			return fmt.Errorf("namespace %s: %w", s.cfg.TemporalNamespace, err)
		}
		return nil
	})
}

// BrokerConfig is what every connection to the broker has in common.
func BrokerConfig(c config.Config) rabbitmq.Config {
	return rabbitmq.Config{URL: c.AMQPURL.Reveal(), TLS: c.AMQPTLS.Client, Topology: rabbitmq.Topology{Exchange: c.EventExchange, Prefix: c.BrokerPrefix}}
}

// broker is what publisher and consumer have in common.
func (s *Service) broker() rabbitmq.Config {
	c := BrokerConfig(s.cfg)
	c.Logger, c.Metrics = s.logger, s.busMetrics
	return c
}

// start starts what the roles need, workers first: what is accepted is worked on at once.
func (s *Service) start(ctx context.Context) error {
	if s.roles.Codec {
		return s.startCodec(ctx)
	}
	if s.roles.Worker {
		if err := s.startWorkers(ctx); err != nil {
			return err
		}
	}
	if s.roles.Consumer {
		if err := s.startConsumers(ctx); err != nil {
			return err
		}
	}
	if s.roles.API && !s.roles.Worker {
		var err error
		if s.stopCompletions, err = listenForCompletions(s.broker(), s.stores.log, s.logger); err != nil {
			return err
		}
	}
	return s.startHTTP(ctx)
}
