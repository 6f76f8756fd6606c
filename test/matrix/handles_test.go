package matrix

import (
	"context"
	"sync"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// op names a call that has an effect outside: what it does, or the slot that it records.
type op string

// The effects of steps.
const (
	opReserve   op = "stock.Reserve"
	opFind      op = "stock.Lookup"
	opRelease   op = "stock.Release"
	opCommit    op = "stock.Commit"
	opAuthorize op = "gateway.Authorize"
	opCapture   op = "gateway.Capture"
	opVoid      op = "gateway.Void"
	opRefund    op = "gateway.Refund"
	opLookup    op = "gateway.Lookup"
	opPublish   op = "bus.Publish"
	opProject   op = "list.Project"
)

// record is the append of the event that takes slot in an order's stream.
func record(slot string) op { return op("record " + slot) }

// call makes a call of an incarnation, and strikes before and after it. Once a call has begun nothing cancels it: a
// request that is on its way goes on when its sender has given up.
func call[T any](ctx context.Context, inc *incarnation, orderID string, what op, do func() (T, error)) (T, error) {
	var zero T
	if err := inc.reach(ctx, orderID, what, false); err != nil {
		return zero, err
	}
	v, err := do()
	if err != nil {
		return v, err
	}
	if err := inc.reach(ctx, orderID, what, true); err != nil {
		return zero, err
	}
	return v, nil
}

// reach is where faults strike: right before or right after a call.
func (inc *incarnation) reach(ctx context.Context, orderID string, what op, after bool) error {
	if err := inc.pass(); err != nil {
		return err
	}
	if !after {
		if err := inc.lane.delay(ctx, what); err != nil {
			return err
		}
	}
	if diverted, err := inc.divert(ctx, what); diverted {
		return err
	}
	if err := inc.lane.strike(ctx, inc, orderID, what, after); err != nil {
		return err
	}
	return inc.pass()
}

// handleLog is an incarnation's handle to the event log.
type handleLog struct{ inc *incarnation }

func (h handleLog) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	log := h.inc.lane.log
	orderID, ours := event.OrderIDOf(stream)
	if !ours {
		if err := h.inc.pass(); err != nil {
			return event.Head{}, nil, err
		}
		return log.Append(context.WithoutCancel(ctx), stream, head, entries)
	}
	for _, e := range entries {
		if err := h.inc.reach(ctx, orderID, record(e.Key), false); err != nil {
			return event.Head{}, nil, err
		}
	}
	next, tail, err := log.Append(context.WithoutCancel(ctx), stream, head, entries)
	h.inc.lane.moved()
	if err != nil {
		return next, tail, err
	}
	for _, e := range entries {
		if err := h.inc.reach(ctx, orderID, record(e.Key), true); err != nil {
			return event.Head{}, nil, err
		}
	}
	return next, tail, nil
}

func (h handleLog) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	if err := h.inc.pass(); err != nil {
		return nil, err
	}
	return h.inc.lane.log.Read(context.WithoutCancel(ctx), stream, after, limit)
}

func (h handleLog) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	if err := h.inc.pass(); err != nil {
		return event.Record{}, false, err
	}
	return h.inc.lane.log.Head(context.WithoutCancel(ctx), stream)
}

func (h handleLog) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	if err := h.inc.pass(); err != nil {
		return event.Record{}, false, err
	}
	return h.inc.lane.log.Find(context.WithoutCancel(ctx), stream, key)
}

func (h handleLog) FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	if err := h.inc.pass(); err != nil {
		return nil, err
	}
	return h.inc.lane.log.FindAll(context.WithoutCancel(ctx), stream, keys)
}

// handleStock is an incarnation's stock ledger.
type handleStock struct{ inc *incarnation }

func (h handleStock) Acquire(ctx context.Context, r order.ReserveRequest) ([]order.Reservation, error) {
	return call(ctx, h.inc, r.OrderID, opReserve, func() ([]order.Reservation, error) {
		return h.inc.ledger.Acquire(context.WithoutCancel(ctx), r)
	})
}

func (h handleStock) Lookup(ctx context.Context, orderID, sku string) (order.Reservation, error) {
	return call(ctx, h.inc, orderID, opFind, func() (order.Reservation, error) {
		return h.inc.ledger.Lookup(context.WithoutCancel(ctx), orderID, sku)
	})
}

func (h handleStock) Release(ctx context.Context, orderID, sku string) error {
	_, err := call(ctx, h.inc, orderID, opRelease, func() (struct{}, error) {
		return struct{}{}, h.inc.ledger.Release(context.WithoutCancel(ctx), orderID, sku)
	})
	return err
}

func (h handleStock) Commit(ctx context.Context, orderID, sku string) error {
	_, err := call(ctx, h.inc, orderID, opCommit, func() (struct{}, error) {
		return struct{}{}, h.inc.ledger.Commit(context.WithoutCancel(ctx), orderID, sku)
	})
	return err
}

// handleGateway is an incarnation's simulator.
type handleGateway struct {
	inc *incarnation
	*simulator.Simulator
}

func (h handleGateway) Traits() payment.Traits {
	traits := h.Simulator.Traits()
	traits.Fast = h.inc.lane.fast
	return traits
}

func (h handleGateway) Authorize(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.inc, p.OrderID, opAuthorize, func() (payment.Result, error) {
		return h.Simulator.Authorize(context.WithoutCancel(ctx), key, p)
	})
}

func (h handleGateway) Capture(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.inc, p.OrderID, opCapture, func() (payment.Result, error) {
		return h.Simulator.Capture(context.WithoutCancel(ctx), key, p)
	})
}

func (h handleGateway) Void(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.inc, p.OrderID, opVoid, func() (payment.Result, error) {
		return h.Simulator.Void(context.WithoutCancel(ctx), key, p)
	})
}

func (h handleGateway) Refund(ctx context.Context, key string, p payment.Payment, amount int64) (payment.Result, error) {
	return call(ctx, h.inc, p.OrderID, opRefund, func() (payment.Result, error) {
		return h.Simulator.Refund(context.WithoutCancel(ctx), key, p, amount)
	})
}

func (h handleGateway) Lookup(ctx context.Context, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.inc, p.OrderID, opLookup, func() (payment.Result, error) {
		return h.Simulator.Lookup(context.WithoutCancel(ctx), p)
	})
}

func (h handleGateway) Settle(ctx context.Context, p payment.Payment, succeeded bool, code string) error {
	if err := h.inc.pass(); err != nil {
		return err
	}
	return h.Simulator.Settle(context.WithoutCancel(ctx), p, succeeded, code)
}

// handleBus is an incarnation's handle to the bus.
type handleBus struct{ inc *incarnation }

func (h handleBus) Publish(ctx context.Context, records []event.Record) (int, error) {
	if len(records) == 0 {
		return 0, nil
	}
	orderID, _ := event.OrderIDOf(records[0].Stream)
	return call(ctx, h.inc, orderID, opPublish, func() (int, error) {
		h.inc.lane.bus.publish(records)
		h.inc.lane.moved()
		return len(records), nil
	})
}

// handleList is an incarnation's handle to the read model.
type handleList struct{ inc *incarnation }

func (h handleList) Project(ctx context.Context, s order.State) error {
	_, err := call(ctx, h.inc, s.Order.ID, opProject, func() (struct{}, error) {
		h.inc.lane.list.project(s)
		return struct{}{}, nil
	})
	return err
}

// handleLateList is an incarnation's handle to the list of what came late.
type handleLateList struct{ inc *incarnation }

func (h handleLateList) Project(context.Context, latepayment.State) error { return h.inc.pass() }

// bus is the broker: it remembers how far each stream was published, and what came out of order.
type bus struct {
	mu      sync.Mutex
	newest  map[string]int64
	skipped []string
}

func (b *bus) publish(records []event.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		switch newest := b.newest[r.Stream]; {
		case r.Version == newest+1:
			b.newest[r.Stream] = r.Version
		case r.Version > newest+1:
			b.skipped = append(b.skipped, fault.New(fault.Internal, "version %d of %s was published after version %d", r.Version, r.Stream, newest).Error())
		}
	}
}

// of says how far an order's stream was published.
func (b *bus) of(orderID string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest[event.OrderStream(orderID)]
}

// list is the read model: it never replaces a newer state by an older one.
type list struct {
	mu     sync.Mutex
	states map[string]order.State
}

func (l *list) project(s order.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Head.Version > l.states[s.Order.ID].Head.Version {
		l.states[s.Order.ID] = s
	}
}
