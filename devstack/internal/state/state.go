// Package state keeps the folder in which a stack stores its data and logs.
//
// A folder belongs to one launcher at a time. The lock is the kernel's, on an
// open file, so it ends with the launcher however that ends; the file's
// content only tells other processes which control socket to use.
//
// The package imports the standard library only.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Owner describes the launcher.
type Owner struct {
	PID int `json:"pid"`
	// Control is the path of the launcher's control socket.
	Control string `json:"control"`
}

// InUseError says that another launcher holds the folder.
type InUseError struct {
	Dir   string
	Owner Owner // zero when the other one has not introduced itself yet
}

func (e *InUseError) Error() string {
	if e.Owner.PID == 0 {
		return fmt.Sprintf("%s is in use by another devstack", e.Dir)
	}
	return fmt.Sprintf("%s is in use by the devstack with process id %d", e.Dir, e.Owner.PID)
}

// ErrNotRunning is returned when no launcher holds the folder.
var ErrNotRunning = errors.New("no devstack is running")

// Folder is a locked state folder.
type Folder struct {
	// Dir is the absolute path.
	Dir       string
	lock      *os.File
	temporary bool
}

const lockName = "lock"

// Open creates the folder when it is missing and locks it. It returns an
// *InUseError when another launcher holds it.
func Open(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock state folder %s: %w", dir, err)
		}
		owner, _ := readOwner(dir)
		return nil, &InUseError{Dir: dir, Owner: owner}
	}
	if err := lock.Truncate(0); err != nil {
		lock.Close()
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return &Folder{Dir: dir, lock: lock}, nil
}

// temporaryPattern names temporary state folders in the system's temporary folder.
func temporaryPattern() string { return "devstack-run-" + strconv.Itoa(os.Getuid()) + "-" }

// OpenThrowaway makes and locks a folder that Close removes. It also removes
// those of killed launchers.
func OpenThrowaway() (*Folder, error) {
	removeAbandoned()
	dir, err := os.MkdirTemp("", temporaryPattern())
	if err != nil {
		return nil, fmt.Errorf("temporary state folder: %w", err)
	}
	folder, err := Open(dir)
	if err != nil {
		return nil, err
	}
	folder.temporary = true
	return folder, nil
}

// removeAbandoned removes the temporary folders without an owner. A folder
// without a lock file is being created by another process and is kept.
func removeAbandoned() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), temporaryPattern()+"*"))
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
			continue
		}
		if folder, err := Open(dir); err == nil {
			folder.temporary = true
			folder.Close()
		}
	}
}

// Introduce writes which process holds the folder.
func (f *Folder) Introduce(owner Owner) error {
	text, err := json.Marshal(owner)
	if err != nil {
		return fmt.Errorf("introduce owner: %w", err)
	}
	if _, err := f.lock.WriteAt(text, 0); err != nil {
		return fmt.Errorf("introduce owner: %w", err)
	}
	return nil
}

// Sub creates a folder below and returns its path.
func (f *Folder) Sub(names ...string) (string, error) {
	dir := filepath.Join(append([]string{f.Dir}, names...)...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	return dir, nil
}

// Keep makes Close keep a temporary folder.
func (f *Folder) Keep() { f.temporary = false }

// Close releases the folder, and removes it if it is temporary.
func (f *Folder) Close() error {
	var err error
	if f.temporary {
		err = os.RemoveAll(f.Dir)
	} else {
		err = f.lock.Truncate(0)
	}
	return errors.Join(err, f.lock.Close())
}

// FindOwner returns the process that holds the folder, or ErrNotRunning.
func FindOwner(dir string) (Owner, error) {
	lock, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, os.ErrNotExist) {
		return Owner{}, ErrNotRunning
	}
	if err != nil {
		return Owner{}, fmt.Errorf("state folder: %w", err)
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return Owner{}, ErrNotRunning // without a lock its content is old
	}
	return readOwner(dir)
}

func readOwner(dir string) (Owner, error) {
	text, err := os.ReadFile(filepath.Join(dir, lockName))
	if err != nil {
		return Owner{}, fmt.Errorf("read owner: %w", err)
	}
	var owner Owner
	if err := json.Unmarshal(text, &owner); err != nil {
		return Owner{}, fmt.Errorf("%w completely yet in %s", ErrNotRunning, dir)
	}
	return owner, nil
}
