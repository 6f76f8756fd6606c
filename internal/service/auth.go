package service

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/oidc"
)

// authenticator is how callers of the API are authenticated; nil when they are not.
func (s *Service) authenticator(ctx context.Context) (auth.Authenticator, error) {
	if !s.cfg.Auth.Keys && !s.cfg.Auth.OIDC {
		return nil, nil //nolint:nilnil // none is what no authentication means
	}
	var by auth.Combined
	if s.cfg.Auth.Keys {
		by.Keys = auth.NewKeyring(mongo.NewAPIKeys(s.stores.db), nil)
	}
	if s.cfg.Auth.OIDC {
		c := oidc.Config{
			Issuer: s.cfg.OIDCIssuer, Audience: s.cfg.OIDCAudience, ScopesClaim: s.cfg.OIDCScopesClaim, CustomerClaim: s.cfg.OIDCCustomerClaim,
		}
		switch encryption, err := s.cfg.OIDCTLS.Client(); {
		case err != nil:
			return nil, fmt.Errorf("OIDC_TLS_CA_FILE: %w", err)
		case encryption != nil:
			transport := http.DefaultTransport.(*http.Transport).Clone()
			transport.TLSClientConfig = encryption
			c.Transport = transport
		}
		s.oidc = oidc.New(c)
		by.Tokens = s.oidc
		s.retries.start(ctx, s.discover)
	}
	return by, nil
}

// discover logs at the start when the OpenID Connect provider cannot be used: otherwise the first token would show it.
func (s *Service) discover(ctx context.Context) {
	if err := s.oidc.Discover(ctx); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "tokens cannot be verified yet", slog.String("settings", "OIDC_ISSUER, OIDC_TLS_CA_FILE"), slog.Any("error", err))
	}
}

// oidcCheck looks at the OpenID Connect provider, for /readyz. It is optional: API keys, and what came before an outage, do without it.
func (s *Service) oidcCheck() api.Check {
	return api.Check{Name: "oidc", Err: s.oidc.Ready(), Optional: true}
}

// warn says at every start what anyone may do, and what the settings leave unprotected.
func (s *Service) warn(ctx context.Context) {
	if (s.roles.API || s.roles.Codec) && s.cfg.IsOpen() {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "API_AUTH=insecure: everyone who reaches the API may do everything", slog.String("address", s.cfg.HTTPAddr))
	}
	if !s.roles.Codec && s.cfg.IsUnsealed() {
		s.logger.LogAttrs(ctx, slog.LevelWarn, config.Unsealed, slog.String("setting", "SEAL_MASTER_KEY"))
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
	var encryption *certificate
	if s.cfg.MetricsTLSCertFile != "" {
		var err error
		encryption, err = newCertificate("METRICS_TLS_CERT_FILE, METRICS_TLS_KEY_FILE", s.cfg.MetricsTLSCertFile, s.cfg.MetricsTLSKeyFile, s.logger)
		if err != nil {
			return nil, err
		}
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
	at := "http://" + open.Addr().String() + "/metrics"
	if encryption != nil {
		at = "https://" + open.Addr().String() + "/metrics"
		open = tls.NewListener(open, encryption.tlsConfig())
	}
	go func() { _ = server.Serve(open) }()
	s.logger.LogAttrs(ctx, slog.LevelInfo, "metrics", slog.String("http", at))
	return server, nil
}

func (s *Service) metricsHandler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}
