package reconcile

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type movement struct {
	OrderID  string `json:"orderId"`
	Quantity int64  `json:"quantity"`
	OnHand   int64  `json:"onHand"`
	Reserved int64  `json:"reserved"`
	Counted  *int64 `json:"counted"`
}

// takes reports whether the movement may only take what is available; a count says what is there, whatever is reserved.
func (m movement) takes(eventType string) bool {
	return eventType == event.StockReserved || eventType == event.StockAdjusted && m.Counted == nil && m.Quantity < 0
}

// hold is what an order holds of a SKU.
type hold struct{ quantity, version int64 }

// ledger adds up the stock ledger of one SKU.
type ledger struct {
	*chain
	onHand, reserved int64
	// counted reports whether there was a count: only that may leave more reserved than is on hand.
	counted bool
	// holds are the reservations that are not settled yet, by order.
	holds map[string]hold
}

// stock adds up the ledger of a SKU, and asks about the orders that still hold some of it.
func (c *chain) stock() {
	v := &ledger{chain: c, holds: make(map[string]hold)}
	c.take, c.done = v.add, v.end
}

func (v *ledger) add(r event.Record) {
	if v.broken {
		return
	}
	m, err := event.Decode[movement](r.Event)
	if err != nil {
		v.damage(StreamFold, r.Version, "version %d: %v", r.Version, err)
		return
	}
	v.move(r, m)
	v.counted = v.counted || m.Counted != nil
	if v.onHand < 0 || v.reserved < 0 || m.takes(r.Type) && v.onHand < v.reserved {
		v.found(StockNegative, r.Version, "version %d (%s) leaves %d on hand and %d reserved", r.Version, r.Type, v.onHand, v.reserved)
	}
	if m.OnHand != v.onHand || m.Reserved != v.reserved {
		v.found(StockBalance, r.Version, "version %d (%s) has %d on hand and %d reserved; computed from the movements: %d and %d",
			r.Version, r.Type, m.OnHand, m.Reserved, v.onHand, v.reserved)
		// What follows was made from what it claims: one wrong balance is one finding.
		v.onHand, v.reserved = m.OnHand, m.Reserved
	}
}

// move adds the movement to the balance.
func (v *ledger) move(r event.Record, m movement) {
	switch r.Type {
	case event.StockAdded, event.StockAdjusted, event.StockReturned:
		v.onHand += m.Quantity
	case event.StockReserved:
		if _, twice := v.holds[m.OrderID]; twice {
			v.found(StockSlots, r.Version, "version %d reserves for order %s a second time", r.Version, m.OrderID)
		}
		v.reserved += m.Quantity
		v.holds[m.OrderID] = hold{m.Quantity, r.Version}
	case event.StockReleased, event.StockCommitted:
		if held := v.holds[m.OrderID]; held.quantity != m.Quantity {
			v.found(StockSlots, r.Version, "version %d (%s) settles %d for order %s, which holds %d", r.Version, r.Type, m.Quantity, m.OrderID, held.quantity)
		}
		delete(v.holds, m.OrderID)
		v.reserved -= m.Quantity
		if r.Type == event.StockCommitted {
			v.onHand -= m.Quantity
		}
	}
}

// end asks about the orders that still hold stock: they must be open. An order releases or commits before it ends, so
// one that had ended before the second look read this stream holds it for good.
func (v *ledger) end(ctx context.Context) error {
	if v.broken {
		return nil
	}
	for orderID, held := range v.holds {
		v.work.Go(func() error { return v.held(ctx, orderID, held) })
	}
	if v.counted && v.onHand < v.reserved {
		v.work.Go(func() error { return v.shortage(ctx) })
	}
	return ctx.Err()
}

// shortage checks that the orders that hold more than is on hand, and could give way, are being asked.
func (v *ledger) shortage(ctx context.Context) error {
	run, err := v.cfg.Shortages.InspectShortage(ctx, v.id)
	if err != nil || run.Running {
		return err
	}
	newest := func(a, b string) int { return cmp.Compare(v.holds[b].version, v.holds[a].version) }
	for _, orderID := range slices.SortedFunc(maps.Keys(v.holds), newest) {
		s, _, ok, err := v.orderOf(ctx, orderID)
		if err != nil {
			return err
		}
		if !ok || !s.Opened() || s.Decision != "" || !s.ReleasesStock() {
			continue
		}
		v.found(ShortageUnsettled, v.holds[orderID].version, "%d are on hand and %d reserved, and order %s could give up its reservation; the shortage saga is %s",
			v.onHand, v.reserved, orderID, cmp.Or(run.Status, "missing"))
		return nil
	}
	return nil
}

// held checks that the order that holds stock is open.
func (v *ledger) held(ctx context.Context, orderID string, held hold) error {
	v.needs(StockHeld, held.version, event.OrderStream(orderID))
	s, records, ok, err := v.orderOf(ctx, orderID)
	if !ok {
		return err
	}
	decided := exceptions(records)
	switch {
	case len(records) == 0:
		v.found(StockHeld, held.version, "order %s holds %d, but does not exist", orderID, held.quantity)
	case !s.Ended:
	case slices.ContainsFunc(stockExceptions, func(e exception) bool { return decided[e] }):
		v.found(ExceptionOnRecord, held.version, "order %s has ended as %s and holds %d, as an operator decided", orderID, s.Status, held.quantity)
	default:
		v.found(StockHeld, held.version, "order %s has ended as %s and holds %d", orderID, s.Status, held.quantity)
	}
	return nil
}

// outcome checks that the stock of an ended order went where its end says.
func (u *unit) outcome(ctx context.Context) error {
	if !u.state.Ended || !u.recent(u.state.Ended, u.state.UpdatedAt) {
		return nil
	}
	if elsewhere, err := u.elsewhere(ctx); elsewhere || err != nil {
		return err
	}
	for _, line := range u.state.Order.Items() {
		do, settle := event.Escape(u.id)+"/reserve", event.Escape(u.id)+"/settle"
		standing, err := u.cfg.Log.FindAll(ctx, event.StockStream(line.SKU), []string{do, settle})
		if damaged(err) {
			continue
		}
		if err != nil {
			return err
		}
		var reserved movement
		if r, there := standing[do]; there {
			if reserved, err = event.Decode[movement](r.Event); err != nil {
				continue
			}
		}
		completed := u.state.Status == saga.Completed
		committed := standing[settle].Type == event.StockCommitted
		if completed == committed && (!completed || reserved.Quantity == line.Quantity) {
			continue
		}
		u.needs(StockOutcome, u.state.Head.Version, event.StockStream(line.SKU))
		if completed {
			u.unlessExcepted(StockOutcome, stockExceptions, "it has completed, but the ledger shows its %d of sku %s as %q", line.Quantity, line.SKU, slots(standing, do, settle))
		} else {
			u.unlessExcepted(StockOutcome, stockExceptions, "it ended as %s, but its %d of sku %s were committed", u.state.Status, line.Quantity, line.SKU)
		}
	}
	return nil
}

// elsewhere checks an order whose reservation the inventory service has. It can only ask for the result: the ledger is the service's own.
func (u *unit) elsewhere(ctx context.Context) (bool, error) {
	items := u.state.Order.Items()
	if u.cfg.Warehouse == nil || len(items) == 0 {
		return false, nil
	}
	for _, item := range items {
		// An order of the time before the service has its reservation in the ledger.
		found, err := u.cfg.Log.FindAll(ctx, event.StockStream(item.SKU), []string{event.Escape(u.id) + "/reserve"})
		if err != nil || len(found) > 0 {
			return false, nil //nolint:nilerr // the check of the ledger reports it
		}
	}
	state, err := u.cfg.Warehouse.State(ctx, u.id)
	if err != nil {
		return true, err
	}
	completed := u.state.Status == saga.Completed
	if holds := state == "reserved" || state == "committed"; completed != (state == "committed") || !completed && holds {
		u.unlessExcepted(StockOutcome, stockExceptions, "it ended as %s, and the inventory service has its reservation as %s", u.state.Status, state)
	}
	return true, nil
}

// slots names the events in an order's slots.
func slots(standing map[string]event.Record, keys ...string) []string {
	types := make([]string, 0, len(keys))
	for _, key := range keys {
		types = append(types, standing[key].Type)
	}
	return slices.DeleteFunc(types, func(s string) bool { return s == "" })
}
