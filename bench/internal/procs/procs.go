// Package procs reads what processes have used: CPU time and memory, from /proc. Where there is no /proc, or a process
// belongs to another user or is on another machine, it says that it knows nothing.
package procs

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
)

// Usage is what a process has used.
type Usage struct {
	// CPU is user and system time since the process began.
	CPU time.Duration
	// Resident is the memory that it holds now, in bytes.
	Resident int64
}

// Reader reads below a root.
type Reader struct{ fs procfs.FS }

// NewReader returns a reader of a root, which is /proc outside of tests. Without one nothing is known.
func NewReader(root string) Reader {
	fs, _ := procfs.NewFS(root)
	return Reader{fs}
}

func (r Reader) stat(pid int) (s procfs.ProcStat, ok bool) {
	p, err := r.fs.Proc(pid)
	if err == nil {
		s, err = p.Stat()
	}
	return s, err == nil
}

// Of returns the usage of a process; ok is false when nothing is known of it.
func (r Reader) Of(pid int) (u Usage, ok bool) {
	s, ok := r.stat(pid)
	return Usage{CPU: seconds(s.CPUTime()), Resident: int64(s.ResidentMemory())}, ok
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
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
	s, err := r.fs.Stat()
	if err != nil {
		return m, false
	}
	all := s.CPUTotal // guests are in user already
	busy := all.User + all.Nice + all.System + all.IRQ + all.SoftIRQ + all.Steal
	return Machine{Busy: seconds(busy), Total: seconds(busy + all.Idle + all.Iowait)}, true
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
	return r.listener(r.connections(), n)
}

// States of a connection, see include/net/tcp_states.h of the kernel.
const (
	established = 1
	listening   = 10
)

// connections are all of this machine.
func (r Reader) connections() procfs.NetTCP {
	// What cannot be read has none.
	four, _ := r.fs.NetTCP() //nolint:staticcheck // netlink, which takes its place, cannot be tested below another root
	six, _ := r.fs.NetTCP6() //nolint:staticcheck // as above
	return append(four, six...)
}

// listener finds the process that listens on a port.
func (r Reader) listener(connections procfs.NetTCP, port uint64) (pid int, ok bool) {
	var listeners []string
	for _, c := range connections {
		if c.St == listening && c.LocalPort == port {
			listeners = append(listeners, socket(c.Inode))
		}
	}
	if len(listeners) == 0 {
		return 0, false
	}
	for _, p := range r.all() {
		if slices.ContainsFunc(files(p), func(file string) bool { return slices.Contains(listeners, file) }) {
			return p.PID, true
		}
	}
	return 0, false
}

// socket is how a process names a socket among its files.
func socket(inode uint64) string { return fmt.Sprintf("socket:[%d]", inode) }

// files are what a process has open; none if it belongs to another user or has ended.
func files(p procfs.Proc) []string {
	targets, _ := p.FileDescriptorTargets()
	return targets
}

// all are the processes of this machine.
func (r Reader) all() procfs.Procs {
	processes, _ := r.fs.AllProcs()
	return processes
}
