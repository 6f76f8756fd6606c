package service

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/oidc"
)

func configured(t *testing.T, environ ...string) *Service {
	t.Helper()
	cfg, err := config.Load(append(environ, "PAYMENT_GATEWAY=simulator"))
	require.NoError(t, err)
	return &Service{cfg: cfg, roles: Roles{API: true}, logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
}

func TestOpenAPILogsAWarning(t *testing.T) {
	for environ, warned := range map[string]bool{"HTTP_ADDR=:8080": true, "HTTP_ADDR=127.0.0.1:8080": false} {
		var log bytes.Buffer
		s := configured(t, environ, "API_AUTH=insecure")
		s.logger = slog.New(slog.NewTextHandler(&log, nil))
		s.warnOpen(t.Context())
		require.Equal(t, warned, bytes.Contains(log.Bytes(), []byte("level=WARN")), environ)
		s.roles = Roles{Worker: true}
		log.Reset()
		s.warnOpen(t.Context())
		require.Zero(t, log.Len(), "a worker serves no API")
	}
}

func TestUnintentionallyOpenAPIDoesNotStart(t *testing.T) {
	s := configured(t, "HTTP_ADDR=:8080")
	err := Run(t.Context(), Roles{API: true}, s.cfg, "test")
	var invalid *config.Error
	require.ErrorAs(t, err, &invalid)
}

func TestCallersAreAuthenticatedAsConfigured(t *testing.T) {
	for _, open := range []string{"API_AUTH=none", "API_AUTH=insecure"} {
		by, err := configured(t, open).authenticator(t.Context())
		require.NoError(t, err)
		require.Nil(t, by)
	}
	s := configured(t, "API_AUTH=oidc", "OIDC_ISSUER=https://127.0.0.1:1", "OIDC_AUDIENCE=ordersaga")
	by, err := s.authenticator(t.Context())
	require.NoError(t, err)
	s.retries.stop()
	require.IsType(t, &oidc.Verifier{}, by.(auth.Combined).Tokens)
	_, err = by.Authenticate(t.Context(), "osk_x")
	require.ErrorIs(t, err, fault.Unauthenticated, "keys are not accepted")
	require.Error(t, s.oidcCheck().Err, "nothing listens there")
	require.True(t, s.oidcCheck().Optional)
}

func TestMetricsHaveTheirOwnAddress(t *testing.T) {
	s := configured(t, "HTTP_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0")
	metrics, err := s.listenMetrics(t.Context())
	require.NoError(t, err)
	require.NoError(t, metrics.Close())
	l, err := s.listen(t.Context(), s.probes(false, func(context.Context) []api.Check { return nil }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.server.Close() })
	response, body := ask(t, l.addr(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Equal(t, http.StatusNotFound, response.StatusCode)
	require.Contains(t, body, "METRICS_ADDR")

	none, err := configured(t).listenMetrics(t.Context())
	require.NoError(t, err)
	require.Nil(t, none)
}
