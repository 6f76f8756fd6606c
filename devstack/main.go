// Command devstack runs what ordersaga needs on one machine: a Temporal server
// with its Web UI, a MongoDB wire server and a private RabbitMQ node, each in a
// process of its own, on loopback only. All end with devstack.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/devstack/internal/control"
	"github.com/ordersaga/ordersaga/devstack/internal/launch"
	"github.com/ordersaga/ordersaga/devstack/internal/process"
	"github.com/ordersaga/ordersaga/devstack/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/devstack/internal/stack"
	"github.com/ordersaga/ordersaga/devstack/internal/state"
)

// exitUsage is the exit code for a command line that is not understood.
const exitUsage = 2

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, help)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case process.KeepCommand:
		return process.Keep(rest)
	case stack.ServeCommand:
		return serve(rest, stderr)
	case "up":
		return up(rest, stdout, stderr)
	case "exec":
		return execute(rest, stdout, stderr)
	case control.Kill, control.Stop, control.Start:
		return act(name, rest, stdout, stderr)
	case "env":
		return env(rest, stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, help)
		return 0
	}
	fmt.Fprintf(stderr, "devstack: there is no command %q; `devstack help` lists them\n", name)
	return exitUsage
}

// options are the flags of up and exec.
type options struct {
	home, only       string
	rabbitmq, erlang string
	drain            time.Duration
	keep             bool
	command          []string
}

func parse(name string, args []string, stderr io.Writer) (options, error) {
	o := options{home: os.Getenv("DEVSTACK_HOME")}
	if o.home == "" {
		o.home = ".devstack"
	}
	flags := flag.NewFlagSet("devstack "+name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", os.Getenv(stack.OnlyVariable), "start only these `components`, separated by commas")
	flags.StringVar(&o.rabbitmq, "rabbitmq", os.Getenv(rabbitmq.InstallationVariable), "`path` of another RabbitMQ than the machine's own")
	flags.StringVar(&o.erlang, "erlang", os.Getenv(rabbitmq.ErlangVariable), "`folder` of its erl, where the PATH has none that fits")
	flags.DurationVar(&o.drain, "drain", launch.DefaultDrain, "how long CMD may take to end after a signal")
	switch name {
	case "up":
		flags.StringVar(&o.home, "home", o.home, "`folder` for state and logs")
	case "exec":
		flags.BoolVar(&o.keep, "keep", false, "keep the temporary state")
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	// The flag package drops a leading "--"; an argument before it is a mistake.
	o.command = flags.Args()
	if i := slices.Index(args, "--"); i < 0 && len(o.command) > 0 || i >= 0 && len(o.command) != len(args)-i-1 {
		return o, usage(stderr, "devstack %s: the command goes after --", name)
	}
	return o, nil
}

func usage(stderr io.Writer, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	fmt.Fprintln(stderr, err)
	return err
}

func up(args []string, stdout, stderr io.Writer) int {
	o, err := parse("up", args, stderr)
	if err != nil {
		return usageCode(err)
	}
	return launch.Run(launch.Config{
		Home: o.home, Command: o.command, Only: o.only, External: os.Getenv(stack.ExternalVariable),
		RabbitMQ: o.rabbitmq, Erlang: o.erlang, Drain: o.drain, Out: stdout, Err: stderr,
	})
}

func execute(args []string, stdout, stderr io.Writer) int {
	o, err := parse("exec", args, stderr)
	if err == nil && len(o.command) == 0 {
		err = usage(stderr, "devstack exec: which command? devstack exec -- CMD …")
	}
	if err != nil {
		return usageCode(err)
	}
	return launch.Run(launch.Config{
		Command: o.command, Only: o.only, External: os.Getenv(stack.ExternalVariable),
		RabbitMQ: o.rabbitmq, Erlang: o.erlang, Drain: o.drain, KeepState: o.keep, Out: stdout, Err: stderr,
	})
}

func usageCode(err error) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	return exitUsage
}

// socket finds the control socket: of the devstack that runs this command, or
// of the one that holds the state folder.
func socket(home string) (string, error) {
	if path := os.Getenv(stack.ControlVariable); path != "" {
		return path, nil
	}
	owner, err := state.FindOwner(home)
	if err != nil {
		return "", fmt.Errorf("%w: %s is not set, and no devstack uses %s", err, stack.ControlVariable, home)
	}
	return owner.Control, nil
}

func act(action string, args []string, stdout, stderr io.Writer) int {
	o, err := parse("up", args[min(1, len(args)):], stderr)
	if err == nil && (len(args) == 0 || len(o.command) > 0) {
		err = usage(stderr, "devstack %s: which component? devstack %s temporal|ui|mongodb|rabbitmq", action, action)
	}
	if err != nil {
		return usageCode(err)
	}
	path, err := socket(o.home)
	if err == nil {
		var response control.Response
		if response, err = control.Call(path, control.Request{Action: action, Component: args[0]}); err == nil {
			fmt.Fprintln(stdout, response.Message)
			return 0
		}
	}
	fmt.Fprintf(stderr, "devstack %s: %v\n", action, err)
	return 1
}

func env(args []string, stdout, stderr io.Writer) int {
	o, err := parse("up", args, stderr)
	if err != nil {
		return usageCode(err)
	}
	path, err := socket(o.home)
	if err == nil {
		var response control.Response
		if response, err = control.Call(path, control.Request{Action: control.Env}); err == nil {
			for _, pair := range response.Env {
				fmt.Fprintln(stdout, launch.Export(pair))
			}
			return 0
		}
	}
	fmt.Fprintf(stderr, "devstack env: %v\n", err)
	return 1
}
