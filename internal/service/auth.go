package service

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/oidc"
)

// authenticator is how callers of the API are authenticated; nil when they are not.
func (s *Service) authenticator() auth.Authenticator {
	if !s.cfg.Auth.Keys && !s.cfg.Auth.OIDC {
		return nil
	}
	var by auth.Combined
	if s.cfg.Auth.Keys {
		by.Keys = auth.NewKeyring(mongo.NewAPIKeys(s.stores.db), nil)
	}
	if s.cfg.Auth.OIDC {
		s.oidc = oidc.New(oidc.Config{
			Issuer: s.cfg.OIDCIssuer, Audience: s.cfg.OIDCAudience, ScopesClaim: s.cfg.OIDCScopesClaim, CustomerClaim: s.cfg.OIDCCustomerClaim,
		})
		by.Tokens = s.oidc
	}
	return by
}

// oidcCheck looks at the OpenID Connect provider, for /readyz. It is optional: API keys, and what came before an outage, do without it.
func (s *Service) oidcCheck() api.Check {
	return api.Check{Name: "oidc", Err: s.oidc.Ready(), Optional: true}
}

// warnOpen says at every start that anyone may do everything.
func (s *Service) warnOpen(ctx context.Context) {
	if s.roles.API && s.cfg.IsOpen() {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "API_AUTH=insecure: everyone who reaches the API may do everything", slog.String("address", s.cfg.HTTPAddr))
	}
}

// APIKeys makes and revokes API keys.
func (s *Service) APIKeys() auth.Admin {
	return auth.Admin{Store: mongo.NewAPIKeys(s.stores.db), Clock: time.Now}
}

// metricsTimeout bounds an answer of the listener of METRICS_ADDR.
const metricsTimeout = 30 * time.Second

// listenMetrics serves /metrics on an address of its own; nil when there is none.
func (s *Service) listenMetrics(ctx context.Context) (*http.Server, error) {
	if s.cfg.MetricsAddr == "" {
		return nil, nil //nolint:nilnil // none is what no address means
	}
	open, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.MetricsAddr)
	if err != nil {
		return nil, fmt.Errorf("METRICS_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metricsHandler())
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: api.ReadHeaderTimeout, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout, IdleTimeout: api.IdleTimeout,
		MaxHeaderBytes: api.MaxHeaderBytes,
	}
	go func() { _ = server.Serve(open) }()
	s.logger.LogAttrs(ctx, slog.LevelInfo, "metrics", slog.String("http", "http://"+open.Addr().String()+"/metrics"))
	return server, nil
}

func (s *Service) metricsHandler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}
