package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// What orders are, when they are not measured.
const (
	statusWaiting   = order.StatusAwaitingShipment
	statusCompleted = order.StatusCompleted
)

type (
	timed   = func(ctx context.Context) error
	prepare = func(ctx context.Context) (timed, error)
)

// appendTo appends one event to an order that waits: the refusal of a cancellation. The caller knows the head, as a saga
// does; a cold log has never seen it, and looks it up.
func (m *meter) appendTo(cold bool) prepare {
	return func(ctx context.Context) (timed, error) {
		id := m.anyOf(m.waiting)
		stream := event.OrderStream(id)
		standing, _, err := m.warm.Head(ctx, stream)
		if err != nil {
			return nil, err
		}
		log := m.warm
		if cold {
			log = m.coldLog()
		}
		request := m.next()
		refusal := event.New(stream, "cancel/"+request, event.OrderCancellationRefused, id, time.Now(),
			order.CancellationRefusal{OrderID: id, RequestID: request, Detail: "it is measured"}).CausedBy(id, standing.ID)
		return func(ctx context.Context) error {
			_, _, err := log.Append(ctx, stream, standing.HeadOf(), []event.Entry{refusal})
			return err
		}, nil
	}
}

// timeline reads all events of an order, and verifies them on request.
func (m *meter) timeline(verify bool) prepare {
	return func(context.Context) (timed, error) {
		log := m.coldLog()
		stream := event.OrderStream(m.anyOf(m.orders))
		return func(ctx context.Context) error {
			records, err := log.Read(ctx, stream, 0, 0)
			if err != nil || len(records) == 0 {
				return fmt.Errorf("%d events in stream %s: %w", len(records), stream, err)
			}
			if !verify {
				return nil
			}
			return eventlog.Verify(stream, event.Head{}, records)
		}, nil
	}
}

// relist writes the list entry of an order anew, with a higher version.
func (m *meter) relist(ctx context.Context) (timed, error) {
	o, found, err := m.list.Get(ctx, m.anyOf(m.orders))
	if err != nil || !found {
		return nil, fmt.Errorf("an order is missing in the list: %w", err)
	}
	o.Version++
	return func(ctx context.Context) error { return m.list.Put(ctx, o) }, nil
}

func (m *meter) byStatus(statuses ...order.Status) func() readmodel.Filter {
	return func() readmodel.Filter { return readmodel.Filter{Statuses: statuses} }
}

func (m *meter) byCustomer() readmodel.Filter {
	return readmodel.Filter{CustomerID: m.customer(m.random)}
}

// listed reads a page of the list: the first one, or one from anywhere.
func (m *meter) listed(filter func() readmodel.Filter, deep bool) prepare {
	return func(ctx context.Context) (timed, error) {
		f := filter()
		if deep {
			cursor, err := m.cursor(ctx, f)
			if err != nil {
				return nil, err
			}
			f.Cursor = cursor
		}
		f.Limit = page
		return func(ctx context.Context) error {
			_, _, err := m.list.List(ctx, f)
			return err
		}, nil
	}
}

// cursor is a place in the list: after the newest order of a page that ends there.
func (m *meter) cursor(ctx context.Context, f readmodel.Filter) (string, error) {
	o, found, err := m.list.Get(ctx, m.anyOf(m.orders))
	if err != nil || !found {
		return "", fmt.Errorf("an order is missing in the list: %w", err)
	}
	f.CreatedTo, f.Limit = o.CreatedAt, 1
	_, cursor, err := m.list.List(ctx, f)
	return cursor, err
}

// reserve reserves one piece. Known means that the ledger has written to the SKU's stream a moment ago; a cold ledger
// has seen nothing.
func (m *meter) reserve(cold, longest bool) prepare {
	return func(ctx context.Context) (timed, error) {
		sku, id := m.sku(m.random), "order-"+m.next()
		if longest {
			sku = hotSKU
		}
		if !cold {
			if _, err := m.ledger.Reserve(ctx, id+"-before", sku, 1); err != nil {
				return nil, err
			}
			return m.reserved(id, sku), nil
		}
		return m.reservedCold(id, sku)
	}
}

func (m *meter) reserved(id, sku string) timed {
	return func(ctx context.Context) error {
		got, err := m.ledger.Reserve(ctx, id, sku, 1)
		return done(got, err)
	}
}

func (m *meter) reservedCold(id, sku string) (timed, error) {
	ledger, err := m.newLedger(m.coldLog())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		defer ledger.Close()
		got, err := ledger.Reserve(ctx, id, sku, 1)
		return done(got, err)
	}, nil
}

func done(got order.Reservation, err error) error {
	if err != nil {
		return err
	}
	if got.Effect != order.Done {
		return fmt.Errorf("a reservation came out as %q", got.Effect)
	}
	return nil
}

// reserveAgain repeats a reservation, like a retry in another process: the slot is found by its key.
func (m *meter) reserveAgain(ctx context.Context) (timed, error) {
	id := "order-" + m.next()
	got, err := m.ledger.Reserve(ctx, id, hotSKU, 1)
	if err := done(got, err); err != nil {
		return nil, err
	}
	return m.reservedCold(id, hotSKU)
}

func (m *meter) balance(longest bool) prepare {
	return func(context.Context) (timed, error) {
		ledger, err := m.newLedger(m.coldLog())
		sku := m.sku(m.random)
		if longest {
			sku = hotSKU
		}
		return func(ctx context.Context) error {
			defer ledger.Close()
			_, err := ledger.Balance(ctx, sku)
			return err
		}, err
	}
}

// listSKUs reads a page from anywhere.
func (m *meter) listSKUs(context.Context) (timed, error) {
	after := m.sku(m.random)
	return func(ctx context.Context) error {
		_, _, err := m.ledger.List(ctx, after, page)
		return err
	}, nil
}
