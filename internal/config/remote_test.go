package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
)

func TestLoadRemote(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("osk_secret\n"), 0o600))
	r, err := config.LoadRemote([]string{"ORDERSAGA_URL=https://orders.example.com/", "ORDERSAGA_API_KEY_FILE=" + file, "HTTP_ADDR=invalid"})
	require.NoError(t, err, "settings of a service are not checked")
	require.Equal(t, "https://orders.example.com", r.URL)
	require.Equal(t, "osk_secret", r.APIKey.Reveal())
	_, err = config.LoadRemote([]string{"ORDERSAGA_URL=orders.example.com"})
	require.ErrorContains(t, err, "ORDERSAGA_URL")
}
