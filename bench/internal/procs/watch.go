package procs

import "time"

// Watch looks at named processes, and at the machine.
type Watch struct {
	Reader
	watched map[string]watched
}

// watched are the processes of one name. What they have used is added up.
type watched struct {
	pids []int
	// families reports whether children count too.
	families bool
}

// NewWatch returns a watch over nothing yet.
func NewWatch(r Reader) *Watch { return &Watch{Reader: r, watched: map[string]watched{}} }

// Processes watches processes under one name; without any it ends.
func (w *Watch) Processes(name string, pids ...int) {
	if len(pids) == 0 {
		delete(w.watched, name)
		return
	}
	w.watched[name] = watched{pids: pids}
}

// Server watches the process that listens on an address, when it can be found.
func (w *Watch) Server(name, addr string) bool {
	pid, ok := w.Listener(addr)
	if ok {
		w.Processes(name, pid)
	}
	return ok
}

// Stores watches the databases of this machine that the processes of a name are connected to now.
func (w *Watch) Stores(name string) {
	for _, pid := range w.watched[name].pids {
		for store, called := range w.Behind(pid) {
			under := name + "'s " + called
			w.watched[under] = watched{pids: append(w.watched[under].pids, store), families: true}
		}
	}
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
	for name, group := range w.watched {
		of := w.Of
		if group.families {
			of = w.OfFamily
		}
		if u, ok := w.usage(group.pids, of); ok {
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
			used[name] = max(u.CPU-before.CPU, 0)
		}
	}
	return used
}

// Foreign is the share of the machine, 0 to 1, that since an earlier snapshot went to processes that are not watched: other
// programs, other machines on the same hardware, and the kernel's shared work. It is 0 when it is not known.
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
