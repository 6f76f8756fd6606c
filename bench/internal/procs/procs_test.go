package procs_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/bench/internal/procs"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rest are the fields of a process that are not used here.
const rest = " 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0"

// fake is a /proc with one process whose name is as awkward as a name can be.
func fake(t *testing.T) procs.Reader {
	t.Helper()
	root := t.TempDir()
	write := func(path, text string) {
		full := filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o750))
		require.NoError(t, os.WriteFile(full, []byte(text), 0o600))
	}
	write("42/stat", "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 900000 1024 1844674407 1 1 0"+rest)
	write("7/stat", "7 (short) S 1 2")
	write("7/statm", "unreadable")
	write("50/stat", "50 (postgres) S 1 50 50 0 -1 4194560 100 0 0 0 100 0 200 100 20 0 9 0 1000 900000 1024 1844674407 1 1 0"+rest)
	write("50/statm", "5000 1000 800 1 0 1 0")
	write("51/stat", "51 (postgres) S 50 50 50 0 -1 4194560 100 0 0 0 300 100 0 0 20 0 9 0 1000 900000 1024 1844674407 1 1 0"+rest)
	write("51/statm", "5000 1500 900 1 0 1 0")
	write("stat", "cpu  100 10 50 700 40 5 5 90 3 3\ncpu0 1 2 3\n")
	write("net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+
		"   0: 0100007F:1C49 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5511 1 0\n"+
		"   1: 0100007F:1C4A 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 5512 1 0\n"+
		"   2: 0100007F:C001 0100007F:1538 01 00000000:00000000 00:00000000 00000000     0        0 5513 1 0\n"+
		"   3: 0100007F:C002 0100007F:1C49 01 00000000:00000000 00:00000000 00000000     0        0 5514 1 0\n"+
		"   4: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5520 1 0\n")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "42", "fd"), 0o750))
	require.NoError(t, os.Symlink("socket:[5511]", filepath.Join(root, "42", "fd", "3")))
	require.NoError(t, os.Symlink("socket:[5512]", filepath.Join(root, "42", "fd", "4")))
	require.NoError(t, os.Symlink("socket:[5513]", filepath.Join(root, "42", "fd", "5")))
	require.NoError(t, os.Symlink("socket:[5514]", filepath.Join(root, "42", "fd", "6")))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "50", "fd"), 0o750))
	require.NoError(t, os.Symlink("socket:[5520]", filepath.Join(root, "50", "fd", "3")))
	return procs.NewReader(root)
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

func TestMachineInfo(t *testing.T) {
	m, ok := fake(t).Machine()
	require.True(t, ok)
	require.Equal(t, procs.Machine{Busy: 2600 * time.Millisecond, Total: 10 * time.Second}, m)
	_, ok = procs.NewReader(t.TempDir()).Machine()
	require.False(t, ok)
}

// Ten seconds of processor time, of which six were used, four of them by the watched processes.
func TestUsageOfOtherProcesses(t *testing.T) {
	used := func(cpu time.Duration) map[string]procs.Usage { return map[string]procs.Usage{"service": {CPU: cpu}} }
	before := procs.Snapshot{Processes: used(time.Second), Machine: procs.Machine{Busy: 20 * time.Second, Total: 100 * time.Second}}
	after := procs.Snapshot{Processes: used(5 * time.Second), Machine: procs.Machine{Busy: 26 * time.Second, Total: 110 * time.Second}}
	require.InDelta(t, 0.2, after.Foreign(before), 1e-9)
	require.Zero(t, procs.Snapshot{Processes: used(5 * time.Second)}.Foreign(procs.Snapshot{Processes: used(0)}), "nothing is known")
}

func TestListenerOfPort(t *testing.T) {
	r := fake(t)
	pid, ok := r.Listener("127.0.0.1:7241")
	require.True(t, ok)
	require.Equal(t, 42, pid)
	for _, addr := range []string{"127.0.0.1:7242", "127.0.0.1:1", "db.example.com:7241", "10.0.0.1:7241", "nonsense"} {
		_, ok = r.Listener(addr)
		require.False(t, ok, addr)
	}
}

// A server's database is found by what the server is connected to, and counts with all its processes: the live ones and those that
// have ended. A server that talks to itself stores nowhere else.
func TestStoreOfServer(t *testing.T) {
	r := fake(t)
	require.Equal(t, map[int]string{50: "postgres"}, r.Behind(42))
	require.Empty(t, r.Behind(7))
	u, ok := r.OfFamily(50)
	require.True(t, ok)
	require.Equal(t, 8*time.Second, u.CPU)
	require.Equal(t, int64((200+600+900)*os.Getpagesize()), u.Resident, "what is shared counts once")
	_, ok = r.OfFamily(8)
	require.False(t, ok)

	w := procs.NewWatch(r)
	require.True(t, w.Server("temporal", "127.0.0.1:7241"))
	w.Stores("temporal")
	w.Stores("nobody")
	now := w.Now()
	require.Equal(t, 3*time.Second, now.Processes["temporal"].CPU)
	require.Equal(t, 8*time.Second, now.Processes["temporal's postgres"].CPU)
}

// Several processes of one name are looked at as one.
func TestProcessesOfOneName(t *testing.T) {
	w := procs.NewWatch(fake(t))
	w.Processes("service", 42, 51, 8)
	require.Equal(t, 7*time.Second, w.Now().Processes["service"].CPU)
	before := w.Now()
	w.Processes("service", 42)
	require.Zero(t, w.Now().Since(before)["service"], "what has gone takes nothing away")
}

func TestMissingProcFilesystem(t *testing.T) {
	w := procs.NewWatch(procs.NewReader(filepath.Join(t.TempDir(), "missing")))
	require.False(t, w.Server("mongodb", "127.0.0.1:27017"))
	w.Processes("service", os.Getpid())
	require.Empty(t, w.Now().Processes)
}

func TestWatchOfThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	w := procs.NewWatch(procs.NewReader("/proc"))
	require.True(t, w.Server("me", l.Addr().String()))
	before := w.Now()
	require.Positive(t, before.Processes["me"].Resident)
	used := w.Now().Since(before)
	require.Contains(t, used, "me")
	w.Processes("me")
	require.Empty(t, w.Now().Processes)
}
