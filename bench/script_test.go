package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// The script for Temporal on PostgreSQL is for every shell. Without a command it says what it does, and does nothing.
func TestPostgresScript(t *testing.T) {
	text, err := exec.CommandContext(t.Context(), "sh", "-n", "temporal-postgres").CombinedOutput()
	require.NoError(t, err, "%s", text)
	text, err = exec.CommandContext(t.Context(), "./temporal-postgres").CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())
	require.Contains(t, string(text), "bench/temporal-postgres exec -- make bench")
	require.NotContains(t, string(text), "set -eu", "the comment ends there")
}
