package process

import (
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestSweepFindsProcessesOfKilledSupervisor is the case that no pipe covers.
func TestSweepFindsProcessesOfKilledSupervisor(t *testing.T) {
	mark, orphan := orphaned(t)
	Sweep(mark, patience)
	if left := Marked(mark); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	awaitGone(t, orphan)
}

// TestLateSweepKillsProcesses: a launcher that was suspended has no time left.
func TestLateSweepKillsProcesses(t *testing.T) {
	mark, orphan := orphaned(t)
	Sweep(mark, 0)
	awaitGone(t, orphan)
}

// orphaned returns the mark and the id of a process whose keeper was killed.
func orphaned(t *testing.T) (mark string, orphan int) {
	t.Helper()
	mark = "test." + strconv.FormatInt(time.Now().UnixNano(), 36)
	log, lines := output(t)
	p := start(t, Spec{
		Args:    []string{"sh", "-c", `setsid sh -c 'echo $$; sleep 1000; :' & wait`},
		Env:     []string{MarkVariable + "=" + mark},
		Foreign: true, Log: log,
	})
	orphan = readPID(t, lines)
	p.Signal(syscall.SIGKILL) // the keeper
	await(t, p)
	if !slices.Contains(Marked(mark), orphan) {
		t.Fatal("the orphan is gone already: the test proves nothing")
	}
	return mark, orphan
}

func TestParentOf(t *testing.T) {
	parent, ok := parentOf(syscall.Getpid())
	if !ok || parent != syscall.Getppid() {
		t.Errorf("parentOf(self) = %d, %t, want %d", parent, ok, syscall.Getppid())
	}
	if _, ok := parentOf(-1); ok {
		t.Error("a process that cannot be has a parent")
	}
}
