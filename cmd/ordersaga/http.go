package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/broker"
)

// listener is the process's HTTP server. It serves from the start, so that a taken port is found at once and an
// orchestrator that probes is answered: while the process waits for its dependencies it is alive and not ready.
type listener struct {
	net     net.Listener
	server  *http.Server
	handler atomic.Pointer[http.Handler]
	failed  chan error
}

// listen opens the address and begins to serve.
func listen(ctx context.Context, addr string) (*listener, error) {
	open, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("HTTP_ADDR: %w", err)
	}
	l := &listener{net: open, failed: make(chan error, 1)}
	l.serve(http.HandlerFunc(starting))
	l.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*l.handler.Load()).ServeHTTP(w, r)
	})}
	api.ConfigureServer(l.server)
	go func() {
		if err := l.server.Serve(open); !errors.Is(err, http.ErrServerClosed) {
			l.failed <- err
		}
	}()
	return l, nil
}

func (l *listener) addr() string { return l.net.Addr().String() }

// serve hands requests to the handler from now on.
func (l *listener) serve(handler http.Handler) { l.handler.Store(&handler) }

// starting answers while the process is not ready.
func starting(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/livez" {
		writeJSON(w, http.StatusOK, "alive")
		return
	}
	w.Header().Set("Retry-After", "1")
	writeJSON(w, http.StatusServiceUnavailable, "starting")
}

// startingWith is starting, and says where the connection to the broker stands: what is wrong with it may be wrong for good.
func startingWith(publisher *broker.Publisher) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			starting(w, r)
			return
		}
		readiness, _ := api.ReadinessOf([]api.Check{brokerCheck("rabbitmq", publisher)})
		readiness.Status = "starting"
		w.Header().Set("Retry-After", "1")
		writeAny(w, http.StatusServiceUnavailable, readiness)
	})
}

// supervised is a publisher or a consumer.
type supervised interface {
	Ready() error
	Status() broker.Status
}

// brokerCheck looks at a connection to the broker.
func brokerCheck(name string, c supervised) api.Check {
	s := c.Status()
	shown := &api.Connection{State: string(s.State), Since: s.Since.UTC(), Session: s.Session, LastError: s.LastError, Remedy: s.Remedy}
	if at := s.LastErrorAt.UTC(); !at.IsZero() {
		shown.LastErrorAt = &at
	}
	for _, d := range s.Deviations {
		shown.Deviations = append(shown.Deviations, api.Deviation(d))
	}
	return api.Check{Name: name, Err: c.Ready(), Connection: shown}
}

// optional is a check that is shown and does not count.
func optional(c api.Check) api.Check {
	c.Optional = true
	return c
}

// shutdown stops accepting and waits for what runs.
func (l *listener) shutdown(ctx context.Context) error {
	return l.server.Shutdown(ctx)
}

// startHTTP serves the API, or what a process without it is asked by its orchestrator.
func (s *service) startHTTP() (err error) {
	if !s.roles.api {
		s.http.serve(s.probes())
		return nil
	}
	s.api, err = api.New(api.Config{
		Sagas: s.sagas, Log: s.stores.log, Orders: listing{s.stores.orders, s.stores.late}, Stock: s.stores.ledger, Ready: s.checks,
		DeadLetters:   s.deadLetters(),
		TemporalUIURL: s.cfg.TemporalUIURL, TemporalNamespace: s.cfg.TemporalNamespace,
		Hosts: s.cfg.Hosts(), CORSOrigins: s.cfg.HTTPCORSOrigins,
		Registry: s.registry, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.http.serve(s.api)
	return nil
}

// probes answers /livez, /readyz and /metrics.
func (s *service) probes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
		defer cancel()
		readiness, status := api.ReadinessOf(s.checks(ctx))
		writeAny(w, status, readiness)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	return mux
}

func writeJSON(w http.ResponseWriter, code int, status string) {
	writeAny(w, code, map[string]string{"status": status})
}

func writeAny(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
