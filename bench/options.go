package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options say what a run does.
type options struct {
	scenarios []string
	rounds    int
	orders    int
	inFlight  int
	seed      uint64
	quick     bool
	binary    string
	out       string
	profile   string
	namespace string
	keep      bool
}

// Defaults of a run, and of a quick one.
const (
	defaultRounds, quickRounds     = 5, 1
	defaultOrders, quickOrders     = 240, 16
	defaultInFlight, quickInFlight = 32, 8
)

// parse reads the command line. What is not given follows from --quick. The error flag.ErrHelp is no error.
func parse(args []string, output io.Writer) (options, error) {
	var o options
	var names string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&names, "scenarios", "all", "what to measure, separated by commas: all, or of "+strings.Join(scenarioNames(), ", "))
	flags.IntVar(&o.rounds, "rounds", 0, fmt.Sprintf("how many interleaved rounds (default %d, quick %d)", defaultRounds, quickRounds))
	flags.IntVar(&o.orders, "orders", 0, fmt.Sprintf("orders a scenario and round (default %d, quick %d)", defaultOrders, quickOrders))
	flags.IntVar(&o.inFlight, "in-flight", 0, fmt.Sprintf("how many orders are on their way at once (default %d, quick %d)", defaultInFlight, quickInFlight))
	flags.Uint64Var(&o.seed, "seed", 0, "what the orders and their times are drawn from (default: the time)")
	flags.BoolVar(&o.quick, "quick", false, "look whether everything works, in under two minutes: the numbers mean nothing")
	flags.StringVar(&o.binary, "binary", "bin/ordersaga", "path of the service's binary")
	flags.StringVar(&o.out, "out", "bench/results", "folder for bench.json, bench.md and bench.svg")
	flags.StringVar(&o.profile, "profile", "", "folder for CPU profiles of the service, and of the floor and the naive sagas, in the first timed round")
	flags.StringVar(&o.namespace, "namespace", "", "an existing Temporal namespace without other users (default: create one)")
	flags.BoolVar(&o.keep, "keep", false, "keep databases, queues and namespace")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	return o.complete(names)
}

// complete fills in defaults and names what is wrong.
func (o options) complete(names string) (options, error) {
	full := [3]int{defaultRounds, defaultOrders, defaultInFlight}
	if o.quick {
		full = [3]int{quickRounds, quickOrders, quickInFlight}
	}
	for i, value := range []*int{&o.rounds, &o.orders, &o.inFlight} {
		if *value == 0 {
			*value = full[i]
		}
		if *value < 0 {
			return o, errors.New("--rounds, --orders and --in-flight must be above 0")
		}
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	known := scenarioNames()
	o.scenarios = strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' })
	if slices.Contains(o.scenarios, "all") {
		o.scenarios = known
	}
	for _, name := range o.scenarios {
		if !slices.Contains(known, name) {
			return o, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	if len(o.scenarios) == 0 {
		return o, errors.New("--scenarios names none")
	}
	if slices.Contains(o.scenarios, "half") && !slices.Contains(o.scenarios, "rest") {
		return o, errors.New("scenario half needs rest, whose rate it halves")
	}
	if slices.Contains(o.scenarios, "raw") && !slices.Contains(o.scenarios, "append") {
		return o, errors.New("scenario raw needs append, whose documents it inserts")
	}
	return o, nil
}

// String is the command that repeats the run.
func (o options) String() string {
	s := fmt.Sprintf("bench --rounds %d --orders %d --in-flight %d --seed %d", o.rounds, o.orders, o.inFlight, o.seed)
	if !slices.Equal(o.scenarios, scenarioNames()) {
		s += " --scenarios " + strings.Join(o.scenarios, ",")
	}
	return s
}
