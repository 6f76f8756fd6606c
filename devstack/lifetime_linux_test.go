package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/ports"
	"github.com/ordersaga/ordersaga/devstack/internal/rabbitmq"
)

// patience bounds every wait of these tests, a broker's start included: it is
// longer than devstack's own limits.
const patience = 12 * time.Minute

// markVariable is set for devstack and inherited by all that it starts.
const markVariable = "DEVSTACK_TEST_MARK"

// devstack is one run of the real program.
type devstack struct {
	t     *testing.T
	cmd   *exec.Cmd
	mark  string
	lines chan string // what the command prints
	ended chan struct{}
	log   string // the file with the output of devstack
}

func startDevstack(t *testing.T, args ...string) *devstack {
	t.Helper()
	tmp := t.TempDir()
	d := &devstack{
		t:     t,
		mark:  strconv.FormatInt(time.Now().UnixNano(), 36) + t.Name(),
		lines: make(chan string, 100),
		ended: make(chan struct{}),
		log:   filepath.Join(tmp, "devstack.log"),
	}
	// A process that runs at the same time must not get the same ports.
	if err := os.MkdirAll(ports.SharedDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(ports.SharedDir(), filepath.Join(tmp, filepath.Base(ports.SharedDir()))); err != nil {
		t.Fatal(err)
	}
	d.cmd = exec.Command(os.Args[0], args...)
	d.cmd.Env = append(os.Environ(), asDevstack+"=1", markVariable+"="+d.mark, "TMPDIR="+tmp,
		"DEVSTACK_CONTROL=", "DEVSTACK_EXTERNAL=", "DEVSTACK_ONLY=", "DEVSTACK_HOME=")
	// A file and a pipe of our own: Wait must not wait for others who hold them.
	log, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stdout, d.cmd.Stderr = write, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	log.Close()
	go func() {
		defer close(d.lines)
		for scanner := bufio.NewScanner(read); scanner.Scan(); {
			d.lines <- scanner.Text()
		}
		_ = read.Close()
	}()
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.ended
		// What still writes there would keep the folder from being removed.
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for left := d.left(); len(left) > 0; left = d.left() {
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			<-ticker.C
		}
	})
	return d
}

// output returns the output of devstack so far.
func (d *devstack) output() string {
	d.t.Helper()
	text, err := os.ReadFile(d.log)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// line returns the next line that the command prints.
func (d *devstack) line() string {
	d.t.Helper()
	select {
	case line, ok := <-d.lines:
		if ok {
			return line
		}
		<-d.ended
		d.t.Fatalf("the command prints nothing more; output:\n%s", d.output())
	case <-time.After(patience):
		d.t.Fatalf("the command prints nothing; output:\n%s", d.output())
	}
	return ""
}

// code waits for the end and returns the exit code, as a shell would.
func (d *devstack) code() int {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatalf("devstack does not end; output:\n%s", d.output())
	}
	status := d.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// left lists the living processes that devstack has started, directly or not.
func (d *devstack) left() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		environment, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(environment, []byte(markVariable+"="+d.mark)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && pid != d.cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitRunning waits until at least so many processes run that devstack has
// started: after a fork, it takes a moment until each is what it will be.
func (d *devstack) awaitRunning(many int) {
	d.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for len(d.left()) < many {
		select {
		case <-ticker.C:
		case <-deadline:
			d.t.Fatalf("only %d of %d processes carry the mark: the test would prove nothing", len(d.left()), many)
		}
	}
}

// assertNothingLeft waits a moment for processes that are ending.
func (d *devstack) assertNothingLeft() {
	d.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for {
		left := d.left()
		if len(left) == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			for _, pid := range left {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				d.t.Errorf("still running: %d %s", pid, bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
			}
			return
		}
	}
}

// family is a command with descendants: in its group, in a session of their
// own, and deaf to signals. It prints its process id when all were begun.
const family = `sleep 1000 &
setsid sh -c 'trap "" INT TERM HUP; sleep 1000 & sleep 1000' &
setsid sh -c 'setsid sleep 1000 & exit 0'
echo $$
wait`

func TestNoProcessSurvives(t *testing.T) {
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL}
	for _, target := range []string{"command", "devstack"} {
		for _, sig := range signals {
			t.Run(fmt.Sprintf("%v to %s", sig, target), func(t *testing.T) {
				t.Parallel()
				d := startDevstack(t, "exec", "--only", "temporal,ui,mongodb", "--", "sh", "-c", family)
				command, err := strconv.Atoi(d.line())
				if err != nil {
					t.Fatal(err)
				}
				d.awaitRunning(10) // 3 servers, a keeper, a shell, 5 of its family
				pid := command
				if target == "devstack" {
					pid = d.cmd.Process.Pid
				}
				if err := syscall.Kill(pid, sig); err != nil {
					t.Fatal(err)
				}
				if code := d.code(); code != 128+int(sig) {
					t.Errorf("exit code %d, want %d; output:\n%s", code, 128+int(sig), d.output())
				}
				d.assertNothingLeft()
			})
		}
	}
}

// TestBrokerDoesNotSurvive covers the daemon among the components: epmd leaves
// its parent, its group and its session when the node starts it.
func TestBrokerDoesNotSurvive(t *testing.T) {
	if _, ok := rabbitmq.Find(); !ok && os.Getenv(rabbitmq.InstallationVariable) == "" {
		t.Skip("RabbitMQ is not installed")
	}
	t.Parallel()
	d := startDevstack(t, "exec", "--only", "rabbitmq", "--", "sh", "-c", `echo up; "$DEVSTACK_BIN" kill rabbitmq; "$DEVSTACK_BIN" start rabbitmq; sleep 1000`)
	for _, want := range []string{"up", "rabbitmq is killed", "rabbitmq  ready"} {
		if got := d.line(); !strings.HasPrefix(got, want) {
			t.Fatalf("the command prints %q, want %q", got, want)
		}
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.code()
	d.assertNothingLeft()
}

func TestCommandDrains(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		d := startDevstack(t, "exec", "--only", "mongodb", "--drain", patience.String(), "--", "sh", "-c",
			`trap 'echo told; "$DEVSTACK_BIN" stop mongodb; exit 5' INT TERM; echo up; while :; do sleep 1000 & wait; done`)
		d.line()
		if err := d.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		// The servers run until it has ended, and it gets the signal once.
		for _, want := range []string{"told", "mongodb is stopped"} {
			if got := d.line(); got != want {
				t.Errorf("after %v the command prints %q, want %q", sig, got, want)
			}
		}
		if code := d.code(); code != 5 {
			t.Errorf("exit code %d, want the command's own, 5", code)
		}
		if line, more := <-d.lines; more {
			t.Errorf("the command prints %q too", line)
		}
		d.assertNothingLeft()
	}
}

func TestHangingCommandIsKilled(t *testing.T) {
	t.Parallel()
	d := startDevstack(t, "exec", "--only", "ui,temporal", "--drain", "50ms", "--", "sh", "-c", `trap "" TERM; echo up; while :; do sleep 1000; done`)
	d.line()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := d.code(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d, want %d", code, 128+int(syscall.SIGKILL))
	}
	d.assertNothingLeft()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"exit 0": 0, "exit 42": 42, "kill -SEGV $$": 139} {
		d := startDevstack(t, "exec", "--only", "mongodb", "--", "sh", "-c", script)
		if code := d.code(); code != want {
			t.Errorf("%s: exit code %d, want %d", script, code, want)
		}
	}
	if code := startDevstack(t, "exec", "--only", "mongodb", "--", "no-such-command").code(); code != 127 {
		t.Errorf("missing command: exit code %d, want 127", code)
	}
}

func TestComponentsAreControlled(t *testing.T) {
	t.Parallel()
	d := startDevstack(t, "exec", "--only", "temporal,mongodb", "--", "sh", "-c",
		`echo up; for c in temporal mongodb; do for a in kill kill start start stop start; do "$DEVSTACK_BIN" $a $c; done; done; "$DEVSTACK_BIN" stop ui || echo refused`)
	d.line()
	for _, component := range []string{"temporal", "mongodb"} {
		for _, want := range []string{" is killed", " was not running", " ready in", " is running", " is stopped", " ready in"} {
			if got := d.line(); !strings.HasPrefix(got, component) || !strings.Contains(got, want) {
				t.Errorf("devstack says %q, want %s%s", got, component, want)
			}
		}
	}
	if got := d.line(); got != "refused" {
		t.Errorf("stop ui: %q", got)
	}
	if code := d.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d.assertNothingLeft()
}

func TestUnexpectedExitIsReportedAndTheCommandContinues(t *testing.T) {
	t.Parallel()
	// The server is the process with its configuration on the command line.
	d := startDevstack(t, "exec", "--only", "mongodb", "--", "sh", "-c",
		`for p in /proc/[0-9]*; do
			if tr '\0' ' ' <"$p/cmdline" | grep -q "internal-serve mongodb.*$TMPDIR"; then kill -9 "${p#/proc/}"; fi
		done
		until "$DEVSTACK_BIN" start mongodb | grep -q ready; do :; done
		exit 3`)
	if code := d.code(); code != 3 {
		t.Errorf("exit code %d, want the command's own, 3", code)
	}
	if !strings.Contains(d.output(), "mongodb ended on its own (exit code 137)") {
		t.Errorf("devstack does not report the end:\n%s", d.output())
	}
}

func TestUpHoldsItsState(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	first := startDevstack(t, "up", "--home", home, "--only", "mongodb")
	var exports []string
	for {
		line := first.line()
		exports = append(exports, line)
		if strings.HasPrefix(line, "export DEVSTACK_CONTROL=") {
			break
		}
	}
	if !strings.Contains(strings.Join(exports, "\n"), "export MONGODB_URI='mongodb://127.0.0.1:") {
		t.Errorf("no MONGODB_URI among %q", exports)
	}

	second := startDevstack(t, "up", "--home", home, "--only", "mongodb")
	if code := second.code(); code != 1 || !strings.Contains(second.output(), "is in use by the devstack with process id "+strconv.Itoa(first.cmd.Process.Pid)) {
		t.Errorf("second up: exit code %d and\n%s", code, second.output())
	}
	env := startDevstack(t, "env", "--home", home)
	for _, want := range exports {
		if got := env.line(); got != want {
			t.Errorf("env prints %q, want %q", got, want)
		}
	}

	if err := first.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := first.code(); code != 0 {
		t.Errorf("exit code %d after Ctrl-C, want 0", code)
	}
	first.assertNothingLeft()
}
