package procs

import "slices"

// Behind returns the processes of this machine that a process is connected to over TCP as their client, with their names:
// the database that a server stores in.
func (r Reader) Behind(pid int) map[int]string {
	found := map[int]string{}
	p, err := r.fs.Proc(pid)
	if err != nil {
		return found
	}
	mine, connections := files(p), r.connections()
	asked := map[uint64]bool{}
	for _, c := range connections {
		if c.St != established || asked[c.RemPort] || !slices.Contains(mine, socket(c.Inode)) {
			continue
		}
		asked[c.RemPort] = true
		owner, ok := r.listener(connections, c.RemPort)
		if s, known := r.stat(owner); ok && known && owner != pid {
			found[owner] = s.Comm
		}
	}
	return found
}

// OfFamily returns the usage of a process with its children, those that have ended among them: a database may have a process for
// each connection. Memory that they share counts once.
func (r Reader) OfFamily(pid int) (u Usage, ok bool) {
	if _, ok := r.stat(pid); !ok {
		return u, false
	}
	var shared int64
	for _, p := range r.all() {
		s, err := p.Stat()
		if err != nil || p.PID != pid && s.PPID != pid {
			continue
		}
		u.CPU += seconds(s.CPUTime()) + seconds(float64(s.CUTime+s.CSTime)/userHZ)
		if memory, err := p.Statm(); err == nil {
			u.Resident += int64(memory.ResidentBytes()) - int64(memory.SHRBytes())
			shared = max(shared, int64(memory.SHRBytes()))
		}
	}
	u.Resident += shared
	return u, true
}

// userHZ is how many clock ticks /proc counts a second on every Linux that Go runs on.
const userHZ = 100

// usage adds up what processes have used; ok is false when nothing is known of any.
func (r Reader) usage(pids []int, of func(int) (Usage, bool)) (sum Usage, ok bool) {
	for _, pid := range pids {
		if u, known := of(pid); known {
			sum.CPU, sum.Resident, ok = sum.CPU+u.CPU, sum.Resident+u.Resident, true
		}
	}
	return sum, ok
}
