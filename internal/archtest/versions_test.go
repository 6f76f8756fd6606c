package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var requirement = regexp.MustCompile(`(?m)^(?:require)?\s+(\S+) (v\S+)(?: // indirect)?$`)

// requirements returns the versions of the modules that a go.mod requires.
func requirements(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	versions := make(map[string]string)
	for _, match := range requirement.FindAllStringSubmatch(string(text), -1) {
		versions[match[1]] = match[2]
	}
	require.NotEmpty(t, versions)
	return versions
}

// TestServiceAndDevstackShareVersions: a package that the service and devstack import is compiled once only if both require the same version
// of its module. A different version of the protobuf module alone adds minutes to the first build.
func TestServiceAndDevstackShareVersions(t *testing.T) {
	service := requirements(t, "go.mod")
	for path, version := range requirements(t, "devstack/go.mod") {
		if other := service[path]; other != "" && other != version {
			t.Errorf("%s: go.mod requires %s, devstack/go.mod requires %s", path, other, version)
		}
	}
}
