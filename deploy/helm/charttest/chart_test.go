// Package charttest tests the Helm chart ordersaga: it renders every file of values in its folder ci with Helm's library and checks the objects
// with the types of the Kubernetes API. It needs no cluster.
package charttest

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

const (
	root  = "../../.."
	chart = "../ordersaga"
	// release and namespace are those of every rendering.
	release, namespace = "shop", "orders"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // Helm logs every symbolic link
	os.Exit(m.Run())
}

// readValues reads a file of the chart's folder ci.
func readValues(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart, "ci", name+".yaml"))
	require.NoError(t, err)
	values := make(map[string]any)
	require.NoError(t, yaml.UnmarshalStrict(text, &values))
	return values
}

// everyValues calls f with the name of each file in the chart's folder ci.
func everyValues(t *testing.T, f func(t *testing.T, name string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 4)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// render renders the chart as `helm template` does. The result is the text of each template.
func render(t *testing.T, values map[string]any) (map[string]string, error) {
	t.Helper()
	loaded, err := loader.LoadDir(chart)
	require.NoError(t, err)
	options := common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(loaded, values, options, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(loaded, all)
}

func TestLint(t *testing.T) {
	everyValues(t, func(t *testing.T, name string) {
		result := lint.RunAll(chart, readValues(t, name), namespace)
		for _, m := range result.Messages {
			require.Less(t, m.Severity, support.WarningSev, "%s", m)
		}
	})
}

// change returns a copy of the smallest values with one of them changed. The path has dots; nil deletes.
func change(t *testing.T, path string, value any) map[string]any {
	t.Helper()
	values := readValues(t, "minimal")
	at := values
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = make(map[string]any)
			at[name] = next
		}
		at = next
	}
	if value == nil {
		delete(at, names[len(names)-1])
	} else {
		at[names[len(names)-1]] = value
	}
	return values
}

// TestRequiredValues: without one of them nothing is rendered, and the message names it.
func TestRequiredValues(t *testing.T) {
	for path, value := range map[string]any{
		"image.repository": nil, "image.tag": nil, "auth.mode": nil, "secrets.existingSecret": nil,
		"config.TEMPORAL_ADDRESS": nil, "config.PAYMENT_GATEWAY": nil,
	} {
		_, err := render(t, change(t, path, value))
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "required")
	}
	for path, values := range map[string]map[string]any{
		"auth.issuer":                    change(t, "auth", map[string]any{"mode": "oidc", "audience": "a"}),
		"auth.audience":                  change(t, "auth", map[string]any{"mode": "keys,oidc", "issuer": "https://a"}),
		"ingress.host":                   change(t, "ingress", map[string]any{"enabled": true}),
		"secrets.variables.MONGODB_URI":  change(t, "secrets.variables", map[string]any{"MONGODB_URI": nil}),
		"secrets.variables.PAYLOAD_KEYS": change(t, "codecServer", map[string]any{"enabled": true}),
	} {
		_, err := render(t, values)
		require.ErrorContains(t, err, path)
	}
}

// TestWrongValuesAreRefused: the schema names the value.
func TestWrongValuesAreRefused(t *testing.T) {
	for path, value := range map[string]any{
		"mode":                               "all",
		"replicas":                           2,
		"auth.mode":                          "none",
		"auth.password":                      "secret",
		"image.digest":                       "latest",
		"image.pullPolicy":                   "Sometimes",
		"config.WORKER_CACHE":                1_000_000, // a number would be rendered as 1e+06
		"config.lower":                       "x",
		"secrets.existingSecret":             "Not A Name",
		"secrets.MONGODB_URI":                "mongodb://user:password@host",
		"shutdown.delaySeconds":              "10s",
		"shutdown.graceSeconds":              0,
		"service.port":                       70_000,
		"api.replicas":                       -1,
		"worker.replica":                     1,
		"consumer.autoscaling.maxReplicas":   "many",
		"api.disruptionBudget.minAvailable":  1,
		"extraWorkers.payments.queues":       "payments",
		"extraWorkers.api":                   map[string]any{},
		"extraWorkers.codec-server":          map[string]any{},
		"codecServer.hosts":                  []any{"codec.example.com"},
		"topologySpread.whenUnsatisfiable":   "Ignore",
		"networkPolicy.egress.mongodb.ports": []any{"mongodb"},
		"networkPolicy.egress.everything":    map[string]any{"ports": []any{1}},
		"serviceMonitor.interval":            "often",
		"securityContext":                    map[string]any{"runAsUser": 0},
		"migration.command":                  "true",
	} {
		_, err := render(t, change(t, path, value))
		require.Error(t, err, path)
		names := strings.Split(path, ".")
		for _, name := range names[max(0, len(names)-2):] {
			require.ErrorContains(t, err, name, path)
		}
	}
}

// TestConfigHasNoSecrets: config refuses every secret, and every setting that the chart sets itself.
func TestConfigHasNoSecrets(t *testing.T) {
	fixed := map[string]bool{
		"HTTP_ADDR": true, "METRICS_ADDR": true, "DEBUG_ADDR": true, "HTTP_HOSTS": true, "HTTP_TLS_CERT_FILE": true, "HTTP_TLS_KEY_FILE": true,
		"API_AUTH": true, "OIDC_ISSUER": true, "OIDC_AUDIENCE": true, "OIDC_SCOPES_CLAIM": true, "OIDC_CUSTOMER_CLAIM": true,
		"SHUTDOWN_DELAY": true, "SHUTDOWN_GRACE": true,
	}
	for name, secret := range settings(t) {
		if strings.HasSuffix(name, "*") {
			continue
		}
		for _, role := range []string{"", "worker."} {
			_, err := render(t, change(t, role+"config."+name, "x"))
			if secret || fixed[name] {
				require.ErrorContains(t, err, name)
			} else {
				require.NoError(t, err, name)
			}
		}
	}
}
