// Package launch starts a stack, runs a command in it or waits for a signal, and
// stops the stack.
//
// The order is fixed: lock the state, choose the ports, start the components
// concurrently, listen on the control socket, run the command; then in reverse.
// A signal goes to the command first; the servers end after the command.
package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/control"
	"github.com/ordersaga/ordersaga/devstack/internal/ports"
	"github.com/ordersaga/ordersaga/devstack/internal/process"
	"github.com/ordersaga/ordersaga/devstack/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/devstack/internal/stack"
	"github.com/ordersaga/ordersaga/devstack/internal/state"
	"github.com/ordersaga/ordersaga/devstack/internal/supervise"
)

// Config says what to launch.
type Config struct {
	// Home is the state folder; empty means a temporary one and free ports
	// instead of the default ones.
	Home string
	// Command is run when everything is ready; without one the stack stays
	// until a signal.
	Command []string
	// Only and External are lists of component names (see stack.Select).
	Only, External string
	// RabbitMQ and Erlang name another installation than the machine's own (see rabbitmq.Locate); empty for that.
	RabbitMQ, Erlang string
	// Drain is how long the command may take to end after a signal.
	Drain time.Duration
	// KeepState keeps a temporary state folder, for inspection.
	KeepState bool
	// Out receives the environment when there is no command, Err all else.
	Out, Err io.Writer
}

const (
	// startLimit covers a broker that starts while a small machine compiles. A
	// component that cannot start ends earlier.
	startLimit = 10 * time.Minute
	// exitFailed is the exit code when the stack itself fails.
	exitFailed = 1
)

// launcher is one launch.
type launcher struct {
	Config
	mark       string
	executable string
	began      time.Time
	printing   sync.Mutex
	signals    chan os.Signal

	selection  stack.Selection
	endpoints  stack.Endpoints
	folder     *state.Folder
	ports      *ports.Reservation
	rabbitmq   rabbitmq.Installation
	supervisor *supervise.Supervisor
	control    *control.Server
	context    stack.Context
}

// Run launches, waits and takes down. It returns the exit code.
func Run(cfg Config) int {
	l := &launcher{
		Config:  cfg,
		mark:    strconv.Itoa(os.Getpid()) + "." + strconv.FormatInt(time.Now().UnixNano(), 36),
		began:   time.Now(),
		signals: make(chan os.Signal, 8),
	}
	signal.Notify(l.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(l.signals)
	// While the command has the terminal, writing to it must not stop us.
	signal.Ignore(syscall.SIGTTOU)

	code, err := l.run()
	var interrupted interruptedError
	if err != nil && !errors.As(err, &interrupted) {
		l.say("%v", err)
	}
	return code
}

// interruptedError is the cause of a context that a signal ended.
type interruptedError struct{ signal syscall.Signal }

func (e interruptedError) Error() string { return e.signal.String() }

func (e interruptedError) exitCode() int { return 128 + int(e.signal) }

func (l *launcher) run() (code int, err error) {
	if err := l.prepare(); err != nil {
		return exitFailed, err
	}
	defer l.release()

	if err := l.startInterruptibly(); err != nil {
		l.takeDown(false)
		var interrupted interruptedError
		if errors.As(err, &interrupted) {
			return interrupted.exitCode(), err
		}
		return exitFailed, err
	}
	if err := l.listen(); err != nil {
		l.takeDown(false)
		return exitFailed, err
	}
	l.say("ready in %.1f s", time.Since(l.began).Seconds())
	if len(l.Command) > 0 {
		code, err = l.runCommand()
	} else {
		code = l.stay()
	}
	l.control.Close()
	l.takeDown(l.durable())
	return code, err
}

// durable stacks keep their data, so they are stopped gracefully; temporary
// ones need not.
func (l *launcher) durable() bool { return l.Home != "" }

// prepare does what needs no other process.
func (l *launcher) prepare() error {
	var err error
	if l.executable, err = os.Executable(); err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	if l.selection, err = stack.Select(l.Only, l.External, os.LookupEnv); err != nil {
		return err
	}
	if err := l.openState(); err != nil {
		return err
	}
	if l.ports, err = ports.New(ports.SharedDir()); err != nil {
		l.folder.Close()
		return err
	}
	if l.endpoints, err = stack.ChooseEndpoints(l.ports, l.selection, l.durable(), l.say); err != nil {
		l.release()
		return err
	}
	return nil
}

func (l *launcher) openState() error {
	var err error
	if !l.durable() {
		l.folder, err = state.OpenThrowaway()
		return err
	}
	l.folder, err = state.Open(l.Home)
	var inUse *state.InUseError
	if errors.As(err, &inUse) {
		return fmt.Errorf("%w; `devstack env` shows where it listens, and --home or DEVSTACK_HOME names another folder for a second one", err)
	}
	return err
}

// release releases the resources of prepare.
func (l *launcher) release() {
	l.ports.Release()
	if l.KeepState && !l.durable() {
		l.say("state kept in %s", l.folder.Dir)
		l.folder.Keep()
	}
	if err := l.folder.Close(); err != nil {
		l.say("state folder: %v", err)
	}
}

// startInterruptibly starts all components; a signal ends that with an
// interruptedError.
func (l *launcher) startInterruptibly() error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- l.start(ctx) }()
	for {
		select {
		case err := <-ended:
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		case sig := <-l.signals:
			l.say("%v: giving up", sig)
			cancel(interruptedError{sig.(syscall.Signal)})
		}
	}
}

func (l *launcher) start(ctx context.Context) error {
	var err error
	if l.rabbitmq, err = l.broker(ctx); err != nil {
		return err
	}
	logs, err := l.folder.Sub("logs")
	if err != nil {
		return err
	}
	builder := stack.Builder{
		Selection:        l.selection,
		Endpoints:        l.endpoints,
		Folder:           l.folder,
		Ports:            l.ports,
		Executable:       l.executable,
		Base:             os.Environ(),
		Durable:          l.durable(),
		RabbitMQ:         l.rabbitmq,
		ExternalTemporal: os.Getenv("TEMPORAL_ADDRESS"),
	}
	components, err := builder.Components()
	if err != nil {
		return err
	}
	logPath := func(component string) string { return filepath.Join(logs, component+".log") }
	for _, component := range components {
		// The log of the previous launch would be misleading.
		if err := os.Remove(logPath(component.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove old log: %w", err)
		}
	}
	l.supervisor = supervise.New(supervise.Config{
		Components: components,
		LogPath:    logPath,
		Mark:       l.mark,
		Say:        l.say,
		StartLimit: startLimit,
	})
	if len(components) > 0 {
		l.say("starting %s; state and logs in %s", names(components), l.folder.Dir)
	}
	return l.supervisor.StartAll(ctx)
}

// broker finds RabbitMQ, or installs it where that is possible.
func (l *launcher) broker(ctx context.Context) (rabbitmq.Installation, error) {
	if !l.selection.Started(stack.RabbitMQ) {
		return rabbitmq.Installation{}, nil
	}
	if l.RabbitMQ != "" || l.Erlang != "" {
		installation, err := rabbitmq.Locate(l.RabbitMQ, l.Erlang)
		if err == nil {
			l.say("rabbitmq: %s", l.RabbitMQ)
		}
		return installation, err
	}
	if installation, ok := rabbitmq.Find(); ok {
		return installation, nil
	}
	if !rabbitmq.CanInstall() {
		return rabbitmq.Installation{}, fmt.Errorf("%w\n%s", rabbitmq.ErrMissing, rabbitmq.Hint)
	}
	l.say("RabbitMQ is not installed; installing rabbitmq-server with apt-get, without starting a system broker")
	err := rabbitmq.Install(ctx, func(line string) { l.say("apt-get: %s", line) })
	if err != nil {
		return rabbitmq.Installation{}, fmt.Errorf("%w\n%s", err, rabbitmq.Hint)
	}
	installation, ok := rabbitmq.Find()
	if !ok {
		return rabbitmq.Installation{}, fmt.Errorf("%w although apt-get installed it\n%s", rabbitmq.ErrMissing, rabbitmq.Hint)
	}
	return installation, nil
}

// takeDown ends all components. Gracefully, a further signal makes it hurry.
func (l *launcher) takeDown(graceful bool) {
	if l.supervisor == nil {
		return
	}
	hurry, closed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(closed)
		l.supervisor.Close(graceful, hurry)
	}()
	if graceful {
		l.say("stopping (again to hurry)")
	}
	for hurried := false; ; {
		select {
		case <-closed:
			return
		case <-l.signals:
			if !hurried {
				hurried = true
				close(hurry)
			}
		}
	}
}

func names(components []supervise.Component) string {
	text := ""
	for i, component := range components {
		if i > 0 {
			text += ", "
		}
		text += component.Name
	}
	return text
}

// say prints one message, on one or more lines.
func (l *launcher) say(format string, args ...any) {
	l.printing.Lock()
	defer l.printing.Unlock()
	fmt.Fprintf(l.Err, "devstack: "+format+"\n", args...)
}

// sweepLimit bounds the search for the command's leftovers.
const sweepLimit = 5 * time.Second

func (l *launcher) commandMark() string { return l.mark + ".command" }

func (l *launcher) sweepCommand() { process.Sweep(l.commandMark(), sweepLimit) }
