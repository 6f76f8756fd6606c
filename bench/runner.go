package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/bench/internal/procs"
	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/rig"
)

// countedOrders bounds the counting round: what an order costs does not change with their number.
const countedOrders = 60

// clean bounds the cleaning up.
const clean = 3 * time.Minute

// runner runs the rounds.
type runner struct {
	o       options
	stack   rig.Stack
	control client.Client
	mongo   *mongo.Client
	watch   *procs.Watch
	bar     *progress
	chosen  []scenario
	results map[string]*report.Scenario
	placed  int
	// paces are how long an order took in the counting round, by scenario.
	paces map[string]time.Duration
	// alone reports whether every server was found on this machine.
	alone bool
	notes []string
}

func newRunner(o options) (*runner, error) {
	stack, err := rig.FromEnvironment(strconv.FormatInt(time.Now().UnixMilli(), 36))
	if err != nil {
		return nil, err
	}
	if o.namespace != "" {
		stack.Namespace = o.namespace
	}
	if _, err := os.Stat(o.binary); err != nil {
		return nil, fmt.Errorf("the service is not built: %w", err)
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return nil, err
		}
	}
	r := &runner{
		o: o, stack: stack, watch: procs.NewWatch(procs.NewReader("/proc")), results: map[string]*report.Scenario{}, paces: map[string]time.Duration{},
	}
	for _, s := range scenarios {
		if !slices.Contains(o.scenarios, s.name) {
			continue
		}
		if s.unit == "" {
			s.unit = report.UnitOrders
		}
		r.chosen = append(r.chosen, s)
		r.results[s.name] = &report.Scenario{Name: s.name, Title: s.title, Unit: s.unit, Paced: s.paced, Part: s.part, Payment: payment(s), Undone: s.undone}
	}
	return r, nil
}

// run runs everything and cleans up after itself.
func (r *runner) run(ctx context.Context) (_ *report.Report, err error) {
	began := time.Now()
	if r.control, err = rig.Dial(r.stack); err != nil {
		return nil, err
	}
	defer r.control.Close()
	if r.mongo, err = rig.Connect(r.stack); err != nil {
		return nil, err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), clean)
		defer cancel()
		r.tidy(last)
	}()
	fmt.Fprintf(os.Stderr, "bench: run %s, seed %d; %s\n", r.stack.Run, r.o.seed, r.o)
	if err := r.namespace(ctx); err != nil {
		return nil, err
	}
	versions, err := rig.Versions(ctx, r.stack, r.control, r.mongo.Database(r.stack.Database(0)))
	if err != nil {
		return nil, err
	}
	r.watchServers()
	r.bar = newProgress(os.Stderr, r.pieces())
	defer r.bar.end()
	if rig.CommandsSoFar(ctx, r.mongo) == nil {
		r.notes = append(r.notes, "the server does not tell how many commands it has executed (serverStatus, metrics.commands)")
	}
	for number := range r.o.rounds + 1 {
		if err := r.round(ctx, number); err != nil {
			return nil, fmt.Errorf("%s: %w", name(number), err)
		}
	}
	return r.report(began, versions), nil
}

// namespace creates the run's namespace, or checks that a given one has no other users.
func (r *runner) namespace(ctx context.Context) error {
	if r.o.namespace == "" {
		return rig.MakeNamespace(ctx, r.control, r.stack.Namespace)
	}
	return rig.Alone(ctx, r.control, r.stack.Namespace)
}

// watchServers finds the servers' processes, where they are on this machine.
func (r *runner) watchServers() {
	r.watch.Processes("bench", os.Getpid())
	if _, ok := r.watch.Now().Processes["bench"]; !ok {
		r.notes = append(r.notes, "CPU and memory are read from /proc, which is not there")
		return
	}
	r.alone = true
	for name, addr := range map[string]string{
		"temporal": r.stack.Temporal, "mongodb": r.stack.MongoAddress(), "rabbitmq": r.stack.AMQPAddress(),
	} {
		if !r.watch.Server(name, addr) {
			r.alone = false
			r.notes = append(r.notes, name+" is not a process of this machine that can be looked at: its CPU and memory are not known")
		}
	}
	slices.Sort(r.notes)
	// What these store elsewhere is their work too.
	r.watch.Stores("temporal")
	r.watch.Stores("mongodb")
}

// pieces is how much there is to do, for the progress bar.
func (r *runner) pieces() int {
	total := 0
	for _, s := range r.chosen {
		total += r.size(s, 0) + r.o.rounds*r.size(s, 1)
	}
	return total
}

// size is how many orders a scenario gets in a round; round 0 is the counting one.
func (r *runner) size(s scenario, round int) int {
	n := r.o.orders
	if round == 0 {
		n = min(n, countedOrders)
	}
	if s.share > 0 {
		n = int(float64(n) * s.share)
	}
	return max(n, 1)
}

// tidy takes away what the run has made.
func (r *runner) tidy(ctx context.Context) {
	defer func() { _ = r.mongo.Disconnect(ctx) }()
	if r.o.keep {
		return
	}
	var failed error
	for round := range r.o.rounds + 1 {
		failed = errors.Join(failed, r.drop(ctx, round))
	}
	failed = errors.Join(failed, rig.DropQueues(r.stack))
	if r.o.namespace == "" {
		failed = errors.Join(failed, rig.DropNamespace(ctx, r.control, r.stack.Namespace))
	}
	if failed != nil {
		fmt.Fprintln(os.Stderr, "bench: not everything was cleaned up:", failed)
	}
}

func (r *runner) drop(ctx context.Context, round int) error {
	return errors.Join(r.mongo.Database(r.stack.Database(round)).Drop(ctx), r.mongo.Database(r.stack.NaiveDatabase(round)).Drop(ctx))
}
