package process

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of every orphan below it, so that
// a daemon (epmd forks twice and leaves its session) cannot get away.
func adoptOrphans() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// dieWithParent is the last resort for the program when its keeper is killed.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// descendants returns the ids of all processes below root.
func descendants(root int) []int {
	parents := make(map[int]int)
	for _, pid := range processes() {
		if parent, ok := parentOf(pid); ok {
			parents[pid] = parent
		}
	}
	return below(root, parents)
}

func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf reads the fourth field of /proc/PID/stat; the second one, the name
// in parentheses, may itself contain spaces and parentheses.
func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return parent, err == nil
}

// Marked returns the ids of the processes that carry the mark, zombies and
// this process excepted.
func Marked(mark string) []int {
	want := []byte(MarkVariable + "=" + mark)
	var pids []int
	for _, pid := range processes() {
		if pid == os.Getpid() {
			continue
		}
		environment, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil {
			continue
		}
		for _, variable := range bytes.Split(environment, []byte{0}) {
			if bytes.Equal(variable, want) {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids
}

// Sweep kills every process that carries the mark and returns when none is
// left, or after the limit. However late it comes to that, it kills once.
func Sweep(mark string, limit time.Duration) {
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		pids := Marked(mark)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if time.Now().After(deadline) {
			return
		}
		<-ticker.C
	}
}
