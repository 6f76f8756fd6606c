package procs

import "time"

// Watch looks at named processes.
type Watch struct {
	Reader
	pids map[string]int
}

// NewWatch returns a watch over nothing yet.
func NewWatch(r Reader) *Watch { return &Watch{Reader: r, pids: map[string]int{}} }

// Process watches a process under a name; a pid of 0 ends it.
func (w *Watch) Process(name string, pid int) {
	if pid == 0 {
		delete(w.pids, name)
		return
	}
	w.pids[name] = pid
}

// Server watches the process that listens on an address, when it can be found.
func (w *Watch) Server(name, addr string) bool {
	pid, ok := w.Listener(addr)
	if ok {
		w.pids[name] = pid
	}
	return ok
}

// Snapshot is the usage of all watched processes at one moment.
type Snapshot map[string]Usage

// Now takes a snapshot; processes of which nothing is known are left out.
func (w *Watch) Now() Snapshot {
	s := Snapshot{}
	for name, pid := range w.pids {
		if u, ok := w.Of(pid); ok {
			s[name] = u
		}
	}
	return s
}

// Since returns the CPU time that each process has used since an earlier snapshot.
func (s Snapshot) Since(earlier Snapshot) map[string]time.Duration {
	used := map[string]time.Duration{}
	for name, u := range s {
		if before, ok := earlier[name]; ok {
			used[name] = u.CPU - before.CPU
		}
	}
	return used
}
