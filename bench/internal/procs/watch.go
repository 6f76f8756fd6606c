package procs

import "time"

// Watch looks at named processes, and at the machine.
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

// Snapshot is what was used up to one moment.
type Snapshot struct {
	// Processes are the watched ones; those of which nothing is known are left out.
	Processes map[string]Usage
	// Machine is that of the whole machine; zero when it is not known.
	Machine Machine
}

// Now takes a snapshot.
func (w *Watch) Now() Snapshot {
	s := Snapshot{Processes: map[string]Usage{}}
	for name, pid := range w.pids {
		if u, ok := w.Of(pid); ok {
			s.Processes[name] = u
		}
	}
	s.Machine, _ = w.Machine()
	return s
}

// Since returns the CPU time that each process has used since an earlier snapshot.
func (s Snapshot) Since(earlier Snapshot) map[string]time.Duration {
	used := map[string]time.Duration{}
	for name, u := range s.Processes {
		if before, ok := earlier.Processes[name]; ok {
			used[name] = u.CPU - before.CPU
		}
	}
	return used
}

// Foreign is the share of the machine, 0 to 1, that since an earlier snapshot went to nobody who is watched: other
// programs, other machines on the same hardware, and what the kernel does for everybody. It is 0 when it is not known.
func (s Snapshot) Foreign(earlier Snapshot) float64 {
	total, foreign := s.Machine.Total-earlier.Machine.Total, s.Machine.Busy-earlier.Machine.Busy
	for _, used := range s.Since(earlier) {
		foreign -= used
	}
	if total <= 0 || foreign <= 0 {
		return 0
	}
	return float64(foreign) / float64(total)
}
