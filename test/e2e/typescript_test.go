package e2e

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"net/http"

	"github.com/stretchr/testify/require"
)

// TestTypeScriptClient builds clients/typescript, compares its generated types with openapi.yaml, and runs its tests against the service. What it
// sends passes a proxy that holds it to openapi.yaml.
func TestTypeScriptClient(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "clients", "typescript")
	require.NoError(t, os.MkdirAll(folder, 0o750))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "api"), 0o750))
	document, err := os.ReadFile("../../api/openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "api", "openapi.yaml"), document, 0o600))
	s := newStack(t)
	nodeProject(t, folder, "../../clients/typescript", "src", "test")
	for _, script := range []string{"generate", "build"} {
		out, err := npm(s.ctx, folder, nil, "run", script)
		require.NoError(t, err, out)
	}
	generated, err := os.ReadFile(filepath.Join(folder, "src", "openapi.ts"))
	require.NoError(t, err)
	committed, err := os.ReadFile("../../clients/typescript/src/openapi.ts")
	require.NoError(t, err)
	require.Equal(t, string(committed), string(generated), "src/openapi.ts is not that of openapi.yaml: npm run generate in clients/typescript")

	service := s.start("API_AUTH=keys")
	target, err := url.Parse(service.URL)
	require.NoError(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: contract.transport(http.DefaultTransport),
	})
	defer proxy.Close()
	key := strings.TrimSpace(printed(t, append(environ(), "MONGODB_DATABASE="+s.database), "keys", "create", "--name", "shop", "--scopes",
		"orders:read,orders:write,refunds:write,stock:read,stock:write"))
	out, err := npm(s.ctx, folder, []string{"ORDERSAGA_URL=" + proxy.URL, "ORDERSAGA_API_KEY=" + key}, "test")
	require.NoError(t, err, out)
	require.Contains(t, out, "# skipped 0")
	s.audit()
}
