package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// older is the commit whose binary opens sagas before an upgrade: the first that knows parcels. Runs that it started must continue on this
	// version. It is replaced when a release says that histories of earlier versions do not replay.
	older = "47660f9f30ccd3a639937325390244cf744571c2"
	// historyRequired makes the test fail where the clone does not have that commit.
	historyRequired = "ORDERSAGA_REQUIRE_HISTORY"
)

// olderBinary builds the service of an older commit. It is kept in the user's cache: a commit always has the same content.
func olderBinary(t *testing.T) string {
	t.Helper()
	contract.suspend(t)
	root := filepath.Join("..", "..")
	if out, err := exec.Command("git", "-C", root, "cat-file", "-e", older+"^{commit}").CombinedOutput(); err != nil {
		if os.Getenv(historyRequired) != "" {
			t.Fatalf("commit %s is missing: %v %s", older, err, out)
		}
		t.Skipf("commit %s is missing, from which the older binary is built: git fetch --unshallow", older)
	}
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	folder := filepath.Join(cache, "ordersaga")
	path := filepath.Join(folder, "ordersaga-"+older[:12]+"-"+runtime.GOOS+"-"+runtime.GOARCH)
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&fs.ModePerm&0o100 != 0 {
		return path
	}
	require.NoError(t, os.MkdirAll(folder, 0o750))
	began := time.Now()
	work, err := os.MkdirTemp(folder, "build-") //nolint:usetesting // the result is renamed within this folder
	require.NoError(t, err)
	defer os.RemoveAll(work)
	archive := filepath.Join(work, "source.tar")
	run := func(dir, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(environ(), "CGO_ENABLED=0", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
	}
	run(root, "git", "archive", "--output="+archive, older)
	run(work, "tar", "-xf", archive)
	run(work, "go", "build", "-buildvcs=false", "-o", "built", "./cmd/ordersaga")
	// Processes that build it at the same time build the same.
	require.NoError(t, os.Rename(filepath.Join(work, "built"), path))
	t.Logf("the older binary was built in %s", time.Since(began).Round(time.Second))
	return path
}

// with runs a function during which the tests start another binary.
func (s *stack) with(other string, run func()) {
	s.t.Helper()
	ours := binary
	binary = other
	defer func() { binary = ours }()
	run()
}
