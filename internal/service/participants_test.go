package service

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
)

// withParticipant is a service whose participants answer traits, from the beginning or once they are up.
func withParticipant(t *testing.T, traits string, up *atomic.Bool, environ ...string) (*Service, *logs, chan struct{}) {
	t.Helper()
	asked := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer func() { asked <- struct{}{} }()
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, traits)
	}))
	t.Cleanup(server.Close)
	cfg, err := config.Load(append(environ, "PAYMENT_GATEWAY=http", "PAYMENT_URL="+server.URL, "INVENTORY=http", "INVENTORY_URL="+server.URL))
	require.NoError(t, err)
	logged := &logs{}
	s := &Service{cfg: cfg, registry: prometheus.NewRegistry(), logger: slog.New(slog.NewTextHandler(logged, nil))}
	s.participants, err = newParticipants(cfg, &stores{}, s.registry, s.logger)
	require.NoError(t, err)
	t.Cleanup(s.closeParticipants)
	t.Cleanup(s.retries.stop)
	return s, logged, asked
}

const bothTraits = `{"name":"acme","contract":1,"provides":["payment","inventory"],"authorizationLifetimeSeconds":604800}`

// TestParticipantsAreAskedAtTheStart: a service that is not what it is configured for is refused, with the setting's name.
func TestParticipantsAreAskedAtTheStart(t *testing.T) {
	var up atomic.Bool
	up.Store(true)
	for name, test := range map[string]struct{ traits, wrong string }{
		"right":               {bothTraits, ""},
		"no payment service":  {`{"name":"acme","contract":1,"provides":["inventory"]}`, "PAYMENT_URL"},
		"no inventory":        {`{"name":"acme","contract":1,"provides":["payment"]}`, "INVENTORY_URL"},
		"another contract":    {`{"name":"acme","contract":2,"provides":["payment","inventory"]}`, "PAYMENT_URL"},
		"short authorization": {`{"name":"acme","contract":1,"provides":["payment","inventory"],"authorizationLifetimeSeconds":60}`, "SHIPMENT_DEADLINE"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := withParticipant(t, test.traits, &up)
			err := s.describeParticipants(t.Context())
			if test.wrong != "" {
				require.ErrorContains(t, err, test.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{order.StepReserve, order.StepCommit}, s.orderSettings().Slow)
			require.Equal(t, []string{refund.StepRestock}, s.refundSettings().Slow)
			require.Equal(t, []string{returns.StepRestock}, s.returnSettings().Slow)
			require.False(t, s.settings().Fast)
			require.Len(t, s.participantChecks(), 2)
			for _, check := range s.participantChecks() {
				require.NoError(t, check.Err)
				require.True(t, check.Optional, "orders are accepted while participants fail")
			}
		})
	}
}

// TestServiceStartsWithoutItsParticipants: it goes on asking.
func TestServiceStartsWithoutItsParticipants(t *testing.T) {
	var up atomic.Bool
	s, logged, asked := withParticipant(t, bothTraits, &up)
	require.NoError(t, s.describeParticipants(t.Context()))
	require.Contains(t, logged.String(), "a participant does not answer yet")
	require.Zero(t, s.payments.Traits().AuthorizationLifetime)
	up.Store(true)
	<-asked
	s.retries.running.Wait()
	require.Positive(t, s.payments.Traits().AuthorizationLifetime)
}

// TestStockOfAnInventoryServiceIsNotShown: the service has no stock of its own then.
func TestStockOfAnInventoryServiceIsNotShown(t *testing.T) {
	var up atomic.Bool
	s, _, _ := withParticipant(t, bothTraits, &up)
	_, err := s.shownStock().Balance(t.Context(), "tea")
	require.ErrorIs(t, err, errStockElsewhere)
	require.ErrorIs(t, s.receiver().Receive(t.Context(), "tea", 1, "r"), errStockElsewhere)
}
