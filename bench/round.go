package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/load"
	"github.com/ordersaga/ordersaga/bench/internal/procs"
	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/rig"
	"github.com/ordersaga/ordersaga/bench/internal/shop"
	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/bench/naive"
)

// round is one round over all scenarios.
type round struct {
	*runner
	number int
	// placed and naive are the orders of the service and of the naive sagas, with the events that must end them.
	placed, naive map[string]string
	stocked       bool
	rate          float64
}

// counts reports whether this is the counting round, which is not timed.
func (r *round) counts() bool { return r.number == 0 }

// round runs each side in turn, and then looks at everything that was placed. Sides and scenarios begin somewhere else in
// each round, so that none of them always comes first.
func (r *runner) round(ctx context.Context, number int) error {
	now := &round{runner: r, number: number, placed: map[string]string{}, naive: map[string]string{}}
	for _, s := range rotated(sides, number) {
		todo := now.of(s)
		if len(todo) == 0 {
			continue
		}
		var err error
		if s == inside {
			err = now.insideSide(ctx, todo)
		} else {
			err = now.serviceSide(ctx, s, todo)
		}
		if err != nil {
			return err
		}
	}
	if err := now.verify(ctx); err != nil {
		return err
	}
	r.placed += len(now.placed) + len(now.naive)
	if r.o.keep {
		return nil
	}
	return r.drop(ctx, number)
}

// rotated returns a list that begins n places further on.
func rotated[T any](list []T, n int) []T {
	if len(list) == 0 {
		return nil
	}
	n %= len(list)
	return slices.Concat(list[n:], list[:n])
}

// of are the chosen scenarios of a side, in the order of this round.
func (r *round) of(s side) []scenario {
	var first, last []scenario
	for _, c := range r.chosen {
		switch {
		case c.side != s:
		case c.last:
			last = append(last, c)
		default:
			first = append(first, c)
		}
	}
	return append(rotated(first, r.number), last...)
}

// insideSide runs what runs in this process.
func (r *round) insideSide(ctx context.Context, todo []scenario) error {
	in, err := rig.StartInside(ctx, r.stack, r.stack.NaiveDatabase(r.number))
	if err != nil {
		return fmt.Errorf("start the floor and the naive sagas: %w", err)
	}
	defer in.Stop(context.WithoutCancel(ctx))
	for _, sku := range shop.SKUs() {
		if _, err := in.Ledger.Receive(ctx, sku, shop.Pieces, "bench"); err != nil {
			return err
		}
	}
	appends, err := rig.NewAppends(ctx, in.DB)
	if err != nil {
		return err
	}
	base := turn{inside: in, appends: appends, naive: r.naive}
	if err := r.warm(ctx, inside, base, floorBy((*rig.Inside).Floor), naiveBy(naive.NameCompact)); err != nil {
		return err
	}
	return r.turns(ctx, todo, base)
}

// warm runs a few orders that are not measured.
func (r *round) warm(ctx context.Context, s side, base turn, runs ...func(context.Context, *turn) (load.Sample, int, error)) error {
	for i, run := range runs {
		t := base
		t.id = fmt.Sprintf("%s-warm%d-%s-%d", r.stack.Run, i, s, r.number)
		t.n, t.inFlight, t.seed = 2*r.o.inFlight, r.o.inFlight, r.o.seed
		t.began, t.workflow, t.progress = func() {}, func(string) {}, func() {}
		if _, _, err := run(ctx, &t); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	return nil
}

// serviceSide runs the service and drives it from outside.
func (r *round) serviceSide(ctx context.Context, s side, todo []scenario) error {
	running, err := r.startService(ctx, s)
	if err != nil {
		return err
	}
	defer running.kill()
	front, err := shop.Open(running.urls, r.stack.AMQP, r.stack.Exchange(), r.o.inFlight)
	if err != nil {
		return err
	}
	defer front.Close()
	defer func() { maps.Copy(r.placed, front.Placed()) }()
	if err := r.drive(ctx, s, running, front, todo); err != nil {
		return running.explain(err)
	}
	if err := errors.Join(front.Doubled(), rig.Quiet(ctx, r.control, r.stack.Namespace)); err != nil {
		return running.explain(err)
	}
	// A connection that is open and unused would keep the service from ending for five seconds.
	front.Close()
	return running.stop()
}

func (r *round) drive(ctx context.Context, s side, running *service, front *shop.Shop, todo []scenario) error {
	if !r.stocked {
		if err := front.Stock(ctx); err != nil {
			return err
		}
		r.stocked = true
	}
	if err := front.Begin(ctx, (shop.Basket{}).Orders(1, r.o.seed, "begin")[0]); err != nil {
		return err
	}
	base := turn{shop: front, service: running}
	if err := r.warm(ctx, s, base, placed((*shop.Shop).ByREST), placed((*shop.Shop).ByEvent)); err != nil {
		return err
	}
	return r.turns(ctx, todo, base)
}

// turns runs scenarios one after the other.
func (r *round) turns(ctx context.Context, todo []scenario, base turn) error {
	for _, s := range todo {
		t := base
		t.scenario, t.n, t.inFlight, t.rate = s, r.size(s, r.number), r.o.inFlight, r.rate
		t.id = fmt.Sprintf("%s-%s-%d", r.stack.Run, s.name, r.number)
		t.seed, t.progress = r.o.seed+uint64(r.number), r.bar.step
		if err := r.measure(ctx, &t); err != nil {
			return fmt.Errorf("scenario %s: %w", s.name, err)
		}
	}
	return nil
}

// measure runs one turn and keeps what was measured.
func (r *round) measure(ctx context.Context, t *turn) error {
	r.bar.doing(r.number, t.scenario.name)
	var mine samples
	t.workflow = mine.note
	begin := func() (before procs.Snapshot, commands rig.Commands) {
		if r.counts() {
			commands = rig.CommandsSoFar(ctx, r.mongo)
		}
		return r.watch.Now(), commands
	}
	before, earlier := begin()
	profile := r.newProfile(t)
	defer profile.drop()
	if !t.scenario.part {
		profile.start(ctx)
	}
	t.began = func() {
		before, earlier = begin()
		profile.start(ctx)
	}
	sample, n, err := t.scenario.run(ctx, t)
	if err != nil {
		return err
	}
	if r.counts() {
		// The last workflows may still be saying that they are done.
		if err := rig.Quiet(ctx, r.control, r.stack.Namespace); err != nil {
			return err
		}
	}
	after, commands := begin()
	result := r.results[t.scenario.name]
	rate := float64(n) / sample.Elapsed.Seconds()
	if t.scenario.name == "rest" {
		r.rate = rate
	}
	if r.counts() {
		r.paces[t.scenario.name] = sample.Elapsed / time.Duration(t.n)
		result.Cost, err = r.cost(ctx, commands.PerOrder(earlier, n), mine.list)
		return err
	}
	one := report.Round{
		Round: r.number, Count: n, Elapsed: sample.Elapsed, PerSecond: rate, Samples: sample.Latencies, Latency: stats.LatencyOf(sample.Latencies),
		CPU: map[string]float64{}, Resident: map[string]int64{}, Foreign: after.Foreign(before),
	}
	for process, used := range after.Since(before) {
		one.CPU[process] = float64(used) / float64(time.Millisecond) / float64(n)
		one.Resident[process] = after.Processes[process].Resident
	}
	result.Rounds = append(result.Rounds, one)
	r.bar.done(r.number, t.scenario.name, one)
	return profile.finish()
}

// verify holds the raw documents against what was placed, and has the service check itself.
func (r *round) verify(ctx context.Context) error {
	if len(r.naive) > 0 {
		if err := rig.Audit(ctx, r.mongo.Database(r.stack.NaiveDatabase(r.number)), r.naive); err != nil {
			return fmt.Errorf("the naive sagas: %w", err)
		}
	}
	if len(r.placed) == 0 {
		return nil
	}
	database := r.stack.Database(r.number)
	if err := rig.Audit(ctx, r.mongo.Database(database), r.placed); err != nil {
		return err
	}
	return rig.Reconcile(ctx, r.stack, r.o.binary, database)
}
