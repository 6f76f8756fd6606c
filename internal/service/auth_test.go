package service

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
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
	sealed := "SEAL_MASTER_KEY=a " + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for environ, warned := range map[string]bool{"HTTP_ADDR=:8080": true, "HTTP_ADDR=127.0.0.1:8080": false} {
		var log bytes.Buffer
		s := configured(t, environ, "API_AUTH=insecure", sealed)
		s.logger = slog.New(slog.NewTextHandler(&log, nil))
		s.warn(t.Context())
		require.Equal(t, warned, bytes.Contains(log.Bytes(), []byte("level=WARN")), environ)
		s.roles = Roles{Worker: true}
		log.Reset()
		s.warn(t.Context())
		require.Zero(t, log.Len(), "a worker serves no API")
	}
}

func TestKeysBesideTheirDataLogAWarning(t *testing.T) {
	key := "SEAL_MASTER_KEY=a " + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		roles  Roles
		env    []string
		warned bool
	}{
		{Roles{Worker: true}, []string{"HTTP_ADDR=:8080"}, true},
		{Roles{API: true}, []string{"HTTP_ADDR=:8080", "API_AUTH=keys"}, true},
		{Roles{API: true}, []string{"HTTP_ADDR=:8080", "API_AUTH=keys", key}, false},
		{Roles{API: true}, []string{"HTTP_ADDR=127.0.0.1:8080"}, false},
		{Roles{Codec: true}, []string{"HTTP_ADDR=:8080", "API_AUTH=keys"}, false},
	} {
		var log bytes.Buffer
		s := configured(t, c.env...)
		s.logger, s.roles = slog.New(slog.NewTextHandler(&log, nil)), c.roles
		s.warn(t.Context())
		require.Equal(t, c.warned, strings.Contains(log.String(), "level=WARN"), "%v %v", c.roles, c.env)
		require.Equal(t, c.warned, strings.Count(log.String(), config.Unsealed) == 1, "%v %v", c.roles, c.env)
	}
}

func TestUnintentionallyOpenAPIDoesNotStart(t *testing.T) {
	s := configured(t, "HTTP_ADDR=:8080")
	err := Run(t.Context(), Roles{API: true}, s.cfg, "test")
	var invalid *config.Error
	require.ErrorAs(t, err, &invalid)
}

func TestCodecServerDoesNotStartOpenOrWithoutKeys(t *testing.T) {
	key := "PAYLOAD_KEYS=a " + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		env   []string
		wrong []string
	}{
		{[]string{"HTTP_ADDR=127.0.0.1:0"}, []string{"PAYLOAD_KEYS"}},
		{[]string{"HTTP_ADDR=127.0.0.1:0", "PAYLOAD_KEYS=plain"}, []string{"PAYLOAD_KEYS"}},
		{[]string{"HTTP_ADDR=:8080", "API_AUTH=keys"}, []string{"PAYLOAD_KEYS"}},
		{[]string{"HTTP_ADDR=:8080", key}, []string{"API_AUTH"}},
		{[]string{"HTTP_ADDR=:8080"}, []string{"PAYLOAD_KEYS", "API_AUTH"}},
	} {
		err := Run(t.Context(), Roles{Codec: true}, configured(t, c.env...).cfg, "test")
		var invalid *config.Error
		require.ErrorAs(t, err, &invalid, "%v", c.env)
		var wrong []string
		for _, p := range invalid.Problems {
			wrong = append(wrong, p.Name)
		}
		require.Equal(t, c.wrong, wrong, "%v", c.env)
	}
	for _, env := range [][]string{{"HTTP_ADDR=127.0.0.1:0", key}, {"HTTP_ADDR=:8080", "API_AUTH=oidc", "OIDC_ISSUER=https://127.0.0.1:1", "OIDC_AUDIENCE=ordersaga", key}} {
		require.NoError(t, Roles{Codec: true}.check(configured(t, env...).cfg), "%v", env)
	}
}

// TestCodecServerNeedsNoServers: without API keys it runs on its own, and ends when it is told to.
func TestCodecServerNeedsNoServers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := configured(t, "HTTP_ADDR=127.0.0.1:0", "PAYLOAD_KEYS=a "+base64.StdEncoding.EncodeToString(make([]byte, 32)), "TEMPORAL_UI_URL=https://Temporal.example.com:443/ui/",
		"HTTP_CORS_ORIGINS=https://shop.example.com")
	s.roles = Roles{Codec: true}
	require.Equal(t, []string{"https://shop.example.com", "https://temporal.example.com"}, s.cfg.CodecOrigins())
	require.NoError(t, s.connect(ctx))
	require.NoError(t, s.start(ctx))
	response, body := ask(t, s.http.addr(), "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	response, body = ask(t, s.http.addr(), "POST /decode HTTP/1.1\r\nHost: localhost\r\nOrigin: https://temporal.example.com\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	require.Equal(t, "https://temporal.example.com", response.Header.Get("Access-Control-Allow-Origin"))
	cancel()
	s.close()
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
