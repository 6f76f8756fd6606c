package e2e

import (
	"os/exec"
	"testing"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// command runs the service's binary and returns what it wrote.
func command(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	testenv.MongoDB(t)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
