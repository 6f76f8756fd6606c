package charttest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var settingRow = regexp.MustCompile("(?m)^\\| `([A-Z0-9_*]+)` \\|.*$")

// settings returns the name of every setting of the service, and whether it is a secret. `make docs` writes the page that it reads.
func settings(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "reference", "configuration.md"))
	require.NoError(t, err)
	secret := make(map[string]bool)
	for _, row := range settingRow.FindAllStringSubmatch(string(text), -1) {
		secret[row[1]] = strings.Contains(row[0], " Secret")
	}
	require.True(t, secret["MONGODB_URI"])
	require.Contains(t, secret, "HTTP_ADDR")
	return secret
}
