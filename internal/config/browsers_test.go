package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
)

func TestHostsAndOriginsAreNormalized(t *testing.T) {
	c, err := config.Load([]string{
		"HTTP_ADDR=Orders.internal:8080", "PAYMENT_GATEWAY=simulator",
		"HTTP_HOSTS=Orders.example.com, *.svc.cluster.local,my_host.", "HTTP_CORS_ORIGINS=https://Shop.example.com:443/, http://localhost:3000,http://[::1]:80",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"orders.example.com", "*.svc.cluster.local", "my_host", "orders.internal"}, c.Hosts())
	require.Equal(t, []string{"https://shop.example.com", "http://localhost:3000", "http://[::1]"}, c.HTTPCORSOrigins)
}

func TestDefaultHostsAndOrigins(t *testing.T) {
	for _, environ := range [][]string{nil, {"HTTP_ADDR=:8080", "PAYMENT_GATEWAY=simulator"}, {"HTTP_ADDR=[::1]:8080"}} {
		c, err := config.Load(environ)
		require.NoError(t, err)
		require.Empty(t, c.Hosts())
		require.Empty(t, c.HTTPCORSOrigins)
	}
}

func TestWrongHostsAndOriginsAreRefused(t *testing.T) {
	for _, wrong := range []string{
		"HTTP_HOSTS=orders.example.com:8080", "HTTP_HOSTS=http://orders.example.com", "HTTP_HOSTS=a,,b", "HTTP_HOSTS=10.0.0.1", "HTTP_HOSTS=*a.example",
		"HTTP_HOSTS=a.*.example", "HTTP_HOSTS=a b", "HTTP_CORS_ORIGINS=*", "HTTP_CORS_ORIGINS=null", "HTTP_CORS_ORIGINS=https://*.example.com",
		"HTTP_CORS_ORIGINS=shop.example.com", "HTTP_CORS_ORIGINS=https://shop.example.com/path", "HTTP_CORS_ORIGINS=https://u@shop.example.com",
		"HTTP_CORS_ORIGINS=https://a.example https://b.example", "HTTP_CORS_ORIGINS=ftp://shop.example.com",
	} {
		require.Len(t, problemsOf(t, wrong), 1, wrong)
	}
}
