// Package ports chooses TCP ports on the loopback interface and keeps them.
//
// A port is chosen once and used across restarts of its component,
// so it must not be lost while no process listens on it. Two measures see to that:
// a locked file for each port keeps other launchers of the same user away, and
// free ports come from below the range out of which the kernel serves outgoing
// connections. The second one is needed, too: a client that dials
// a dead port inside that range may be given that very port as its own and end
// up connected to itself.
//
// The package imports the standard library only.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Free ports are taken from here: above the well-known services, below the
// ephemeral ranges of Linux (32768 and up) and of macOS (49152 and up).
const (
	firstFree = 20000
	lastFree  = 31999
)

// attempts bounds every search.
const attempts = 500

// ErrNone is returned when no port is to be had.
var ErrNone = errors.New("no free port")

// Reservation holds ports until it is released. Its methods may be called
// from any goroutine.
type Reservation struct {
	dir   string
	mu    sync.Mutex
	locks map[int]*os.File
}

// New returns an empty reservation whose lock files are in dir, which is
// created when missing. All launchers that shall respect each other use the
// same dir.
func New(dir string) (*Reservation, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("reserve ports: %w", err)
	}
	return &Reservation{dir: dir, locks: make(map[int]*os.File)}, nil
}

// SharedDir is the folder for lock files that all launchers of this user share.
func SharedDir() string {
	return filepath.Join(os.TempDir(), "devstack-ports-"+strconv.Itoa(os.Getuid()))
}

// Any reserves a free port.
func (r *Reservation) Any() (int, error) {
	for range attempts {
		port := firstFree + rand.IntN(lastFree-firstFree+1)
		if r.take(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w between %d and %d", ErrNone, firstFree, lastFree)
}

// From reserves the preferred port or the next one above that is free.
func (r *Reservation) From(preferred int) (int, error) {
	for port := preferred; port < preferred+attempts && port <= 65535; port++ {
		if r.take(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w from %d on", ErrNone, preferred)
}

// Release releases all ports.
func (r *Reservation) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for port, lock := range r.locks {
		// Remove before unlocking: whoever opens the name from now on gets a
		// new file, and no other process holds a lock on this one.
		os.Remove(lock.Name())
		lock.Close()
		delete(r.locks, port)
	}
}

func (r *Reservation) take(port int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ours := r.locks[port]; ours {
		return false
	}
	lock, ok := tryLock(filepath.Join(r.dir, strconv.Itoa(port)))
	if !ok {
		return false
	}
	if !unused(port) {
		os.Remove(lock.Name())
		lock.Close()
		return false
	}
	r.locks[port] = lock
	return true
}

// tryLock locks the file without waiting. A file that lost its name between
// the opening and the locking guards nothing and does not count.
func tryLock(name string) (*os.File, bool) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		file.Close()
		return nil, false
	}
	opened, err1 := file.Stat()
	named, err2 := os.Stat(name)
	if err1 != nil || err2 != nil || !os.SameFile(opened, named) {
		file.Close()
		return nil, false
	}
	return file, true
}

// unused reports whether nothing listens on the port, neither on loopback nor
// on all interfaces.
func unused(port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		listener, err := net.Listen("tcp4", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}
