package sagatest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// What is recorded replays, and does not when the flow is another one.
func TestHistories(t *testing.T) {
	testenv.Temporal(t)
	dir, wrong := t.TempDir(), t.TempDir()
	cells := stayCells(nil)
	Record(t, dir, cells)
	require.Contains(t, failureOf(t, func(t testing.TB) { Histories(t, dir, cells.Flow) }), "has no history of the workflow stay")

	t.Setenv(recordVariable, "1")
	Record(t, dir, cells)
	files, err := filepath.Glob(filepath.Join(dir, "stay-*.json"))
	require.NoError(t, err)
	require.Len(t, files, len(cells.Journeys))
	Histories(t, dir, cells.Flow)

	other := stays()
	other.Steps = append(other.Steps[:6:6], other.Steps[7:]...)
	require.Contains(t, failureOf(t, func(t testing.TB) { Histories(t, dir, other) }), "does not replay")

	cells.Journeys[0].End = saga.Rejected
	require.Contains(t, failureOf(t, func(t testing.TB) { Record(t, wrong, cells) }), "the saga is completed, and not rejected")
	require.NoError(t, os.WriteFile(files[0], []byte("{"), 0o600))
	require.Contains(t, failureOf(t, func(t testing.TB) { Histories(t, dir, cells.Flow) }), "is no history")
}

func TestHistoriesRefusesEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	require.Contains(t, failureOf(t, func(t testing.TB) { Histories(t, dir, stays()) }), "has no history of the workflow stay")
}
