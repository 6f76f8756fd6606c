// Package procs reads what processes have used: CPU time and memory, from /proc. Where there is no /proc, or a process
// is somebody else's or on another machine, it knows nothing and says so. It imports the standard library only.
package procs

import (
	"bufio"
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
	s, ok := r.stat(pid)
	return Usage{CPU: s.cpu, Resident: s.resident}, ok
}

// stat is what /proc says of a process.
type stat struct {
	name   string
	parent int
	// cpu is its own time, buried that of its children that have ended.
	cpu, buried time.Duration
	resident    int64
}

func (r Reader) stat(pid int) (s stat, ok bool) {
	raw, err := os.ReadFile(filepath.Join(r.Root, strconv.Itoa(pid), "stat"))
	if err != nil {
		return s, false
	}
	// The name in parentheses may hold anything, parentheses too. Behind it stand fields 3 and up, see proc(5).
	text := string(raw)
	begin, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return s, false
	}
	fields := strings.Fields(text[end+1:])
	const ppid, utime, stime, cutime, cstime, rss = 4 - 3, 14 - 3, 15 - 3, 16 - 3, 17 - 3, 24 - 3
	if len(fields) <= rss {
		return s, false
	}
	var numbers [6]int64
	for i, field := range []int{ppid, utime, stime, cutime, cstime, rss} {
		if numbers[i], err = strconv.ParseInt(fields[field], 10, 64); err != nil {
			return s, false
		}
	}
	return stat{
		name: text[begin+1 : end], parent: int(numbers[0]),
		cpu:      time.Duration(numbers[1]+numbers[2]) * time.Second / ticks,
		buried:   time.Duration(numbers[3]+numbers[4]) * time.Second / ticks,
		resident: numbers[5] * int64(os.Getpagesize()),
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
	for _, c := range r.connections() {
		if c.state == listening && c.localPort == int(n) {
			sockets[c.socket] = true
		}
	}
	if len(sockets) == 0 {
		return 0, false
	}
	return r.owner(sockets)
}

// connection is a row of the kernel's tables of TCP.
type connection struct {
	localPort, remotePort int
	state, socket         string
}

// States of a connection, see include/net/tcp_states.h of the kernel.
const (
	established = "01"
	listening   = "0A"
)

// connections are all of this machine.
func (r Reader) connections() (list []connection) {
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(r.Root, "net", table))
		if err != nil {
			continue
		}
		const local, remote, state, inode = 1, 2, 3, 9
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) > inode {
				list = append(list, connection{portIn(fields[local]), portIn(fields[remote]), fields[state], "socket:[" + fields[inode] + "]"})
			}
		}
		_ = f.Close()
	}
	return list
}

// portIn is the port of an address in hexadecimal; 0 when there is none.
func portIn(address string) int {
	_, port, _ := strings.Cut(address, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// owner finds the process that holds one of the sockets.
func (r Reader) owner(sockets map[string]bool) (int, bool) {
	for _, pid := range r.all() {
		for _, socket := range r.sockets(pid) {
			if sockets[socket] {
				return pid, true
			}
		}
	}
	return 0, false
}

// all are the processes of this machine.
func (r Reader) all() (pids []int) {
	folders, err := os.ReadDir(r.Root)
	if err != nil {
		return nil
	}
	for _, folder := range folders {
		if pid, err := strconv.Atoi(folder.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// sockets are the open sockets of a process; none when it is somebody else's, or gone.
func (r Reader) sockets(pid int) (list []string) {
	files := filepath.Join(r.Root, strconv.Itoa(pid), "fd")
	open, err := os.ReadDir(files)
	if err != nil {
		return nil
	}
	for _, file := range open {
		if target, err := os.Readlink(filepath.Join(files, file.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			list = append(list, target)
		}
	}
	return list
}
