package service

import (
	"context"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/payloads"
)

// connectCodec connects to what a codec server needs: MongoDB, if it has the API keys of callers.
func (s *Service) connectCodec(ctx context.Context) (err error) {
	if s.cfg.Auth.Keys {
		s.stores, err = openStores(ctx, s.cfg, 0, false, s.logger, mongo.NewMetrics(s.registry))
	}
	return err
}

// startCodec serves the remote codec, with the authentication and the limits of the API.
func (s *Service) startCodec(ctx context.Context) error {
	by, err := s.authenticator(ctx)
	if err != nil {
		return err
	}
	s.api, err = api.NewCodec(api.Config{
		Ready: s.codecChecks, Hosts: s.cfg.Hosts(), CORSOrigins: s.cfg.CodecOrigins(), Auth: by, RateLimit: api.RateLimit(s.cfg.RateLimit),
		Registry: s.registry, HideMetrics: s.cfg.MetricsAddr != "", Tracer: s.tracing.Tracer(), Logger: s.logger,
	}, payloads.NewCodec(s.cfg.PayloadKeys))
	if err == nil {
		s.http.serve(s.api)
	}
	return err
}

// codecChecks looks at what callers are authenticated with, for /readyz.
func (s *Service) codecChecks(ctx context.Context) (checks []api.Check) {
	if s.stores != nil {
		checks = append(checks, api.Check{Name: "mongodb", Err: s.stores.db.Ping(ctx)})
	}
	if s.oidc != nil {
		checks = append(checks, s.oidcCheck())
	}
	return checks
}
