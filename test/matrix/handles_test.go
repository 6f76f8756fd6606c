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

// op names a call with an external effect, or the slot that a call records.
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

// call makes a call of a process, with fault injection before and after it. Nothing cancels a started call: a sent
// request continues when its sender has given up.
func call[T any](ctx context.Context, proc *process, orderID string, what op, do func() (T, error)) (T, error) {
	var zero T
	if err := proc.reach(ctx, orderID, what, false); err != nil {
		return zero, err
	}
	v, err := do()
	if err != nil {
		return v, err
	}
	if err := proc.reach(ctx, orderID, what, true); err != nil {
		return zero, err
	}
	return v, nil
}

// reach injects faults right before or right after a call.
func (proc *process) reach(ctx context.Context, orderID string, what op, after bool) error {
	if err := proc.pass(); err != nil {
		return err
	}
	if !after {
		if err := proc.environment.delay(ctx, what); err != nil {
			return err
		}
	}
	if diverted, err := proc.divert(ctx, what); diverted {
		return err
	}
	if err := proc.environment.inject(ctx, proc, orderID, what, after); err != nil {
		return err
	}
	return proc.pass()
}

// handleLog is a process's handle to the event log.
type handleLog struct{ proc *process }

func (h handleLog) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	log := h.proc.environment.log
	orderID, ours := event.OrderIDOf(stream)
	if !ours {
		if err := h.proc.pass(); err != nil {
			return event.Head{}, nil, err
		}
		return log.Append(context.WithoutCancel(ctx), stream, head, entries)
	}
	for _, e := range entries {
		if err := h.proc.reach(ctx, orderID, record(e.Key), false); err != nil {
			return event.Head{}, nil, err
		}
	}
	next, tail, err := log.Append(context.WithoutCancel(ctx), stream, head, entries)
	h.proc.environment.notify()
	if err != nil {
		return next, tail, err
	}
	for _, e := range entries {
		if err := h.proc.reach(ctx, orderID, record(e.Key), true); err != nil {
			return event.Head{}, nil, err
		}
	}
	return next, tail, nil
}

func (h handleLog) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	if err := h.proc.pass(); err != nil {
		return nil, err
	}
	return h.proc.environment.log.Read(context.WithoutCancel(ctx), stream, after, limit)
}

func (h handleLog) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	if err := h.proc.pass(); err != nil {
		return event.Record{}, false, err
	}
	return h.proc.environment.log.Head(context.WithoutCancel(ctx), stream)
}

func (h handleLog) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	if err := h.proc.pass(); err != nil {
		return event.Record{}, false, err
	}
	return h.proc.environment.log.Find(context.WithoutCancel(ctx), stream, key)
}

func (h handleLog) FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	if err := h.proc.pass(); err != nil {
		return nil, err
	}
	return h.proc.environment.log.FindAll(context.WithoutCancel(ctx), stream, keys)
}

// handleStock is a process's stock ledger.
type handleStock struct{ proc *process }

func (h handleStock) Acquire(ctx context.Context, r order.ReserveRequest) ([]order.Reservation, error) {
	return call(ctx, h.proc, r.OrderID, opReserve, func() ([]order.Reservation, error) {
		return h.proc.ledger.Acquire(context.WithoutCancel(ctx), r)
	})
}

func (h handleStock) Lookup(ctx context.Context, orderID, sku string) (order.Reservation, error) {
	return call(ctx, h.proc, orderID, opFind, func() (order.Reservation, error) {
		return h.proc.ledger.Lookup(context.WithoutCancel(ctx), orderID, sku)
	})
}

func (h handleStock) Release(ctx context.Context, orderID, sku string) error {
	_, err := call(ctx, h.proc, orderID, opRelease, func() (struct{}, error) {
		return struct{}{}, h.proc.ledger.Release(context.WithoutCancel(ctx), orderID, sku)
	})
	return err
}

func (h handleStock) Commit(ctx context.Context, orderID, sku string) error {
	_, err := call(ctx, h.proc, orderID, opCommit, func() (struct{}, error) {
		return struct{}{}, h.proc.ledger.Commit(context.WithoutCancel(ctx), orderID, sku)
	})
	return err
}

// handleGateway is a process's simulator.
type handleGateway struct {
	proc *process
	*simulator.Simulator
}

func (h handleGateway) Traits() payment.Traits {
	traits := h.Simulator.Traits()
	traits.Fast = h.proc.environment.fast
	return traits
}

func (h handleGateway) Authorize(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.proc, p.OrderID, opAuthorize, func() (payment.Result, error) {
		return h.Simulator.Authorize(context.WithoutCancel(ctx), key, p)
	})
}

func (h handleGateway) Capture(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.proc, p.OrderID, opCapture, func() (payment.Result, error) {
		return h.Simulator.Capture(context.WithoutCancel(ctx), key, p)
	})
}

func (h handleGateway) Void(ctx context.Context, key string, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.proc, p.OrderID, opVoid, func() (payment.Result, error) {
		return h.Simulator.Void(context.WithoutCancel(ctx), key, p)
	})
}

func (h handleGateway) Refund(ctx context.Context, key string, p payment.Payment, amount int64) (payment.Result, error) {
	return call(ctx, h.proc, p.OrderID, opRefund, func() (payment.Result, error) {
		return h.Simulator.Refund(context.WithoutCancel(ctx), key, p, amount)
	})
}

func (h handleGateway) Lookup(ctx context.Context, p payment.Payment) (payment.Result, error) {
	return call(ctx, h.proc, p.OrderID, opLookup, func() (payment.Result, error) {
		return h.Simulator.Lookup(context.WithoutCancel(ctx), p)
	})
}

func (h handleGateway) Settle(ctx context.Context, p payment.Payment, succeeded bool, code string) error {
	if err := h.proc.pass(); err != nil {
		return err
	}
	return h.Simulator.Settle(context.WithoutCancel(ctx), p, succeeded, code)
}

// handleBus is a process's handle to the bus.
type handleBus struct{ proc *process }

func (h handleBus) Publish(ctx context.Context, records []event.Record) (int, error) {
	if len(records) == 0 {
		return 0, nil
	}
	orderID, _ := event.OrderIDOf(records[0].Stream)
	return call(ctx, h.proc, orderID, opPublish, func() (int, error) {
		h.proc.environment.bus.publish(records)
		h.proc.environment.notify()
		return len(records), nil
	})
}

// handleList is a process's handle to the read model.
type handleList struct{ proc *process }

func (h handleList) Project(ctx context.Context, s order.State) error {
	_, err := call(ctx, h.proc, s.Order.ID, opProject, func() (struct{}, error) {
		h.proc.environment.list.project(s)
		return struct{}{}, nil
	})
	return err
}

// handleLateList is a process's handle to the list of late events.
type handleLateList struct{ proc *process }

func (h handleLateList) Project(context.Context, latepayment.State) error { return h.proc.pass() }

// bus is the broker: it remembers the published version of each stream, and events that were published out of order.
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

// of returns the published version of an order's stream.
func (b *bus) of(orderID string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest[event.OrderStream(orderID)]
}

// list is the read model: it never replaces a newer state with an older one.
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
