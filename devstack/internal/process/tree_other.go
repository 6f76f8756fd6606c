//go:build !linux

package process

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

func adoptOrphans() {}

func dieWithParent(*syscall.SysProcAttr) {}

// descendants returns the ids of all processes below root, as ps sees them.
func descendants(root int) []int {
	list := exec.Command("ps", "-axo", "pid=,ppid=")
	output, err := list.Output()
	if err != nil {
		return nil
	}
	parents := make(map[int]int)
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		var pid, parent int
		if _, err := fmt.Sscan(lines.Text(), &pid, &parent); err == nil && pid != list.Process.Pid {
			parents[pid] = parent
		}
	}
	return below(root, parents)
}

// Marked is empty: only Linux shows the environment of other processes.
func Marked(string) []int { return nil }

// Sweep does nothing: only Linux shows the environment of other processes.
func Sweep(string, time.Duration) {}
