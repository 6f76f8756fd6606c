// Package schematest checks deployment files against the schemas of the programs that read them. Compose's own library loads docker-compose.yml with
// each of its profiles, and Grafana's own types decode the dashboards. It is a module of its own, so that neither is a dependency of the service.
package schematest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/stretchr/testify/require"
)

// root is the folder of docker-compose.yml.
var root = filepath.Join("..", "..")

// load loads a compose file as `docker compose` does: interpolation, schema, normalization, consistency.
func load(t *testing.T, dir string, environ []string, profiles ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "docker-compose.yml")},
		cli.WithWorkingDirectory(dir), cli.WithEnv(environ), cli.WithProfiles(profiles), cli.WithInterpolation(true), cli.WithConsistency(true), cli.WithNormalization(true))
	require.NoError(t, err)
	return options.LoadProject(context.Background())
}

func names(p *types.Project) []string {
	found := p.ServiceNames()
	slices.Sort(found)
	return found
}

func TestComposeFileIsValidInEveryProfile(t *testing.T) {
	always := []string{"mongo", "ordersaga", "postgresql", "rabbitmq", "temporal", "temporal-namespace", "temporal-schema", "temporal-ui"}
	plain, err := load(t, root, nil)
	require.NoError(t, err)
	require.Equal(t, always, names(plain))
	require.Empty(t, value(plain, "ordersaga", "OTEL_EXPORTER_OTLP_ENDPOINT"), "no traces without the profile")

	observed, err := load(t, root, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://traces:4318"}, "observability")
	require.NoError(t, err)
	all := append(slices.Clone(always), "prometheus", "grafana", "traces")
	slices.Sort(all)
	require.Equal(t, all, names(observed))
	require.Equal(t, "http://traces:4318", value(observed, "ordersaga", "OTEL_EXPORTER_OTLP_ENDPOINT"))

	for _, s := range observed.Services {
		for _, p := range s.Ports {
			require.Equal(t, "127.0.0.1", p.HostIP, "%s publishes %s", s.Name, p.Published)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				info, err := os.Stat(v.Source)
				require.NoError(t, err, "%s mounts a file that does not exist", s.Name)
				require.True(t, info.Mode().IsRegular(), v.Source)
				require.True(t, v.ReadOnly, "%s: %s", s.Name, v.Source)
			} else {
				require.Contains(t, observed.Volumes, v.Source, s.Name)
			}
		}
		if s.Restart == types.RestartPolicyUnlessStopped {
			require.NotNil(t, s.HealthCheck, s.Name)
		}
		for needed, how := range s.DependsOn {
			require.Contains(t, observed.Services, needed, s.Name)
			if how.Condition == types.ServiceConditionHealthy {
				require.NotNil(t, observed.Services[needed].HealthCheck, "%s waits for the health of %s", s.Name, needed)
			}
		}
	}
}

func value(p *types.Project, service, name string) string {
	if v := p.Services[service].Environment[name]; v != nil {
		return *v
	}
	return ""
}

// TestComposeMistakesAreFound: the check sees what it is for.
func TestComposeMistakesAreFound(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	for old, mistake := range map[string]string{
		"  grafana:\n    image:":                   "  grafana:\n    imagee:",
		"profiles: [observability]":                "profiles: observability",
		"start_period: 30s\n\nvolumes:":            "start_period: soon\n\nvolumes:",
		"temporal: {condition: service_healthy}":   "temporal: {condition: service_ready}",
		"      - prometheus-data:/prometheus\n":    "      - prometheus-date:/prometheus\n",
		"      mongo: {condition: service_healthy": "      mungo: {condition: service_healthy",
	} {
		require.Contains(t, string(text), old)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(strings.Replace(string(text), old, mistake, 1)), 0o600))
		_, err := load(t, dir, nil, "observability")
		require.Error(t, err, mistake)
	}
}

// decode decodes a dashboard strictly into Grafana's own types: an unknown or missing field is an error.
func decode(raw []byte) error {
	var d dashboard.Dashboard
	// What the library does not look into.
	var inside struct {
		Panels []struct {
			Title       string
			FieldConfig json.RawMessage
			Targets     []json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &inside); err != nil {
		return err
	}
	errs := []error{strictly(d.UnmarshalJSONStrict(raw)), d.Validate()}
	for _, p := range inside.Panels {
		errs = append(errs, strictly(new(dashboard.FieldConfigSource).UnmarshalJSONStrict(p.FieldConfig)))
		if len(p.Targets) == 0 {
			errs = append(errs, fmt.Errorf("panel %q has no query", p.Title))
		}
		for _, target := range p.Targets {
			decoder := json.NewDecoder(bytes.NewReader(target))
			decoder.DisallowUnknownFields()
			var q query
			errs = append(errs, decoder.Decode(&q), strictly(new(prometheus.Dataquery).UnmarshalJSONStrict(target)))
		}
	}
	return errors.Join(errs...)
}

// query is a query without the library's own decoding, which passes over unknown fields.
type query prometheus.Dataquery

// strictly is nil for an empty list of errors, which the library returns as an error.
func strictly(err error) error {
	var all cog.BuildErrors
	if errors.As(err, &all) && len(all) == 0 {
		return nil
	}
	return err
}

func TestDashboardsFitGrafanasSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "grafana", "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, decode(raw), file)
	}
}

// TestDashboardMistakesAreFound: the check sees what it is for.
func TestDashboardMistakesAreFound(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	raw, err := os.ReadFile(filepath.Join(root, "deploy", "grafana", "service.json"))
	require.NoError(t, err)
	for old, mistake := range map[string]string{
		`"legendFormat"`:      `"legend"`,
		`"gridPos"`:           `"gridPosition"`,
		`"schemaVersion": 39`: `"schemaVersion": "39"`,
		`"unit": "reqps"`:     `"units": "reqps"`,
		`"from": "now-1h"`:    `"since": "now-1h"`,
		`"editable": true`:    `"editable": "true"`,
		`"refId": "A"`:        `"refID": 1`,
	} {
		require.Contains(t, string(raw), old)
		require.Error(t, decode([]byte(strings.Replace(string(raw), old, mistake, 1))), mistake)
	}
}
