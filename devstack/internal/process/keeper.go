package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sweepInterval is the pause between two rounds of killing what is left: long
// enough for the kernel to deliver, too short to be noticed.
const sweepInterval = 5 * time.Millisecond

// Keep is the main function of a keeper: it runs the command line after "--"
// until that ends or the launcher is gone, kills its remaining descendants and
// returns the program's exit code.
func Keep(args []string) int {
	if len(args) < 3 || args[1] != "--" || (args[0] != "group" && args[0] != "single") {
		fmt.Fprintf(os.Stderr, "devstack: %s is for devstack itself\n", KeepCommand)
		return 2
	}
	// The kernel ties the program's end (see dieWithParent) to the thread that
	// started it: make it the main one, which lasts as long as the process.
	runtime.LockOSThread()
	k := keeper{group: args[0] == "group"}
	return k.run(args[2:])
}

type keeper struct {
	group   bool
	program int // process id
	ended   chan struct{}
	barren  chan struct{} // closed when no child is left
	code    atomic.Int32
}

func (k *keeper) run(args []string) int {
	lifeline := os.NewFile(lifelineFD, "lifeline")
	syscall.CloseOnExec(lifelineFD)
	adoptOrphans()
	// The keeper hands the terminal over and takes it back from the background.
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTTIN)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	terminal := foregroundTerminal()
	if err := k.start(args, terminal); err != nil {
		fmt.Fprintf(os.Stderr, "devstack: %v\n", err)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return 127
		}
		return 126
	}
	go k.reap()
	cut := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		close(cut)
	}()

	for running := true; running; {
		select {
		case sig := <-signals:
			k.pass(sig.(syscall.Signal))
		case <-cut:
			running = false
		case <-k.ended:
			running = false
		}
	}
	k.killAll()
	terminal.restore()
	return int(k.code.Load())
}

func (k *keeper) start(args []string, terminal *terminal) error {
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return err
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(attr)
	if terminal != nil {
		attr.Foreground, attr.Ctty = true, terminal.fd
	}
	// Not os/exec: the one reaper below waits for every child.
	k.program, err = syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
		Sys:   attr,
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	k.ended = make(chan struct{})
	k.barren = make(chan struct{})
	return nil
}

// pass delivers a signal to the program, or to its process group.
func (k *keeper) pass(sig syscall.Signal) {
	target := k.program
	if k.group {
		target = -k.program
	}
	_ = syscall.Kill(target, sig)
}

// reap collects every child, the adopted ones too, until there is none.
func (k *keeper) reap() {
	defer close(k.barren)
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return // ECHILD: none is left
		case status.Stopped():
			// A stopped program would freeze the terminal that it holds, since
			// no shell knows of its group: it continues.
			if pid == k.program && status.StopSignal() == syscall.SIGTSTP {
				_ = syscall.Kill(-k.program, syscall.SIGCONT)
			}
		case pid == k.program:
			k.code.Store(int32(exitCode(status)))
			close(k.ended)
		}
	}
}

// killAll kills everything below the keeper and returns when it is gone. A
// process that forks while it is being killed is found in the next round.
func (k *keeper) killAll() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		_ = syscall.Kill(-k.program, syscall.SIGKILL)
		for _, pid := range descendants(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-k.barren:
			return
		case <-ticker.C:
		}
	}
}

// terminal is the controlling terminal when the launcher is in its foreground.
type terminal struct {
	fd    int
	owner int // process group to give it back to
}

// foregroundTerminal returns nil when standard input is no terminal or the
// launcher runs in its background.
func foregroundTerminal() *terminal {
	const stdin = 0
	owner, err := unix.IoctlGetInt(stdin, unix.TIOCGPGRP)
	if err != nil {
		return nil
	}
	launcher, err := unix.Getpgid(os.Getppid())
	if err != nil || launcher != owner {
		return nil
	}
	return &terminal{fd: stdin, owner: owner}
}

func (t *terminal) restore() {
	if t != nil {
		_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.owner)
	}
}
