package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestOneLauncherAtATime(t *testing.T) {
	dir := t.TempDir()
	folder, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	owner := Owner{PID: 4711, Control: "/somewhere/control"}
	if err := folder.Introduce(owner); err != nil {
		t.Fatal(err)
	}

	_, err = Open(dir)
	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.Owner != owner {
		t.Errorf("second Open: %v, want an InUseError that names %+v", err, owner)
	}
	if found, err := FindOwner(dir); err != nil || found != owner {
		t.Errorf("FindOwner = %+v, %v", found, err)
	}

	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := FindOwner(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("FindOwner after Close: %v, want ErrNotRunning", err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	again.Close()
}

func TestFolderWithoutOwner(t *testing.T) {
	if _, err := FindOwner(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("err = %v, want ErrNotRunning", err)
	}
}

func TestTemporaryFoldersAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	abandoned, err := OpenThrowaway()
	if err != nil {
		t.Fatal(err)
	}
	abandoned.lock.Close() // as the kernel does when its launcher is killed

	running, err := OpenThrowaway()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(abandoned.Dir); !os.IsNotExist(err) {
		t.Errorf("the abandoned folder is still there: %v", err)
	}
	next, err := OpenThrowaway()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(running.Dir); err != nil {
		t.Errorf("a folder in use was removed: %v", err)
	}
	running.Close()
	next.Close()
	left, _ := os.ReadDir(os.TempDir())
	if len(left) != 0 {
		t.Errorf("still there: %v", left)
	}
}
