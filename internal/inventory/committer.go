package inventory

import (
	"context"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// maxQueue bounds the changes of one SKU that wait in a process.
	maxQueue = 10_000
	// headLifetime is how long a remembered head is used. Behind an old one there may be a long tail, which costs
	// more than asking for the newest record.
	headLifetime = 10 * time.Second
)

// position is a place in a SKU's stream and the balance there.
type position struct {
	head event.Head
	balance
	// valid tells that the log said so at readAt; the zero position says nothing.
	valid  bool
	readAt time.Time
}

// request is a change that a caller waits for.
type request struct {
	ctx context.Context
	change
	// checked tells that the log said after the request came where the stream stands: what must not be recorded
	// may be refused on that ground.
	checked bool
	// done has room for the answer, so that a committer never waits for a caller who left.
	done chan answer
}

// answer says what stands under the key that a request is about.
type answer struct {
	standing slot
	// settle is what stands in the order's settle slot, if upToDate says that it was looked for during the call.
	settle   slot
	upToDate bool
	err      error
}

func (r *request) answer(a answer) { r.done <- a }

// put hands the change to the SKU's committer and waits for it.
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

// enqueue gives the request to the SKU's committer, and starts one where none runs.
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
		return fault.New(fault.Unavailable, "too many changes wait for sku %s", sku)
	}
	c.queue = append(c.queue, r)
	if !running {
		l.wg.Go(c.run)
	}
	return nil
}

// committer writes the changes of one SKU, as many at once as wait. It runs as long as there are any.
type committer struct {
	ledger      *Ledger
	sku, stream string
	// queue is guarded by the ledger's mutex; everything below belongs to the committer's goroutine.
	queue []*request
	// at is where the stream ends as far as this committer knows.
	at position
	// registered tells that the registry knows the SKU.
	registered bool
	// lost and unknown count the races lost, and the appends of unknown outcome, in a row.
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

// fill drops the requests whose callers left and takes others from the queue, up to a batch. When there is
// nothing to do, the committer is gone on return.
func (c *committer) fill(pending []*request) []*request {
	pending = keep(pending, func(r *request) bool { return r.ctx.Err() == nil })
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

// round writes what can be written at once, and returns the requests that have no answer yet.
func (c *committer) round(pending []*request) []*request {
	if !c.at.valid {
		if err := c.load(pending); err != nil {
			return c.fail(pending, fault.Wrap(err, fault.CodeOf(err), "read where %s stands", c.stream))
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
		return c.learn(pending, tail, head, err, before)
	case errors.Is(err, fault.Corrupt) || errors.Is(err, fault.Invalid):
		return c.fail(pending, err)
	}
	return c.find(pending, err)
}

// load reads where the stream ends.
func (c *committer) load(pending []*request) error {
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	at, err := c.ledger.head(ctx, c.sku)
	if err != nil {
		return err
	}
	c.know(at)
	check(pending)
	return nil
}

// know keeps where the stream ends, for this committer and for the calls that come after its answers.
func (c *committer) know(at position) {
	c.at = at
	c.ledger.heads.Add(c.sku, at)
}

// decide makes the entries of a batch, each against the balance behind the one before it, and answers the
// requests that cannot become one. Of two requests for one slot, the second waits for the next round.
func (c *committer) decide(pending []*request) ([]event.Entry, []*request) {
	var entries []event.Entry
	taken := make(map[string]bool, len(pending))
	at, reload := c.at.balance, false
	waiting := keep(pending, func(r *request) bool {
		if taken[r.key] || reload {
			return true
		}
		if s, ok := c.ledger.slots.Get(slotName{c.sku, r.key}); ok {
			// The slot was filled, by whomever, while the request waited.
			r.answer(answer{standing: s})
			return false
		}
		entry, next, err := r.apply(c.sku, at, c.ledger.cfg.Clock())
		if c.at.head.Version < r.after {
			// The record that it builds on was read once: the stream as it is known here is older.
			err = fault.Missing("version %d of stream %s was not found", r.after, c.stream)
		}
		switch {
		case err != nil && len(entries) > 0:
			// It was decided on entries that may not come to stand: it is decided again behind them.
			return true
		case err != nil && !r.checked:
			reload = true
			return true
		case err == nil && !at.known && next.known:
			err = c.register()
		}
		if err != nil {
			r.answer(answer{err: err})
			return false
		}
		taken[r.key] = true
		entries, at = append(entries, entry), next
		return true
	})
	if reload {
		c.at = position{}
	}
	return entries, waiting
}

// register adds the SKU to the registry before the record that makes it known.
func (c *committer) register() error {
	if c.registered {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	if err := c.ledger.cfg.Registry.Add(ctx, c.sku); err != nil {
		return fault.Wrap(err, fault.Unavailable, "register sku %s", c.sku)
	}
	c.registered = true
	return nil
}

// keep returns the requests for which the test holds, in their order, in the same array.
func keep(pending []*request, test func(*request) bool) []*request {
	kept := pending[:0]
	for _, r := range pending {
		if test(r) {
			kept = append(kept, r)
		}
	}
	clear(pending[len(kept):])
	return kept
}
