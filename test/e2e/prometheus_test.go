package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// prometheus is a Prometheus that scrapes a service every second and evaluates the rules; nil where none is installed.
type prometheus struct {
	*testing.T
	client harness.Client
}

// startPrometheus starts the server of Debian's package prometheus.
func startPrometheus(t *testing.T, service string) *prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		require.Empty(t, os.Getenv("ORDERSAGA_REQUIRE_PROMTOOL"), "prometheus is not installed")
		t.Log("prometheus is not installed: the queries of the dashboards are not executed")
		return nil
	}
	rules, err := filepath.Abs(filepath.Join("..", "..", "deploy", "prometheus", "rules.yml"))
	require.NoError(t, err)
	folder := t.TempDir()
	config := filepath.Join(folder, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: ordersaga, static_configs: [{targets: [%q]}]}]
`, rules, strings.TrimPrefix(service, "http://")), 0o600))
	address, err := harness.FreeAddr()
	require.NoError(t, err)
	server := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address, "--log.level=error")
	server.Stdout, server.Stderr = os.Stderr, os.Stderr
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	p := &prometheus{T: t, client: harness.Client{URL: "http://" + address}}
	require.Eventually(t, func() bool {
		answer, err := p.client.Do(t.Context(), http.MethodGet, "/-/ready", nil)
		return err == nil && answer.Status == http.StatusOK
	}, patience, tick)
	return p
}

// ask asks the API of Prometheus.
func (p *prometheus) ask(path string, values url.Values, into any) error {
	answer, err := p.client.Do(p.Context(), http.MethodGet, path+"?"+values.Encode(), nil)
	if err != nil {
		return err
	}
	envelope := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.Unmarshal(answer.Body, &envelope); err != nil {
		return err
	}
	if envelope.Status != "success" {
		return fmt.Errorf("%s: %s", values.Get("query"), envelope.Error)
	}
	return nil
}

// hasNumbers reports whether a query has returned a number at any time of the last minutes.
func (p *prometheus) hasNumbers(query string) bool {
	var found struct {
		Result []struct{ Values [][2]any }
	}
	now := time.Now()
	require.NoError(p, p.ask("/api/v1/query_range", url.Values{
		"query": {query}, "start": {strconv.FormatInt(now.Add(-5*time.Minute).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)}, "step": {"1"},
	}, &found))
	for _, series := range found.Result {
		for _, value := range series.Values {
			if n, err := strconv.ParseFloat(fmt.Sprint(value[1]), 64); err == nil && !math.IsNaN(n) {
				return true
			}
		}
	}
	return false
}

// answersDashboards executes every query of every panel, and of the variables.
func (p *prometheus) answersDashboards(folder string) {
	if p == nil {
		return
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(p, err)
	require.NotEmpty(p, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(p, err)
		var dashboard struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
			Templating struct {
				List []struct {
					Type  string
					Query any
				}
			}
		}
		require.NoError(p, json.Unmarshal(text, &dashboard))
		for _, v := range dashboard.Templating.List {
			query, _ := v.Query.(string)
			name, isLabels := strings.CutPrefix(strings.TrimSuffix(query, ")"), "label_values(")
			if !isLabels {
				continue
			}
			metric, label, _ := strings.Cut(name, ", ")
			var values []string
			require.NoError(p, p.ask("/api/v1/label/"+label+"/values", url.Values{"match[]": {metric}}, &values))
			require.NotEmpty(p, values, query)
		}
		for _, panel := range dashboard.Panels {
			for _, target := range panel.Targets {
				query := strings.NewReplacer("$__rate_interval", "10s", "$flow", ".+").Replace(target.Expr)
				require.Eventually(p, func() bool { return p.hasNumbers(query) }, time.Minute, tick, "%s: %s: %s has no data", filepath.Base(file), panel.Title, query)
			}
		}
	}
}

// evaluatesRules waits until every rule was evaluated, none of them with an error.
func (p *prometheus) evaluatesRules() {
	if p == nil {
		return
	}
	var groups struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	require.Eventually(p, func() bool {
		require.NoError(p, p.ask("/api/v1/rules", nil, &groups))
		count := 0
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				count++
				require.NotEqual(p, "err", r.Health, "%s: %s", r.Name, r.LastError)
				if r.Health != "ok" {
					return false
				}
			}
		}
		return count > 0
	}, patience, tick, "%v", lazy(func() string { return fmt.Sprint(groups) }))
}
