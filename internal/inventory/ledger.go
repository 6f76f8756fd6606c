package inventory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// Ledger is the stock ledger. Use New to create it. The package comment has its contract.
type Ledger struct {
	cfg Config

	// ctx ends with Close. All work of the committers uses it.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// committers has the SKUs with pending changes.
	committers map[string]*committer

	// slots caches records by key; they never change.
	slots *lru.Cache[slotName, slot]
	// heads caches the ends of the streams of idle SKUs; there may be newer records.
	heads *lru.Cache[string, position]
	// checkers check the holders of SKUs that are short. Protected by mu.
	checkers *lru.Cache[string, *holderChecker]
}

type slotName struct{ sku, key string }

// New returns a ledger. It does no I/O. The error is Invalid.
func New(c Config) (*Ledger, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	l := &Ledger{
		cfg:        c,
		committers: make(map[string]*committer),
		slots:      newCache[slotName, slot](c.SlotCache),
		heads:      newCache[string, position](c.HeadCache),
		checkers:   newCache[string, *holderChecker](holderCache),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// newCache returns a cache with a capacity of at least one.
func newCache[K comparable, V any](entries int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](entries)
	if err != nil {
		panic(err)
	}
	return c
}

// Close stops the ledger and returns when its goroutines have ended. Pending calls fail with OutcomeUnknown, later ones with Unavailable. It is
// idempotent.
func (l *Ledger) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.wg.Wait()
}

// Reserve reserves a quantity of the SKU for the order. The result is recorded and never changes, except that Done becomes Undone after a
// Release. Errors: Invalid, Conflict if the order has requested a different quantity before, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Reserve(ctx context.Context, orderID, sku string, quantity int64) (stock.Reservation, error) {
	return l.reserve(ctx, orderID, sku, quantity, change{mode: reserveOrRefuse})
}

// reserve is Reserve with a mode; except for reserveOrRefuse the error may be StockInsufficient, and then nothing was written.
func (l *Ledger) reserve(ctx context.Context, orderID, sku string, quantity int64, c change) (stock.Reservation, error) {
	fail := func(err error) (stock.Reservation, error) {
		return stock.Reservation{}, fmt.Errorf("reserve SKU %s for order %s: %w", sku, orderID, err)
	}
	if err := validate(sku, orderID, quantity, 1); err != nil {
		return fail(err)
	}
	c.key, c.kind, c.orderID, c.quantity = ReserveKey(orderID), event.StockReserved, orderID, quantity
	a, err := l.writeOnce(ctx, sku, c)
	if err != nil {
		return fail(err)
	}
	do := a.stored
	if do.kind == event.StockFenced {
		return stock.Reservation{Effect: stock.Undone}, nil
	}
	if do.Quantity != quantity {
		return fail(fault.New(fault.Conflict, "the order has already requested %d of SKU %s", do.Quantity, sku))
	}
	if do.kind == event.StockRefused {
		return do.refusal(), nil
	}
	if !a.upToDate && !c.acquire {
		a.settled, err = l.find(ctx, sku, SettleKey(orderID))
		if err != nil {
			return fail(err)
		}
	}
	return a.settled.outcome(), nil
}

// refusal is the result of a stock.refused.
func (s slot) refusal() stock.Reservation {
	return stock.Reservation{Effect: stock.Refused, Reason: s.Reason, Available: s.balance().available()}
}

// outcome is the result of a stock.reserved whose settle slot is s.
func (s slot) outcome() stock.Reservation {
	if s.kind == event.StockReleased {
		return stock.Reservation{Effect: stock.Undone}
	}
	return stock.Reservation{Effect: stock.Done}
}

// Lookup returns the result of an order's reservation and changes nothing; the Effect is empty if nothing was reserved or released. Errors:
// Invalid, Unavailable, Corrupt.
func (l *Ledger) Lookup(ctx context.Context, orderID, sku string) (stock.Reservation, error) {
	fail := func(err error) (stock.Reservation, error) {
		return stock.Reservation{}, fmt.Errorf("look up SKU %s for order %s: %w", sku, orderID, err)
	}
	if err := validate(sku, orderID, 1, 1); err != nil {
		return fail(err)
	}
	do, err := l.find(ctx, sku, ReserveKey(orderID))
	if err != nil {
		return fail(err)
	}
	switch do.kind {
	case "":
		return stock.Reservation{}, nil
	case event.StockFenced:
		return stock.Reservation{Effect: stock.Undone}, nil
	case event.StockRefused:
		return do.refusal(), nil
	}
	settled, err := l.find(ctx, sku, SettleKey(orderID))
	if err != nil {
		return fail(err)
	}
	return settled.outcome(), nil
}

// Release undoes the reservation of the SKU by the order, whether or not it happened, and prevents a later one. Errors: EffectSettled after a
// Commit, Invalid, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Release(ctx context.Context, orderID, sku string) error {
	return l.commitOrRelease(ctx, orderID, sku, event.StockReleased)
}

// Commit removes the reserved stock. Errors: StockInsufficient if a count found less on hand; EffectSettled if the order holds nothing and never
// will: released, fenced, refused; Invalid; OutcomeUnknown; Unavailable, also if no reservation is found: after a failover it may be missed for
// a moment; Corrupt.
func (l *Ledger) Commit(ctx context.Context, orderID, sku string) error {
	return l.commitOrRelease(ctx, orderID, sku, event.StockCommitted)
}

// commitOrRelease writes the settle slot; a release without a reservation writes the fence.
func (l *Ledger) commitOrRelease(ctx context.Context, orderID, sku, kind string) error {
	fail := func(err error) error {
		return fmt.Errorf("write %s of SKU %s for order %s: %w", kind, sku, orderID, err)
	}
	if err := validate(sku, orderID, 1, 1); err != nil {
		return fail(err)
	}
	do, err := l.doSlot(ctx, orderID, sku, kind)
	if err != nil {
		return fail(err)
	}
	if do.kind != event.StockReserved {
		if kind == event.StockReleased {
			return nil
		}
		if do.kind == "" {
			// Only reserved stock is committed, so the record exists and was missed.
			return fail(fault.Missing("the reservation of SKU %s by the order was not found", sku))
		}
		return fail(fault.New(fault.EffectSettled, "the order holds nothing of SKU %s: %s", sku, do.kind))
	}
	a, err := l.writeOnce(ctx, sku, change{
		key: SettleKey(orderID), kind: kind, orderID: orderID, quantity: do.Quantity, after: do.version,
	})
	if err != nil {
		return fail(err)
	}
	if a.stored.kind != kind {
		return fail(fault.New(fault.EffectSettled, "the reservation of SKU %s already has the result %s", sku, a.stored.kind))
	}
	return nil
}

// doSlot returns the record in the Do slot. A release that finds it empty writes the fence.
func (l *Ledger) doSlot(ctx context.Context, orderID, sku, kind string) (slot, error) {
	if kind == event.StockReleased {
		a, err := l.writeOnce(ctx, sku, change{key: ReserveKey(orderID), kind: event.StockFenced, orderID: orderID})
		return a.stored, err
	}
	return l.find(ctx, sku, ReserveKey(orderID))
}

// Receive adds quantity to the stock, once per ID. It returns the balance directly after that, also when the call is repeated. Errors: Invalid,
// Conflict if the ID was used with a different quantity, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Receive(ctx context.Context, sku string, quantity int64, id string) (Balance, error) {
	return l.count(ctx, sku, change{key: receiptKey(id), kind: event.StockAdded, id: id, quantity: quantity}, 1)
}

// Return puts a quantity that the order has committed into stock again, once for each ID of the order. Errors: those of Receive.
func (l *Ledger) Return(ctx context.Context, orderID, id, sku string, quantity int64) error {
	fail := func(err error) error { return fmt.Errorf("return SKU %s of order %s: %w", sku, orderID, err) }
	if err := validate(sku, orderID, quantity, 1); err != nil {
		return fail(err)
	}
	a, err := l.writeOnce(ctx, sku, change{key: ReturnKey(orderID, id), kind: event.StockReturned, orderID: orderID, quantity: quantity})
	if err == nil && a.stored.Quantity != quantity {
		err = fault.New(fault.Conflict, "the ID was already used with quantity %d", a.stored.Quantity)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// Receipt is a dry run of Receive: booked is true if the receipt is already in the ledger. Errors: those of Receive.
func (l *Ledger) Receipt(ctx context.Context, sku string, quantity int64, id string) (booked bool, err error) {
	c := change{key: receiptKey(id), kind: event.StockAdded, id: id, quantity: quantity}
	if err := validateCount(sku, c, 1); err != nil {
		return false, fmt.Errorf("look up %s %s of SKU %s: %w", c.kind, c.id, sku, err)
	}
	s, err := l.find(ctx, sku, c.key)
	if err != nil {
		return false, fmt.Errorf("look up %s %s of SKU %s: %w", c.kind, c.id, sku, err)
	}
	if s.kind != "" && s.Quantity != quantity {
		return true, fault.New(fault.Conflict, "the ID was already used with quantity %d", s.Quantity)
	}
	return s.kind != "", nil
}

// Adjust changes the stock by quantity, up or down, once per ID. It returns the balance directly after that, also when the call is repeated; the
// remark of the first call is kept. Errors: StockInsufficient if more would be removed than is available, and those of Receive.
func (l *Ledger) Adjust(ctx context.Context, sku string, quantity int64, id string, why Remark) (Balance, error) {
	return l.count(ctx, sku, change{
		key: adjustmentKey(id), kind: event.StockAdjusted, id: id, quantity: quantity, why: why,
	}, -MaxQuantity)
}

// Count sets the stock to the counted quantity, once per ID. It returns the balance directly after that, also when the call is repeated. If less
// is counted than is reserved, nothing is available, and the balance has a Shortfall. Errors: Invalid, Conflict if the ID was used with a
// different count, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Count(ctx context.Context, sku string, counted int64, id string, why Remark) (Balance, error) {
	return l.count(ctx, sku, change{key: countKey(id), kind: event.StockAdjusted, id: id, counted: &counted, why: why}, 0)
}

// count writes a receipt, an adjustment or a count.
func (l *Ledger) count(ctx context.Context, sku string, c change, least int64) (Balance, error) {
	fail := func(err error) (Balance, error) {
		return Balance{}, fmt.Errorf("write %s %s of SKU %s: %w", c.kind, c.id, sku, err)
	}
	if err := validateCount(sku, c, least); err != nil {
		return fail(err)
	}
	a, err := l.writeOnce(ctx, sku, c)
	if err != nil {
		return fail(err)
	}
	was, wanted := a.stored.Quantity, c.quantity
	if c.counted != nil && a.stored.Counted != nil {
		was, wanted = *a.stored.Counted, *c.counted
	}
	if was != wanted {
		return fail(fault.New(fault.Conflict, "the ID was already used with quantity %d", was))
	}
	return a.stored.public(), nil
}

// writeOnce writes the change unless its key is taken, and returns the record with this key.
func (l *Ledger) writeOnce(ctx context.Context, sku string, c change) (answer, error) {
	if s, ok := l.slots.Get(slotName{sku, c.key}); ok {
		return answer{stored: s}, nil
	}
	a, err := l.put(ctx, sku, c)
	if errors.Is(err, fault.StockInsufficient) && !c.acquire || errors.Is(err, fault.Invalid) || errors.Is(err, fault.Corrupt) {
		// The change does not fit the balance, possibly because it was already written. The balance was read during this call, so a
		// record that is not found now was not written when the balance was read.
		s, findErr := l.find(ctx, sku, c.key)
		if findErr != nil {
			return answer{}, findErr
		}
		if s.kind != "" {
			return answer{stored: s}, nil
		}
	}
	return a, err
}

// find returns the record with a key; the zero slot if there is none.
func (l *Ledger) find(ctx context.Context, sku, key string) (slot, error) {
	if s, ok := l.slots.Get(slotName{sku, key}); ok {
		return s, nil
	}
	r, ok, err := l.cfg.Log.Find(ctx, event.StockStream(sku), key)
	if err != nil || !ok {
		return slot{}, err
	}
	s, err := readSlot(r)
	if err == nil {
		l.slots.Add(slotName{sku, key}, s)
	}
	return s, err
}
