package e2e

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// command runs the binary of the service and returns its output.
func command(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	testenv.MongoDB(t)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// printed runs a command that must succeed and returns its output without log lines: on a slow machine a command logs slow calls.
func printed(t *testing.T, env []string, args ...string) string {
	t.Helper()
	testenv.MongoDB(t)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var logged bytes.Buffer
	cmd.Env, cmd.Stderr = env, &logged
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, &logged)
	return string(out)
}
