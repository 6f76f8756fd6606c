// Package load makes load: a closed loop, in which a number of clients each wait for one order before they place the
// next, and an open loop, in which orders come by a timetable whether or not the ones before are done. It imports the
// standard library only.
package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Sample is what a loop measured.
type Sample struct {
	// Latencies has one for each order that was done.
	Latencies []time.Duration
	// Elapsed is from the first order's begin to the last one's end.
	Elapsed time.Duration
}

// Work does the i-th piece of work, counted from 0, and returns when it is done.
type Work func(ctx context.Context, i int) error

// Closed keeps inFlight pieces of work going until n are done. A latency is from the moment at which a client was free to
// begin: a server that stalls holds its clients up, and the orders that they would have placed meanwhile are not
// measured. That is what the open loop is for. The first error ends it.
func Closed(ctx context.Context, n, inFlight int, do Work) (Sample, error) {
	c := newCollector(ctx, n)
	defer c.cancel()
	next := make(chan int)
	for range min(inFlight, n) {
		c.all.Go(func() {
			for i := range next {
				c.measure(i, time.Now(), do)
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
		case <-c.ctx.Done():
		}
	}
	close(next)
	return c.sample()
}

// Open begins the i-th piece of work at timetable[i], counted from now. A latency is counted from that moment, however
// late the work really began: work that waits for a stall waits in the numbers, too (the correction for coordinated
// omission). At most atMost are in flight; what is over that begins later, and its wait counts. The first error ends it.
func Open(ctx context.Context, timetable []time.Duration, atMost int, do Work) (Sample, error) {
	c := newCollector(ctx, len(timetable))
	defer c.cancel()
	places := make(chan struct{}, atMost)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, offset := range timetable {
		due := c.began.Add(offset)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			return c.sample()
		}
		select {
		case places <- struct{}{}:
		case <-c.ctx.Done():
			return c.sample()
		}
		c.all.Go(func() {
			defer func() { <-places }()
			c.measure(i, due, do)
		})
	}
	return c.sample()
}

// collector gathers what the goroutines of a loop measure.
type collector struct {
	ctx    context.Context
	cancel context.CancelFunc
	began  time.Time
	all    sync.WaitGroup

	mu        sync.Mutex
	latencies []time.Duration
	err       error
}

func newCollector(ctx context.Context, n int) *collector {
	c := &collector{began: time.Now(), latencies: make([]time.Duration, 0, n)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// measure does one piece of work and counts its time from when it was due.
func (c *collector) measure(i int, due time.Time, do Work) {
	err := do(c.ctx, i)
	took := time.Since(due)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.latencies = append(c.latencies, took)
		return
	}
	if c.err == nil {
		c.err = fmt.Errorf("order %d of the round: %w", i+1, err)
	}
	c.cancel()
}

// sample waits for everything that has begun.
func (c *collector) sample() (Sample, error) {
	c.all.Wait()
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	return Sample{Latencies: c.latencies, Elapsed: time.Since(c.began)}, c.err
}
