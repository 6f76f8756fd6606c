package inventory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// maxQueue bounds the waiting changes of one SKU in a process.
	maxQueue = 10_000
	// headLifetime is how long a cached head is used. An old one may be followed by many records, which cost more to read than the
	// newest record.
	headLifetime = 10 * time.Second
)

// position is a version of a SKU's stream with its balance.
type position struct {
	head event.Head
	balance
	// valid means that the log was read at readAt; the zero position is unknown.
	valid  bool
	readAt time.Time
}

// request is a change of a waiting caller.
type request struct {
	ctx context.Context
	change
	// checked means that the end of the stream was read after the request arrived: only then may a change be refused because of the
	// balance.
	checked bool
	// done is buffered: its caller may have left.
	done chan answer
}

// answer is the result of a request.
type answer struct {
	// stored is the record in the slot of the request.
	stored slot
	// settled is the record in the order's commit or release slot; only if upToDate is set, it was read during the call.
	settled  slot
	upToDate bool
	err      error
}

func (r *request) answer(a answer) { r.done <- a }

// put passes the change to the committer of the SKU and waits for the result.
func (l *Ledger) put(ctx context.Context, sku string, c change) (answer, error) {
	r := &request{ctx: ctx, change: c, done: make(chan answer, 1)}
	if err := l.enqueue(sku, r); err != nil {
		return answer{}, err
	}
	select {
	case a := <-r.done:
		return a, a.err
	case <-ctx.Done():
	}
	select {
	case a := <-r.done:
		return a, a.err
	default:
		return answer{}, fault.Wrap(ctx.Err(), fault.OutcomeUnknown, "wait for %s", c.kind)
	}
}

// enqueue passes the request to the committer of the SKU, and starts one if none runs.
func (l *Ledger) enqueue(sku string, r *request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fault.New(fault.Unavailable, "the stock ledger is closed")
	}
	c, running := l.committers[sku]
	if !running {
		c = &committer{ledger: l, sku: sku, stream: event.StockStream(sku)}
		l.committers[sku] = c
	}
	if len(c.queue) >= maxQueue {
		return fault.New(fault.Unavailable, "too many pending changes of SKU %s", sku)
	}
	c.queue = append(c.queue, r)
	if !running {
		l.wg.Go(c.run)
	}
	return nil
}

// committer writes the changes of one SKU, batching those that wait. It runs while there are any.
type committer struct {
	ledger      *Ledger
	sku, stream string
	// queue is protected by the mutex of the ledger; the other fields belong to the goroutine of the committer.
	queue []*request
	// at is the known end of the stream.
	at position
	// registered is set if the registry has the SKU.
	registered bool
	// lost and unknown count consecutive lost races and appends with unknown results.
	lost, unknown int
}

func (c *committer) run() {
	if at, ok := c.ledger.heads.Get(c.sku); ok && c.ledger.cfg.Clock().Sub(at.readAt) < headLifetime {
		c.at = at
	}
	var pending []*request
	for {
		pending = c.fill(pending)
		if len(pending) == 0 {
			return
		}
		pending = c.round(pending)
	}
}

// fill removes requests whose callers have left, and adds requests from the queue, up to a batch. If it returns none, the committer must end.
func (c *committer) fill(pending []*request) []*request {
	pending = slices.DeleteFunc(pending, func(r *request) bool { return r.ctx.Err() != nil })
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	for len(c.queue) > 0 && len(pending) < eventlog.MaxBatch {
		if r := c.queue[0]; r.ctx.Err() == nil {
			pending = append(pending, r)
		}
		c.queue[0] = nil
		c.queue = c.queue[1:]
	}
	if len(pending) == 0 {
		delete(c.ledger.committers, c.sku)
	}
	return pending
}

// round writes as many requests as possible and returns those without a result.
func (c *committer) round(pending []*request) []*request {
	if !c.at.valid {
		if err := c.load(pending); err != nil {
			return c.fail(pending, fault.Wrap(err, fault.CodeOf(err), "read the head of %s", c.stream))
		}
	}
	entries, pending := c.decide(pending)
	if len(entries) == 0 {
		return pending
	}
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	before := c.ledger.cfg.Clock()
	head, tail, err := c.ledger.cfg.Log.Append(ctx, c.stream, c.at.head, entries)
	switch {
	case err == nil || eventlog.Lost(err):
		c.unknown = 0
		return c.applyTail(pending, tail, head, err, before)
	case errors.Is(err, fault.Corrupt) || errors.Is(err, fault.Invalid):
		return c.fail(pending, err)
	}
	return c.reconcile(pending, err)
}

// load reads the end of the stream.
func (c *committer) load(pending []*request) error {
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	at, err := c.ledger.head(ctx, c.sku)
	if err != nil {
		return err
	}
	c.setPosition(at)
	markChecked(pending)
	return nil
}

// setPosition stores the end of the stream, also in the cache of the ledger.
func (c *committer) setPosition(at position) {
	c.at = at
	c.ledger.heads.Add(c.sku, at)
}

// decide returns the entries of a batch, each applied to the balance after the previous one, and answers the requests that cannot be applied.
// Of two requests for the same slot, the second one waits for the next round.
func (c *committer) decide(pending []*request) ([]event.Entry, []*request) {
	var entries []event.Entry
	taken := make(map[string]bool, len(pending))
	at, reload := c.at.balance, false
	waiting := slices.DeleteFunc(pending, func(r *request) bool {
		if taken[r.key] || reload {
			return false
		}
		if s, ok := c.ledger.slots.Get(slotName{c.sku, r.key}); ok {
			// The slot was written while the request waited.
			r.answer(answer{stored: s})
			return true
		}
		entry, next, err := r.apply(c.sku, at, c.ledger.cfg.Clock())
		if c.at.head.Version < r.after {
			// The record that it depends on was read before: the known position of the stream is older.
			err = fault.Missing("version %d of stream %s was not found", r.after, c.stream)
		}
		switch {
		case err != nil && len(entries) > 0:
			// It depends on entries that may not be written: it is decided again after them.
			return false
		case err != nil && !r.checked:
			reload = true
			return false
		case err == nil && !at.known && next.known:
			err = c.register()
		}
		if err != nil {
			r.answer(answer{err: err})
			return true
		}
		taken[r.key] = true
		entries, at = append(entries, entry), next
		return false
	})
	if reload {
		c.at = position{}
	}
	return entries, waiting
}

// register adds the SKU to the registry, before the record that makes it known is written.
func (c *committer) register() error {
	if c.registered {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	if err := c.ledger.cfg.Registry.Add(ctx, c.sku); err != nil {
		return fault.Wrap(err, fault.Unavailable, "register SKU %s", c.sku)
	}
	c.registered = true
	return nil
}
