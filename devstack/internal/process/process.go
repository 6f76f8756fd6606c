package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// MarkVariable names the environment variable that every process of one
// launcher carries, with a value that is unique to the launcher.
const MarkVariable = "DEVSTACK_RUN"

// lifelineFD is the descriptor at which a child finds its lifeline.
const lifelineFD = 3

// Spec says what to run.
type Spec struct {
	// Args is the command line; Args[0] is the path of the executable.
	Args []string
	// Env is the complete environment.
	Env []string
	// Dir is the working directory; empty means the launcher's.
	Dir string
	// Log receives standard output and error. Nil means that the program
	// inherits the launcher's standard input, output and error.
	Log *os.File
	// Foreign programs run under a keeper; the others must call
	// WatchLifeline first thing.
	Foreign bool
	// Group passes signals on to the program's whole process group, as a
	// terminal does, instead of to the program alone.
	Group bool
}

// Process is a started program. Its methods may be called from any goroutine.
type Process struct {
	cmd      *exec.Cmd
	foreign  bool
	lifeline *os.File
	done     chan struct{}
	cut      sync.Once
	code     int
}

// KeepCommand is the hidden subcommand of this executable that runs a keeper:
// [KeepCommand, "group" or "single", "--", program, arguments…].
const KeepCommand = "internal-keep"

// Start starts the program. The error wraps the one of os/exec; nothing is
// left running when it is not nil.
func Start(spec Spec) (*Process, error) {
	if len(spec.Args) == 0 {
		return nil, errors.New("start process: no command line")
	}
	args := spec.Args
	if spec.Foreign {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("start %s: find own executable: %w", spec.Args[0], err)
		}
		delivery := "single"
		if spec.Group {
			delivery = "group"
		}
		args = append([]string{self, KeepCommand, delivery, "--"}, spec.Args...)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: lifeline: %w", spec.Args[0], err)
	}
	defer read.Close()

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = spec.Env
	cmd.Dir = spec.Dir
	cmd.ExtraFiles = []*os.File{read}
	// A group of its own does not get the terminal's Ctrl-C: the launcher decides
	// which process gets the signal, and when.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if spec.Log != nil {
		cmd.Stdout, cmd.Stderr = spec.Log, spec.Log
	} else {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start %s: %w", spec.Args[0], err)
	}
	p := &Process{cmd: cmd, foreign: spec.Foreign, lifeline: write, done: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	_ = p.cmd.Wait() // the state has the result
	p.code = exitCode(p.cmd.ProcessState.Sys().(syscall.WaitStatus))
	p.cutLifeline()
	close(p.done)
}

func (p *Process) cutLifeline() { p.cut.Do(func() { p.lifeline.Close() }) }

// Done is closed when the program, and with a keeper everything below it, has
// ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode returns the program's exit code, or 128 plus the number of the
// signal that killed it. It is meaningful once Done is closed.
func (p *Process) ExitCode() int {
	<-p.done
	return p.code
}

// PID returns the process id of the program or, for a foreign one, of its
// keeper.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal delivers a signal; a keeper passes it on. It does nothing when the
// program has ended.
func (p *Process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends the program and everything below it with SIGKILL and returns at
// once; Done is closed when they are gone.
func (p *Process) Kill() {
	if !p.foreign {
		_ = p.cmd.Process.Kill()
	}
	p.cutLifeline()
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// WatchLifeline makes this process end as soon as the launcher that started it
// is gone. Embedded servers call it before anything else.
func WatchLifeline() {
	lifeline := os.NewFile(lifelineFD, "lifeline")
	syscall.CloseOnExec(lifelineFD)
	go func() {
		_, _ = lifeline.Read(make([]byte, 1)) // returns only at the end of the pipe
		os.Exit(1)
	}()
}
