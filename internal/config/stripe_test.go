package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
)

// TestStripeNeedsItsSecrets: a service that takes money, or receives webhooks, without one of them must not start.
func TestStripeNeedsItsSecrets(t *testing.T) {
	gateway, key, secret := "PAYMENT_GATEWAY=stripe", "STRIPE_API_KEY=rk_test_1", "STRIPE_WEBHOOK_SECRET=whsec_1"
	c, err := config.Load([]string{gateway, key, secret})
	require.NoError(t, err)
	require.Equal(t, config.GatewayStripe, c.PaymentGateway)
	for _, environ := range [][]string{
		{gateway, key}, {gateway, secret}, {gateway, "STRIPE_API_KEY=pk_test_1", secret}, {gateway, key, "STRIPE_WEBHOOK_SECRET=secret"}, {gateway, "STRIPE_API_KEY=sk_", secret},
	} {
		_, err := config.Load(environ)
		require.ErrorContains(t, err, "STRIPE_", environ)
	}
	_, err = config.Load([]string{gateway, "STRIPE_API_KEY=pk_live_public", secret})
	require.NotContains(t, err.Error(), "pk_live_public")
}
