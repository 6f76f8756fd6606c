package participantcheck_test

import (
	"bufio"
	"encoding/base64"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/participant/participanttest"
	"github.com/ordersaga/ordersaga/internal/participantcheck"
	"github.com/ordersaga/ordersaga/internal/simulator"
)

// TestReferenceServicePasses: the service that the client is tested with is correct.
func TestReferenceServicePasses(t *testing.T) {
	gateway, err := simulator.New(simulator.Config{Log: memlog.New()})
	require.NoError(t, err)
	payments, err := participanttest.NewPayments(gateway, "")
	require.NoError(t, err)
	goods, err := participanttest.NewStock(map[string]int64{"tea": 1000}, "")
	require.NoError(t, err)
	server, err := participanttest.New(payments, goods, "whsec_"+base64.StdEncoding.EncodeToString(secret))
	require.NoError(t, err)
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	for _, service := range []participantcheck.Service{participantcheck.Inventory, participantcheck.Payment} {
		report, err := participantcheck.Check(t.Context(), config(service, web.URL))
		require.NoError(t, err)
		require.Empty(t, failed(t, report))
	}
}

// startExample starts examples/participant, and returns its URL.
func startExample(t *testing.T, binary string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), "PARTICIPANT_SECRET=whsec_"+base64.StdEncoding.EncodeToString(secret))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, url, found := strings.Cut(strings.TrimSpace(line), "listening on ")
	require.True(t, found, line)
	return url
}
