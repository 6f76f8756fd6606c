// Package groupcommit shares round trips between concurrent callers. An item that arrives during a round trip waits, and is sent together
// with other waiting items when that round trip ends or takes too long. Without a round trip in progress an item is sent at once.
//
// Each caller gets the result of its own item. The number of waiting callers is bounded, which is the back-pressure.
//
// A Group runs goroutines only while it has items, and need not be closed.
package groupcommit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUntried is Write's result for an item that was certainly not tried: it is sent again.
var ErrUntried = errors.New("not tried")

// Config configures a Group.
type Config[T any] struct {
	// Write sends items in one round trip and returns their results. It is called by up to Concurrency goroutines. It must try at
	// least the first item. Required.
	Write func(ctx context.Context, items []T) []error
	// Timeout bounds a round trip. Required.
	Timeout time.Duration
	// Concurrency is the maximum number of concurrent round trips. Default 1.
	Concurrency int
	// SlowAfter is the time that all current round trips must have taken before waiting items get another one; if they fill a round
	// trip, they get it at once. A longer time lets more callers share a round trip, and wait longer for one that hangs. By default
	// items do not wait while Concurrency allows another round trip.
	SlowAfter time.Duration
	// MaxWeight is the maximum weight of a round trip; a single item may be heavier. Default 100.
	MaxWeight int
	// Weight returns the weight of an item. Default 1.
	Weight func(T) int
	// MaxCallers bounds the callers of Do that wait or are being served; further callers block. Default 10,000.
	MaxCallers int
}

// Validate sets defaults and reports errors.
func (c *Config[T]) Validate() error {
	c.Concurrency = cmp.Or(c.Concurrency, 1)
	c.MaxWeight = cmp.Or(c.MaxWeight, 100)
	c.MaxCallers = cmp.Or(c.MaxCallers, 10_000)
	if c.Weight == nil {
		c.Weight = func(T) int { return 1 }
	}
	switch {
	case c.Write == nil:
		return errors.New("groupcommit: Write is missing")
	case c.Timeout <= 0:
		return fmt.Errorf("groupcommit: Timeout %s must be positive", c.Timeout)
	case min(c.Concurrency, c.MaxWeight, c.MaxCallers) < 0 || c.SlowAfter < 0:
		return fmt.Errorf("groupcommit: Concurrency %d, MaxWeight %d, MaxCallers %d and SlowAfter %s must be positive",
			c.Concurrency, c.MaxWeight, c.MaxCallers, c.SlowAfter)
	}
	return nil
}

// Group shares round trips. It is safe for concurrent use.
type Group[T any] struct {
	cfg Config[T]
	// callers holds a token for each caller of Do.
	callers chan struct{}

	mu    sync.Mutex
	queue []*member[T]
	// waiting is the weight of the queue.
	waiting int
	// workers is the number of worker goroutines; starting counts those that have not taken items yet.
	workers, starting int
	// running has the start times of the current round trips, oldest first.
	running []time.Time
	// watched is set while a timer checks for slow round trips.
	watched bool
}

// member is the item of one caller.
type member[T any] struct {
	item T
	ctx  context.Context
	// done is buffered: its caller may have left.
	done chan error
}

// New returns a Group. The error is about the configuration.
func New[T any](c Config[T]) (*Group[T], error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Group[T]{cfg: c, callers: make(chan struct{}, c.MaxCallers)}, nil
}

// Do sends an item, possibly together with others, and returns its result. If the error is the context's, the result of the item is unknown.
func (g *Group[T]) Do(ctx context.Context, item T) error {
	select {
	case g.callers <- struct{}{}:
		defer func() { <-g.callers }()
	case <-ctx.Done():
		return ctx.Err()
	}
	one := &member[T]{item: item, ctx: ctx, done: make(chan error, 1)}
	g.add(one)
	select {
	case err := <-one.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add enqueues a member, and starts a worker if it need not wait.
func (g *Group[T]) add(one *member[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, one)
	g.waiting += g.cfg.Weight(one.item)
	switch left := g.untilSlow(); {
	case g.workers == 0, g.workers < g.cfg.Concurrency && (left <= 0 || g.waiting >= (g.starting+1)*g.cfg.MaxWeight):
		g.startWorker()
	case g.workers < g.cfg.Concurrency && !g.watched:
		g.watch(left)
	}
}

// untilSlow returns the time until all current round trips are slow, so that waiting items may get another one. It requires the lock.
func (g *Group[T]) untilSlow() time.Duration {
	if g.starting > 0 || len(g.running) == 0 {
		return g.cfg.SlowAfter
	}
	return g.cfg.SlowAfter - time.Since(g.running[len(g.running)-1])
}

// startWorker requires the lock.
func (g *Group[T]) startWorker() {
	g.workers++
	g.starting++
	go g.work()
}

// watch checks after a time whether waiting items may get another round trip. It requires the lock.
func (g *Group[T]) watch(after time.Duration) {
	g.watched = true
	time.AfterFunc(after, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.watched = false
		if len(g.queue) == 0 || g.workers == g.cfg.Concurrency {
			// No worker ends while items wait.
			return
		}
		left := g.untilSlow()
		if left <= 0 {
			g.startWorker()
			left = g.cfg.SlowAfter
		}
		g.watch(left)
	})
}

// work makes round trips until the queue is empty.
func (g *Group[T]) work() {
	for first := true; ; first = false {
		members, began := g.take(first)
		if len(members) == 0 {
			return
		}
		for len(members) > 0 {
			members = g.roundTrip(members)
		}
		g.end(began)
	}
}

// take removes the items of one round trip from the queue; first is set for the first call of a worker. If it returns none, the worker must
// end.
func (g *Group[T]) take(first bool) (members []*member[T], began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if first {
		g.starting--
	}
	for taken := 0; len(g.queue) > 0; {
		one := g.queue[0]
		weight := g.cfg.Weight(one.item)
		if one.ctx.Err() == nil {
			if taken += weight; taken > g.cfg.MaxWeight && len(members) > 0 {
				break
			}
			members = append(members, one)
		} // otherwise its caller has left, and nothing was sent
		g.queue[0] = nil
		g.queue = g.queue[1:]
		g.waiting -= weight
	}
	if len(members) == 0 {
		g.workers--
		return nil, began
	}
	began = time.Now()
	g.running = append(g.running, began)
	return members, began
}

// end removes an ended round trip.
func (g *Group[T]) end(began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.running, began)
	g.running = slices.Delete(g.running, at, at+1)
}

// roundTrip makes one round trip and returns the members that were certainly not tried.
func (g *Group[T]) roundTrip(members []*member[T]) (untried []*member[T]) {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Timeout)
	defer cancel()
	defer cancelWhenAllLeft(members, cancel)()
	items := make([]T, len(members))
	for i, m := range members {
		items[i] = m.item
	}
	for i, err := range g.cfg.Write(ctx, items) {
		if errors.Is(err, ErrUntried) {
			untried = append(untried, members[i])
			continue
		}
		members[i].done <- err
	}
	return untried
}

// cancelWhenAllLeft cancels a round trip when the contexts of all its callers have ended. stop releases its resources.
func cancelWhenAllLeft[T any](members []*member[T], cancel context.CancelFunc) (stop func()) {
	var staying atomic.Int64
	staying.Store(int64(len(members)))
	stops := make([]func() bool, len(members))
	for i, m := range members {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if staying.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
