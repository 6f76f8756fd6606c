package metricsdoc

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/ordersaga/ordersaga/internal/testdoc"
)

var root = filepath.Join("..", "..")

// TestDashboardsAndRulesNameMetricsThatExist looks at the metrics of the service; TestMetrics, on a scrape, at those of other packages, too.
func TestDashboardsAndRulesNameMetricsThatExist(t *testing.T) {
	all, err := All()
	require.NoError(t, err)
	used, err := Used(root)
	require.NoError(t, err)
	require.Len(t, used, 4)
	for file, names := range used {
		require.NotEmpty(t, names, file)
		for _, name := range names {
			if strings.HasPrefix(name, "ordersaga_") {
				assert.True(t, slices.ContainsFunc(all, func(m Metric) bool { return m.Name == name }), "%s: there is no metric %s", file, name)
			}
		}
	}
}

func TestDashboardsAreDashboards(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "deploy", "grafana", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	uids := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var d struct {
			UID, Title string
			Panels     []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		require.NoError(t, json.Unmarshal(text, &d), file)
		require.NotEmpty(t, d.Title)
		require.False(t, uids[d.UID], "%s is used twice", d.UID)
		uids[d.UID] = true
		require.NotEmpty(t, d.Panels)
		for _, p := range d.Panels {
			require.NotEmpty(t, p.Title)
			require.NotEmpty(t, p.Targets, p.Title)
			for _, target := range p.Targets {
				require.NotEmpty(t, target.Expr, p.Title)
			}
		}
	}
}

// TestAlertsHaveRunbooks: each alert links to a heading of the documentation, and has a test.
func TestAlertsHaveRunbooks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "rules.yml"))
	require.NoError(t, err)
	tests, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "rules_test.yml"))
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Annotations map[string]string `yaml:"annotations"`
				Labels      map[string]string `yaml:"labels"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(text, &rules))
	anchors := make(map[string]map[string]bool)
	for _, p := range testdoc.Pages(t, root) {
		anchors[p.Path] = p.Anchors()
	}
	alerts := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			alerts++
			page, ok := strings.CutPrefix(r.Annotations["runbook_url"], "https://github.com/ordersaga/ordersaga/blob/main/")
			require.True(t, ok, r.Alert)
			path, anchor, hasAnchor := strings.Cut(page, "#")
			require.Contains(t, anchors, path, r.Alert)
			require.True(t, !hasAnchor || anchors[path][anchor], "%s: %s has no heading %s", r.Alert, path, anchor)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
			require.Contains(t, string(tests), "alertname: "+r.Alert, "rules_test.yml has no test of %s", r.Alert)
		}
	}
	require.Greater(t, alerts, 10)
}

// TestRules runs the tests of the rules with promtool, where it is installed: it is in Debian's package prometheus.
func TestRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("ORDERSAGA_REQUIRE_PROMTOOL") != "" {
			t.Fatal("promtool is not installed")
		}
		t.Skip("promtool is not installed")
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}} {
		command := exec.CommandContext(t.Context(), promtool, args...)
		command.Dir = filepath.Join(root, "deploy", "prometheus")
		said, err := command.CombinedOutput()
		require.NoError(t, err, "%s", said)
	}
}
