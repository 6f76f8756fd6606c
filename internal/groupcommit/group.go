// Package groupcommit shares round trips between concurrent callers: what comes while a round trip is under way waits, and
// goes together as soon as it is done, or when it takes too long. Nobody waits when nothing is under way.
//
// Each caller gets its own result. The callers that wait are bounded: whoever finds no place waits for one, which is the
// back-pressure.
//
// A Group starts goroutines only while there is something to do, and needs no closing.
package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUntried is Write's result for an item of which is known that nothing was tried: it goes again.
var ErrUntried = errors.New("not tried")

// Config configures a Group.
type Config[T any] struct {
	// Write takes items in one round trip, and returns the result of each. It is called by as many goroutines at once as there
	// are lanes. A round trip must try at least its first item. Mandatory.
	Write func(ctx context.Context, items []T) []error
	// Timeout bounds a round trip. Mandatory.
	Timeout time.Duration
	// Lanes is how many round trips are under way at once. Default 1.
	Lanes int
	// Overtake is how long a round trip may take before those who wait get another lane beside it, unless they fill a round
	// trip before. The longer, the more callers share one, and the longer they wait for one that hangs. By default nobody
	// waits while there is a lane.
	Overtake time.Duration
	// Most is the most weight that goes in one round trip; one item goes, whatever its weight. Default 100.
	Most int
	// Weight is what an item weighs. Default 1 each.
	Weight func(T) int
	// Places bounds the callers that wait; what those leave behind who give up goes when a lane comes to it. Default 10,000.
	Places int
}

// Validate fills in defaults and names what is wrong.
func (c *Config[T]) Validate() error {
	if c.Lanes == 0 {
		c.Lanes = 1
	}
	if c.Most == 0 {
		c.Most = 100
	}
	if c.Weight == nil {
		c.Weight = func(T) int { return 1 }
	}
	if c.Places == 0 {
		c.Places = 10_000
	}
	switch {
	case c.Write == nil:
		return errors.New("groupcommit: Write is missing")
	case c.Timeout <= 0:
		return fmt.Errorf("groupcommit: Timeout %s must be positive", c.Timeout)
	case c.Lanes < 0 || c.Most < 0 || c.Places < 0 || c.Overtake < 0:
		return fmt.Errorf("groupcommit: Lanes %d, Most %d, Places %d and Overtake %s must be positive", c.Lanes, c.Most, c.Places, c.Overtake)
	}
	return nil
}

// Group shares round trips. It is safe for concurrent use.
type Group[T any] struct {
	cfg Config[T]
	// places has room for what waits and is under way.
	places chan struct{}

	mu    sync.Mutex
	queue []*member[T]
	// waiting is what those in the queue weigh.
	waiting int
	// busy are the lanes that are open; opened those of them that have not taken anything yet.
	busy, opened int
	// underWay is when the round trips that are under way began, the oldest first.
	underWay []time.Time
	// watched tells that somebody will look whether these take too long.
	watched bool
}

// member is one caller's item.
type member[T any] struct {
	item T
	ctx  context.Context
	// done has room for the result: nobody waits for a caller who left.
	done chan error
}

// New returns a Group. The error says what is wrong with the configuration.
func New[T any](c Config[T]) (*Group[T], error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Group[T]{cfg: c, places: make(chan struct{}, c.Places)}, nil
}

// Do has an item written, perhaps together with others, and returns its result. The context's error says nothing about
// what became of the item.
func (g *Group[T]) Do(ctx context.Context, item T) error {
	select {
	case g.places <- struct{}{}:
		defer func() { <-g.places }()
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

// add queues a member, and opens a lane for it where it need not wait.
func (g *Group[T]) add(one *member[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, one)
	g.waiting += g.cfg.Weight(one.item)
	switch left := g.overtakeIn(); {
	case g.busy == 0, g.busy < g.cfg.Lanes && (left <= 0 || g.waiting >= (g.opened+1)*g.cfg.Most):
		g.open()
	case g.busy < g.cfg.Lanes && !g.watched:
		g.watch(left)
	}
}

// overtakeIn is after what time whoever waits may have another lane: when every round trip takes too long. It needs the lock.
func (g *Group[T]) overtakeIn() time.Duration {
	if g.opened > 0 || len(g.underWay) == 0 {
		return g.cfg.Overtake
	}
	return g.cfg.Overtake - time.Since(g.underWay[len(g.underWay)-1])
}

// open opens a lane. It needs the lock.
func (g *Group[T]) open() {
	g.busy++
	g.opened++
	go g.lane()
}

// watch looks after a while whether those who wait may have another lane. It needs the lock.
func (g *Group[T]) watch(after time.Duration) {
	g.watched = true
	time.AfterFunc(after, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.watched = false
		if len(g.queue) == 0 || g.busy == g.cfg.Lanes {
			// No lane closes while somebody waits.
			return
		}
		left := g.overtakeIn()
		if left <= 0 {
			g.open()
			left = g.cfg.Overtake
		}
		g.watch(left)
	})
}

// lane writes what waits, until nothing does.
func (g *Group[T]) lane() {
	for first := true; ; first = false {
		members, began := g.take(first)
		if len(members) == 0 {
			return
		}
		for len(members) > 0 {
			members = g.together(members)
		}
		g.end(began)
	}
}

// take takes what goes in one round trip of a lane, perhaps its first, which begins. When there is nothing, the lane is closed
// on return.
func (g *Group[T]) take(first bool) (members []*member[T], began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if first {
		g.opened--
	}
	for taken := 0; len(g.queue) > 0; {
		one := g.queue[0]
		weight := g.cfg.Weight(one.item)
		if one.ctx.Err() == nil {
			if taken += weight; taken > g.cfg.Most && len(members) > 0 {
				break
			}
			members = append(members, one)
		} // else its caller has left, and nothing of it was sent
		g.queue[0] = nil
		g.queue = g.queue[1:]
		g.waiting -= weight
	}
	if len(members) == 0 {
		g.busy--
		return nil, began
	}
	began = time.Now()
	g.underWay = append(g.underWay, began)
	return members, began
}

// end notes that a round trip is over.
func (g *Group[T]) end(began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.underWay, began)
	g.underWay = slices.Delete(g.underWay, at, at+1)
}

// together makes one round trip, and returns the members of which is known that nothing was tried.
func (g *Group[T]) together(members []*member[T]) (untried []*member[T]) {
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

// cancelWhenAllLeft breaks a round trip off when its last caller has left. The returned function ends the watch.
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
