package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/leaks"
)

// The test binary plays the launcher, the keeper, and an embedded server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case KeepCommand:
			os.Exit(Keep(os.Args[2:]))
		case "launcher": // starts a program, tells its process id, and waits
			p, err := Start(Spec{Args: os.Args[2:], Env: os.Environ(), Foreign: true})
			if err != nil {
				panic(err)
			}
			os.Exit(p.ExitCode())
		case "embedded":
			WatchLifeline()
			fmt.Println(os.Getpid())
			select {}
		}
	}
	leaks.Main(m)
}

const patience = 2 * time.Minute

// output gives a Spec something to write to, and the test its lines.
func output(t *testing.T) (*os.File, *bufio.Scanner) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := read.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close(); write.Close() })
	return write, bufio.NewScanner(read)
}

func start(t *testing.T, spec Spec) *Process {
	t.Helper()
	spec.Env = append(os.Environ(), spec.Env...)
	p, err := Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done() })
	return p
}

func readPID(t *testing.T, lines *bufio.Scanner) int {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("no line: %v", lines.Err())
	}
	pid, err := strconv.Atoi(lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func await(t *testing.T, p *Process) int {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	return p.ExitCode()
}

// awaitGone waits for a process that is not ours to wait for.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for alive(pid) {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// alive counts a zombie as dead: the process that adopted it may reap it later.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestExitCodes(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		if code := await(t, start(t, Spec{Args: []string{"sh", "-c", script}, Foreign: true})); code != want {
			t.Errorf("%s: exit code %d, want %d", script, code, want)
		}
	}
	if code := await(t, start(t, Spec{Args: []string{"/nowhere/to/be/found"}, Foreign: true})); code != 127 {
		t.Errorf("missing program: exit code %d, want 127", code)
	}
	if _, err := Start(Spec{}); err == nil {
		t.Error("no command line, no error")
	}
}

func TestSignalsReachTheProgramOrItsGroup(t *testing.T) {
	for _, group := range []bool{false, true} {
		log, lines := output(t)
		p := start(t, Spec{
			Args: []string{"sh", "-c", `trap 'echo program; exit 9' TERM
				(trap 'echo child; exit' TERM; echo up; while :; do sleep 1000 & wait; done) &
				wait; wait`},
			Foreign: true, Group: group, Log: log,
		})
		lines.Scan()
		p.Signal(syscall.SIGTERM)
		if code := await(t, p); code != 9 {
			t.Errorf("exit code %d, want 9", code)
		}
		log.Close()
		told := make(map[string]bool)
		for lines.Scan() {
			told[lines.Text()] = true
		}
		if !told["program"] || told["child"] && !group {
			t.Errorf("group %t: %v were told", group, told)
		}
	}
}

func TestKillEndsDescendants(t *testing.T) {
	log, lines := output(t)
	p := start(t, Spec{Args: []string{"sh", "-c", `setsid sh -c 'trap "" TERM; echo $$; sleep 1000; :' & wait`}, Foreign: true, Log: log})
	grandchild := readPID(t, lines)
	p.Kill()
	if code := await(t, p); code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit code %d", code)
	}
	if alive(grandchild) {
		t.Error("the grandchild is alive although the keeper has ended")
	}
}

func TestProgramExitEndsDescendants(t *testing.T) {
	log, lines := output(t)
	p := start(t, Spec{
		Args:    []string{"sh", "-c", `trap 'exit 4' TERM; sh -c 'trap "" TERM; echo $$; sleep 1000; :' & wait`},
		Foreign: true, Log: log,
	})
	grandchild := readPID(t, lines)
	p.Signal(syscall.SIGTERM)
	if code := await(t, p); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	if alive(grandchild) {
		t.Error("the grandchild is alive although the keeper has ended")
	}
}

func TestEmbeddedServerEndsWithItsParent(t *testing.T) {
	log, lines := output(t)
	p := start(t, Spec{Args: []string{os.Args[0], "embedded"}, Log: log})
	if pid := readPID(t, lines); pid != p.PID() {
		t.Errorf("process id %d, want %d", pid, p.PID())
	}
	p.cutLifeline()
	await(t, p)
}

func TestLauncherDeathEndsAllProcesses(t *testing.T) {
	log, lines := output(t)
	launcher := exec.Command(os.Args[0], "launcher", "sh", "-c", `echo $PPID; setsid sh -c 'echo $$; sleep 1000; :' & wait`)
	launcher.Stdout = log
	if err := launcher.Start(); err != nil {
		t.Fatal(err)
	}
	first, second := readPID(t, lines), readPID(t, lines) // keeper and grandchild, in any order
	if err := launcher.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = launcher.Wait() // killed
	awaitGone(t, first)
	awaitGone(t, second)
}

func TestBelow(t *testing.T) {
	parents := map[int]int{2: 1, 3: 1, 4: 2, 5: 4, 6: 9}
	if got := below(2, parents); fmt.Sprint(got) != "[4 5]" {
		t.Errorf("below(2) = %v, want [4 5]", got)
	}
	if got := below(7, parents); len(got) != 0 {
		t.Errorf("below(7) = %v", got)
	}
}
