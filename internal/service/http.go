package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
)

// listener is the process's HTTP server. It serves from the start, so that a taken port is found at once and an
// orchestrator that probes is answered: while the process waits for its dependencies it is alive and not ready.
type listener struct {
	net     net.Listener
	server  *http.Server
	handler atomic.Pointer[http.Handler]
	failed  chan error
	// certificate is nil without TLS.
	certificate *certificate
}

func (s *Service) listen(ctx context.Context, handler http.Handler) (*listener, error) {
	l := &listener{failed: make(chan error, 1)}
	if s.cfg.HTTPTLSCertFile != "" {
		var err error
		if l.certificate, err = newCertificate("HTTP_TLS_CERT_FILE, HTTP_TLS_KEY_FILE", s.cfg.HTTPTLSCertFile, s.cfg.HTTPTLSKeyFile, s.logger); err != nil {
			return nil, err
		}
	}
	open, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("HTTP_ADDR: %w", err)
	}
	l.net = open
	l.serve(handler)
	l.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*l.handler.Load()).ServeHTTP(w, r)
	})}
	api.ConfigureServer(l.server)
	if l.certificate != nil {
		open = tls.NewListener(open, l.certificate.tlsConfig())
	}
	open = api.ProblemListener(open)
	go func() {
		if err := l.server.Serve(open); !errors.Is(err, http.ErrServerClosed) {
			l.failed <- err
		}
	}()
	return l, nil
}

func (l *listener) addr() string { return l.net.Addr().String() }

// url is where the API is served.
func (l *listener) url() string {
	if l.certificate != nil {
		return "https://" + l.addr()
	}
	return "http://" + l.addr()
}

func (l *listener) serve(handler http.Handler) { l.handler.Store(&handler) }

// probes answers /livez, /readyz and /metrics, where the API is not served or not yet.
func (s *Service) probes(starting bool, checks func(context.Context) []api.Check) http.Handler {
	probes := api.Probes{
		Ready:    func(ctx context.Context) (api.Readiness, int) { return api.ReadinessOf(checks(ctx)) },
		Starting: starting, Logger: s.logger,
	}
	if s.cfg.MetricsAddr == "" {
		probes.Metrics = s.metricsHandler()
	}
	return probes
}

// checks looks at every dependency, for /readyz.
func (s *Service) checks(ctx context.Context) []api.Check {
	_, temporal := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	checks := []api.Check{
		{Name: "mongodb", Err: s.stores.db.Ping(ctx)},
		{Name: "temporal", Err: temporal},
	}
	if s.oidc != nil {
		checks = append(checks, s.oidcCheck())
	}
	checks = append(checks, s.participantChecks()...)
	if s.roles.Worker || s.roles.Consumer {
		checks = append(checks, brokerCheck("rabbitmq", s.publisher))
	}
	for _, c := range []struct {
		name     string
		consumer *rabbitmq.Consumer
		optional bool
	}{{"consumer", s.consumer, false}, {"dead-letters", s.letters, true}, {"notifications", s.notices, true}} {
		if c.consumer != nil {
			check := brokerCheck(c.name, c.consumer)
			check.Optional = c.optional // orders do not wait for dead letters, nor for messages to people
			checks = append(checks, check)
		}
	}
	return checks
}

type supervised interface {
	Ready() error
	Status() rabbitmq.Status
}

func brokerCheck(name string, c supervised) api.Check {
	s := c.Status()
	s.Since, s.LastErrorAt = s.Since.UTC(), s.LastErrorAt.UTC()
	return api.Check{Name: name, Err: c.Ready(), Connection: s}
}

// httpGrace is how long requests may still run when the process stops: longer than the API waits for a dependency. Clients
// that do not read their answers have no part in the time that everything else may take to stop.
const httpGrace = api.DefaultDependencyTimeout + 5*time.Second

// shutdown stops accepting, waits for what runs, and closes what is left.
func (l *listener) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, httpGrace)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop serving HTTP: %w", err), l.server.Close())
	}
	return err
}

func (s *Service) startHTTP(ctx context.Context) error {
	if !s.roles.API {
		s.http.serve(s.probes(false, s.checks))
		return nil
	}
	by, err := s.authenticator(ctx)
	if err != nil {
		return err
	}
	s.api, err = api.New(api.Config{
		Sagas: s.sagas, Log: s.stores.log, Orders: listing{s.stores.orders, s.stores.sagas}, Stock: s.shownStock(), Ready: s.checks,
		Checkpoints: prover{s}, DeadLetters: s.DeadLetters(), Flows: s.shownFlows(),
		StripeWebhook: s.stripeWebhook(), ClientSecret: s.clientSecret(),
		TemporalUIURL: s.cfg.TemporalUIURL, TemporalNamespace: s.cfg.TemporalNamespace,
		Hosts: s.cfg.Hosts(), CORSOrigins: s.cfg.HTTPCORSOrigins,
		Auth: by, RateLimit: api.RateLimit(s.cfg.RateLimit),
		Console: s.console(by), LastReconcile: func(ctx context.Context) (api.ReconcileReport, error) { return lastReconcile(ctx, s.temporal) },
		Registry: s.registry, HideMetrics: s.cfg.MetricsAddr != "", Tracer: s.tracing.Tracer(), Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.http.serve(s.api)
	return nil
}
