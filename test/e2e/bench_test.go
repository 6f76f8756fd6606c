package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheBenchmarkRuns: every scenario once, with a few orders. It does not check speed: it checks that the benchmark works, that its checks
// find no violation, and that it removes its databases.
func TestTheBenchmarkRuns(t *testing.T) {
	s := newStack(t)
	out := t.TempDir()
	bench := filepath.Join(out, "bench")
	build := exec.CommandContext(s.ctx, "go", "build", "-C", "../../bench", "-o", bench, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make bench builds it
	text, err := build.CombinedOutput()
	require.NoError(t, err, "%s", text)

	lost := exec.CommandContext(s.ctx, bench, "--binary", binary, "--quick")
	lost.Env = append(os.Environ(), "TEMPORAL_ADDRESS=")
	text, err = lost.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(text), "make bench", "it reports what is missing before it starts")

	before, err := s.db.Client().ListDatabaseNames(s.ctx, struct{}{})
	require.NoError(t, err)
	run := exec.CommandContext(s.ctx, bench, "--binary", binary, "--out", out, "--profile", filepath.Join(out, "profiles"), "--quick", "--rounds", "1", "--orders", "4", "--in-flight", "2", "--seed", "7")
	text, err = run.CombinedOutput()
	require.NoError(t, err, "%s", text)
	after, err := s.db.Client().ListDatabaseNames(s.ctx, struct{}{})
	require.NoError(t, err)
	require.Equal(t, before, after, "its databases are removed")

	raw, err := os.ReadFile(filepath.Join(out, "bench.json"))
	require.NoError(t, err)
	var report struct {
		Verdict   string `json:"verdict"`
		Scenarios []struct {
			Name    string `json:"name"`
			Unit    string `json:"unit"`
			Paced   bool   `json:"paced"`
			Part    bool   `json:"part"`
			Rounds  []struct{ PerSecond float64 }
			Latency struct{ Samples int }
			ToFloor struct{ Rounds int }
			Cost    *struct {
				HistoryEvents   float64
				MongoDBCommands map[string]float64
			}
		} `json:"scenarios"`
		Aims []struct {
			Scenario, Against string
			Want              float64
			Reached           *bool
		} `json:"aims"`
	}
	require.NoError(t, json.Unmarshal(raw, &report))
	require.Contains(t, report.Verdict, "none is lost")
	require.Greater(t, len(report.Scenarios), 20)
	for _, scenario := range report.Scenarios {
		require.Len(t, scenario.Rounds, 1, scenario.Name)
		require.Positive(t, scenario.Rounds[0].PerSecond, scenario.Name)
		require.Positive(t, scenario.Latency.Samples, scenario.Name)
		if scenario.Unit != "orders" {
			continue
		}
		require.Equal(t, !scenario.Paced && !scenario.Part, scenario.ToFloor.Rounds == 1, scenario.Name)
		require.NotNil(t, scenario.Cost, scenario.Name)
		require.Positive(t, scenario.Cost.HistoryEvents, scenario.Name)
		if scenario.Name == "rest" || scenario.Name == "naive" {
			require.Positive(t, scenario.Cost.MongoDBCommands["insert"], scenario.Name)
		}
		if scenario.Name == "regular" {
			require.Greater(t, scenario.Cost.HistoryEvents, 20.0, "its payments are activities of the history")
		}
	}
	for _, aim := range report.Aims {
		require.Equal(t, aim.Want > 0, aim.Reached != nil, "%s to %s", aim.Scenario, aim.Against)
	}
	for _, name := range []string{"floor-bench", "rest-serve", "apart-event-worker", "regular-serve", "replicas-3-hot-serve-3"} {
		require.FileExists(t, filepath.Join(out, "profiles", name+".pprof"))
	}
	for _, name := range []string{"bench.md", "bench.svg"} {
		require.FileExists(t, filepath.Join(out, name))
	}
}
