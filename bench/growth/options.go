package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/internal/mongo"
)

// options say what a run does.
type options struct {
	// sizes are numbers of events, growing.
	sizes   []int
	samples int
	writers int
	seed    uint64
	most    float64
	out     string
}

// Defaults of a run.
const (
	defaultSizes   = "10000,100000,1000000"
	standInSizes   = "500,2000"
	defaultSamples = 200
	defaultWriters = 128
	// defaultMost is how many times as much an operation may cost at the largest size. From 10 thousand to a million a
	// search tree gets deeper by half and more of it is outside of the processor's caches: up to twice as much is the nature
	// of it, and of a noisy machine. What grows with the square root of the size costs 10 times as much, a scan 100 times.
	defaultMost = 2.5
)

// parse reads the command line. The error flag.ErrHelp is no error.
func parse(args []string, output io.Writer) (options, error) {
	var o options
	var sizes string
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&sizes, "sizes", "", "at how many events to measure, separated by commas; a tenth of them are SKUs (default "+defaultSizes+"; on FerretDB 1 "+standInSizes+")")
	flags.IntVar(&o.samples, "samples", defaultSamples, "how often each operation is measured at each size")
	flags.IntVar(&o.writers, "writers", defaultWriters, "how many streams are written at once while filling")
	flags.Uint64Var(&o.seed, "seed", 0, "what streams and samples are drawn from (default: the time)")
	flags.Float64Var(&o.most, "most", defaultMost, "how many times as much the median of an operation may be at the largest size as at the smallest")
	flags.StringVar(&o.out, "out", "bench/results", "folder for growth.json, growth.md and growth.svg")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if o.samples < 1 || o.writers < 1 || o.most < 1 {
		return o, errors.New("--samples, --writers and --most must be at least 1")
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	if sizes == "" {
		return o, nil
	}
	return o.of(sizes)
}

// on chooses sizes that the server can bear, when none were given.
func (o options) on(server mongo.Server) options {
	if o.sizes != nil {
		return o
	}
	sizes := defaultSizes
	if server == mongo.FerretDB1 {
		sizes = standInSizes
	}
	o, _ = o.of(sizes)
	return o
}

// of reads the sizes.
func (o options) of(sizes string) (options, error) {
	for _, text := range strings.Split(sizes, ",") {
		size, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || size < smallest {
			return o, fmt.Errorf("--sizes: %q is no number from %d on", text, smallest)
		}
		if n := len(o.sizes); n > 0 && size <= o.sizes[n-1] {
			return o, fmt.Errorf("--sizes: %d does not grow", size)
		}
		o.sizes = append(o.sizes, size)
	}
	return o, nil
}

// pieces is how many events are filled in and samples taken.
func (o options) pieces() int {
	pieces := 0
	for _, size := range o.sizes {
		pieces += size + o.samples*len((&meter{}).operations())
	}
	return pieces
}

// String is the command that repeats the run.
func (o options) String() string {
	sizes := make([]string, len(o.sizes))
	for i, size := range o.sizes {
		sizes[i] = strconv.Itoa(size)
	}
	return fmt.Sprintf("growth --sizes %s --samples %d --seed %d", strings.Join(sizes, ","), o.samples, o.seed)
}
