// Command chaos runs orders while processes, servers and connections fail, and then checks that nothing is lost, doubled or leaked.
// `make chaos` runs it; see docs/reliability.md.
//
// It knows the service from outside only: REST, the bus, the command line, and the raw documents of the event log.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/command"
)

func main() {
	command.Main("chaos", func(ctx context.Context, args []string) error {
		o, err := parse(args, os.Stderr)
		if err != nil {
			return err
		}
		return do(ctx, o)
	})
}

// options say what a run does.
type options struct {
	binary    string
	duration  time.Duration
	seed      uint64
	orders    int
	faults    int
	clients   int
	backlog   int
	processes []string
	heal      time.Duration
	out       string
}

// faultEvery is how often a fault happens by default.
const faultEvery = 8 * time.Second

func parse(args []string, output io.Writer) (options, error) {
	var o options
	var processes string
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.binary, "binary", "bin/ordersaga", "path of the service's binary")
	flags.DurationVar(&o.duration, "duration", 5*time.Minute, "how long orders are placed")
	flags.Uint64Var(&o.seed, "seed", 0, "what orders and faults are drawn from (default: the time)")
	flags.IntVar(&o.orders, "orders", 0, "how many orders are placed, evenly over the duration; 0: as many as the clients can")
	flags.IntVar(&o.faults, "faults", 0, "how many faults happen; 0: one every "+faultEvery.String())
	flags.IntVar(&o.clients, "clients", 24, "how many clients place orders, half of them by event; each waits some seconds for the end of its order")
	flags.IntVar(&o.backlog, "backlog", 400, "how many orders may be open; more are not placed")
	flags.StringVar(&processes, "processes", "serve,api,worker,consumer", "the processes of the service, by role")
	flags.DurationVar(&o.heal, "heal", 20*time.Minute, "how long orders may take to end after the last fault")
	flags.StringVar(&o.out, "out", "bench/results", "folder for chaos.json, chaos.md and the logs of the processes")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	o.processes = strings.Split(processes, ",")
	if o.faults == 0 {
		o.faults = max(1, int(o.duration/faultEvery))
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	if o.duration < time.Second || o.clients < 2 || o.backlog < 1 || o.orders < 0 || o.faults < 0 {
		return o, errors.New("--duration must be at least 1s, --clients at least 2, --backlog at least 1, --orders and --faults not negative")
	}
	return o, nil
}

// String is the command that repeats the run.
func (o options) String() string {
	s := fmt.Sprintf("chaos -duration %s -seed %d -faults %d -clients %d -backlog %d -processes %s", o.duration, o.seed, o.faults, o.clients, o.backlog, strings.Join(o.processes, ","))
	if o.orders > 0 {
		s += fmt.Sprintf(" -orders %d", o.orders)
	}
	return s
}
