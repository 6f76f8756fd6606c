package procs

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Behind returns the processes of this machine that a process is connected to over TCP as their client, with their names:
// the database that a server stores in.
func (r Reader) Behind(pid int) map[int]string {
	mine := r.sockets(pid)
	connections := r.connections()
	listeners := map[int]map[string]bool{}
	for _, c := range connections {
		if c.state != established || !slices.Contains(mine, c.socket) {
			continue
		}
		for _, l := range connections {
			if l.state == listening && l.localPort == c.remotePort {
				if listeners[c.remotePort] == nil {
					listeners[c.remotePort] = map[string]bool{}
				}
				listeners[c.remotePort][l.socket] = true
			}
		}
	}
	found := map[int]string{}
	for _, sockets := range listeners {
		owner, ok := r.owner(sockets)
		if s, known := r.stat(owner); ok && known && owner != pid {
			found[owner] = s.name
		}
	}
	return found
}

// OfFamily returns the usage of a process with its children, those that have ended among them: a database may have a process for
// each connection. Memory that they share counts once.
func (r Reader) OfFamily(pid int) (u Usage, ok bool) {
	parent, ok := r.stat(pid)
	if !ok {
		return Usage{}, false
	}
	family := []int{pid}
	u.CPU = parent.cpu + parent.buried
	for _, child := range r.all() {
		if s, known := r.stat(child); known && s.parent == pid {
			u.CPU += s.cpu + s.buried
			family = append(family, child)
		}
	}
	var shared int64
	for _, member := range family {
		resident, of := r.memory(member)
		u.Resident += resident - of
		shared = max(shared, of)
	}
	u.Resident += shared
	return u, true
}

// memory is how much memory a process holds, and how much of it others may hold too; see proc(5), statm.
func (r Reader) memory(pid int) (resident, shared int64) {
	text, err := os.ReadFile(filepath.Join(r.Root, strconv.Itoa(pid), "statm"))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return 0, 0
	}
	// What is no number counts as nothing.
	resident, _ = strconv.ParseInt(fields[1], 10, 64)
	shared, _ = strconv.ParseInt(fields[2], 10, 64)
	page := int64(os.Getpagesize())
	return resident * page, shared * page
}

// usage adds up what processes have used; ok is false when nothing is known of any.
func (r Reader) usage(pids []int, of func(int) (Usage, bool)) (sum Usage, ok bool) {
	for _, pid := range pids {
		if u, known := of(pid); known {
			sum.CPU, sum.Resident, ok = sum.CPU+u.CPU, sum.Resident+u.Resident, true
		}
	}
	return sum, ok
}
