package service

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
)

func TestInlineBudget(t *testing.T) {
	for name, test := range map[string]struct {
		config config.Config
		want   time.Duration
	}{
		"http":              {config.Config{PaymentGateway: config.GatewayHTTP, RemoteInlineBudget: time.Second, WorkerConcurrency: 4}, time.Second},
		"stripe":            {config.Config{PaymentGateway: config.GatewayStripe, RemoteInlineBudget: time.Second, WorkerConcurrency: 96}, time.Second},
		"only the stock":    {config.Config{PaymentGateway: config.GatewaySimulator, SimulatorFast: true, RemoteInlineBudget: time.Second, WorkerConcurrency: 96}, time.Second},
		"simulator is slow": {config.Config{PaymentGateway: config.GatewaySimulator, RemoteInlineBudget: time.Second, WorkerConcurrency: 96}, 0},
		"no budget":         {config.Config{PaymentGateway: config.GatewayHTTP, WorkerConcurrency: 96}, 0},
		"no places":         {config.Config{PaymentGateway: config.GatewayHTTP, RemoteInlineBudget: time.Second, WorkerConcurrency: 3}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, (&Service{cfg: test.config}).gate().Budget())
		})
	}
}
