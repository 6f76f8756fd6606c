package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/process"
	"github.com/ordersaga/ordersaga/devstack/internal/stack"
)

// DefaultDrain is generous: a worker finishes its running activities.
const DefaultDrain = time.Minute

// impatience separates a second signal that a person means from one that a
// parent process passed on besides the terminal.
const impatience = time.Second

// environmentContext fills in what Environment and Settings need; it needs the
// control server.
func (l *launcher) environmentContext() (stack.Context, error) {
	empty := filepath.Join(l.folder.Dir, "temporal.toml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return stack.Context{}, fmt.Errorf("write empty temporal.toml: %w", err)
	}
	return stack.Context{
		Control:         l.control.Path(),
		Executable:      l.executable,
		EmptyFile:       empty,
		MongoDBQuery:    stack.MongoDBQuery(),
		RabbitMQControl: stack.RabbitMQControl(l.folder, l.rabbitmq),
		KeepAPIAddress:  l.durable(),
	}, nil
}

// runCommand runs the command, passes the first signal on, and kills it when it
// does not end in time. It returns the command's exit code.
func (l *launcher) runCommand() (int, error) {
	environment := stack.Environment(os.Environ(), l.selection, l.endpoints, l.context)
	command, err := process.Start(process.Spec{
		Args:    l.Command,
		Env:     append(environment, process.MarkVariable+"="+l.commandMark()),
		Foreign: true,
		Group:   true,
	})
	if err != nil {
		return exitFailed, err
	}
	var (
		passed time.Time
		drain  <-chan time.Time
	)
	for {
		select {
		case <-command.Done():
			l.sweepCommand()
			return command.ExitCode(), nil
		case received := <-l.signals:
			sig := received.(syscall.Signal)
			switch {
			case passed.IsZero():
				passed = time.Now()
				l.say("%v: passed on to the command, which has %v to end", sig, l.Drain)
				command.Signal(sig)
				timer := time.NewTimer(l.Drain)
				defer timer.Stop()
				drain = timer.C
			case time.Since(passed) > impatience:
				l.say("%v again: killing the command", sig)
				command.Kill()
			}
		case <-drain:
			l.say("the command has not ended within %v: killing it", l.Drain)
			command.Kill()
		}
	}
}

// stay prints the environment and waits for a signal.
func (l *launcher) stay() int {
	for _, pair := range stack.Settings(os.Environ(), l.selection, l.endpoints, l.context) {
		fmt.Fprintln(l.Out, Export(pair))
	}
	l.say("Ctrl-C ends it")
	sig := (<-l.signals).(syscall.Signal)
	if sig == syscall.SIGINT {
		return 0 // the way to end it
	}
	return interruptedError{sig}.exitCode()
}
