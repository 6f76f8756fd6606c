package procs_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/bench/internal/procs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a /proc with one process whose name is as awkward as a name can be.
func fake(t *testing.T) procs.Reader {
	t.Helper()
	root := t.TempDir()
	write := func(path, text string) {
		full := filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o750))
		require.NoError(t, os.WriteFile(full, []byte(text), 0o600))
	}
	write("42/stat", "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 900000 1024 1844674407 1 1 0")
	write("7/stat", "7 (short) S 1 2")
	write("stat", "cpu  100 10 50 700 40 5 5 90 3 3\ncpu0 1 2 3\n")
	write("net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+
		"   0: 0100007F:1C49 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5511 1 0\n"+
		"   1: 0100007F:1C4A 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 5512 1 0\n")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "42", "fd"), 0o750))
	require.NoError(t, os.Symlink("socket:[5511]", filepath.Join(root, "42", "fd", "3")))
	require.NoError(t, os.Symlink("socket:[5512]", filepath.Join(root, "42", "fd", "4")))
	return procs.Reader{Root: root}
}

func TestUsage(t *testing.T) {
	r := fake(t)
	u, ok := r.Of(42)
	require.True(t, ok)
	require.Equal(t, 3*time.Second, u.CPU)
	require.Equal(t, int64(1024*os.Getpagesize()), u.Resident)
	for _, unknown := range []int{7, 8} {
		_, ok = r.Of(unknown)
		require.False(t, ok)
	}
}

func TestTheMachine(t *testing.T) {
	m, ok := fake(t).Machine()
	require.True(t, ok)
	require.Equal(t, procs.Machine{Busy: 2600 * time.Millisecond, Total: 10 * time.Second}, m)
	_, ok = procs.Reader{Root: t.TempDir()}.Machine()
	require.False(t, ok)
}

// Ten seconds of processor time, of which six were worked, four of them by whom we watch.
func TestWhatOthersUse(t *testing.T) {
	used := func(cpu time.Duration) map[string]procs.Usage { return map[string]procs.Usage{"service": {CPU: cpu}} }
	before := procs.Snapshot{Processes: used(time.Second), Machine: procs.Machine{Busy: 20 * time.Second, Total: 100 * time.Second}}
	after := procs.Snapshot{Processes: used(5 * time.Second), Machine: procs.Machine{Busy: 26 * time.Second, Total: 110 * time.Second}}
	require.InDelta(t, 0.2, after.Foreign(before), 1e-9)
	require.Zero(t, procs.Snapshot{Processes: used(5 * time.Second)}.Foreign(procs.Snapshot{Processes: used(0)}), "nothing is known")
}

func TestTheListenerOfAPort(t *testing.T) {
	r := fake(t)
	pid, ok := r.Listener("127.0.0.1:7241")
	require.True(t, ok)
	require.Equal(t, 42, pid)
	for _, addr := range []string{"127.0.0.1:7242", "127.0.0.1:1", "db.example.com:7241", "10.0.0.1:7241", "nonsense"} {
		_, ok = r.Listener(addr)
		require.False(t, ok, addr)
	}
}

func TestWithoutProcNothingIsKnown(t *testing.T) {
	w := procs.NewWatch(procs.Reader{Root: filepath.Join(t.TempDir(), "missing")})
	require.False(t, w.Server("mongodb", "127.0.0.1:27017"))
	w.Process("service", os.Getpid())
	require.Empty(t, w.Now().Processes)
}

func TestAWatchOverThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	w := procs.NewWatch(procs.Reader{Root: "/proc"})
	require.True(t, w.Server("me", l.Addr().String()))
	before := w.Now()
	require.Positive(t, before.Processes["me"].Resident)
	used := w.Now().Since(before)
	require.Contains(t, used, "me")
	w.Process("me", 0)
	require.Empty(t, w.Now().Processes)
}
