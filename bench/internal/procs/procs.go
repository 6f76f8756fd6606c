// Package procs reads what processes have used: CPU time and memory, from /proc. Where there is no /proc, or a process
// is somebody else's or on another machine, it knows nothing and says so. It imports the standard library only.
package procs

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks is how many clock ticks /proc counts a second: USER_HZ, which is 100 on every Linux that Go runs on.
const ticks = 100

// Usage is what a process has used.
type Usage struct {
	// CPU is user and system time since the process began.
	CPU time.Duration
	// Resident is the memory that it holds now, in bytes.
	Resident int64
}

// Reader reads below a root, which is /proc outside of tests.
type Reader struct{ Root string }

// Of returns the usage of a process; ok is false when nothing is known of it.
func (r Reader) Of(pid int) (u Usage, ok bool) {
	stat, err := os.ReadFile(filepath.Join(r.Root, strconv.Itoa(pid), "stat"))
	if err != nil {
		return Usage{}, false
	}
	// The name in parentheses may hold anything, parentheses too. Behind it stand fields 3 and up, see proc(5).
	end := strings.LastIndexByte(string(stat), ')')
	fields := strings.Fields(string(stat[end+1:]))
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3
	if end < 0 || len(fields) <= rss {
		return Usage{}, false
	}
	var numbers [3]int64
	for i, field := range []int{utime, stime, rss} {
		if numbers[i], err = strconv.ParseInt(fields[field], 10, 64); err != nil {
			return Usage{}, false
		}
	}
	return Usage{
		CPU:      time.Duration(numbers[0]+numbers[1]) * time.Second / ticks,
		Resident: numbers[2] * int64(os.Getpagesize()),
	}, true
}

// Machine is what all processors have done together since the machine began.
type Machine struct {
	// Busy is the time in which they worked, or others on the same hardware did.
	Busy time.Duration
	// Total is all time.
	Total time.Duration
}

// Machine returns the usage of the whole machine; ok is false when nothing is known of it.
func (r Reader) Machine() (m Machine, ok bool) {
	stat, err := os.ReadFile(filepath.Join(r.Root, "stat"))
	if err != nil {
		return m, false
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line)
	// user nice system idle iowait irq softirq steal, see proc(5); guests are in user already.
	const idle, iowait, counted = 3, 4, 8
	if len(fields) <= counted || fields[0] != "cpu" {
		return m, false
	}
	for i, field := range fields[1 : counted+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Machine{}, false
		}
		spent := time.Duration(n) * time.Second / ticks
		m.Total += spent
		if i != idle && i != iowait {
			m.Busy += spent
		}
	}
	return m, true
}

// Listener returns the process that listens on a TCP port of this machine; ok is false when there is none, or it is not
// ours to look at. Addr is host:port; a host that is not loopback is another machine for all that is known here.
func (r Reader) Listener(addr string) (pid int, ok bool) {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return 0, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0, false
	}
	sockets := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		r.listening(table, fmt.Sprintf(":%04X", n), sockets)
	}
	if len(sockets) == 0 {
		return 0, false
	}
	return r.owner(sockets)
}

// listening adds the sockets of a table that listen on a port.
func (r Reader) listening(table, port string, sockets map[string]bool) {
	f, err := os.Open(filepath.Join(r.Root, "net", table))
	if err != nil {
		return
	}
	defer f.Close()
	const local, state, inode, listen = 1, 3, 9, "0A"
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > inode && strings.HasSuffix(fields[local], port) && fields[state] == listen {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
}

// owner finds the process that holds one of the sockets.
func (r Reader) owner(sockets map[string]bool) (int, bool) {
	folders, err := os.ReadDir(r.Root)
	if err != nil {
		return 0, false
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(folder.Name())
		if err != nil {
			continue
		}
		files := filepath.Join(r.Root, folder.Name(), "fd")
		open, err := os.ReadDir(files)
		if err != nil {
			continue // somebody else's, or gone
		}
		for _, file := range open {
			if target, err := os.Readlink(filepath.Join(files, file.Name())); err == nil && sockets[target] {
				return pid, true
			}
		}
	}
	return 0, false
}
