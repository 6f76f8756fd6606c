package inventory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Ledger is the stock ledger. Call New; see the package for its contract.
type Ledger struct {
	cfg Config

	// ctx ends with Close, and with it whatever the committers do.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// committers are the SKUs that have changes waiting or under way.
	committers map[string]*committer

	// slots remembers what stands under keys; it cannot change.
	slots *lru.Cache[slotName, slot]
	// heads remembers where streams of idle SKUs ended; they may have gone on.
	heads *lru.Cache[string, position]
	// lookers look at the holders of SKUs that are short. They are guarded by mu, too.
	lookers *lru.Cache[string, *looker]
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
		lookers:    newCache[string, *looker](holderCache),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// newCache returns a cache of so many entries, at least one.
func newCache[K comparable, V any](entries int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](entries)
	if err != nil {
		panic(err)
	}
	return c
}

// Close ends the ledger and returns when nothing of it runs any more. Calls under way fail with OutcomeUnknown,
// later ones with Unavailable. It may be called again.
func (l *Ledger) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.wg.Wait()
}

// Reserve makes the order hold quantity of the SKU. The answer is recorded and never changes, except that what
// was Done is Undone after a Release. Errors: Invalid, Conflict when the order asked for another quantity
// before, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Reserve(ctx context.Context, orderID, sku string, quantity int64) (order.Reservation, error) {
	return l.reserve(ctx, orderID, sku, quantity, change{mode: reserveOrRefuse})
}

// reserve is Reserve in a mode; in the others the error may be StockInsufficient, and then nothing was written.
func (l *Ledger) reserve(ctx context.Context, orderID, sku string, quantity int64, c change) (order.Reservation, error) {
	fail := func(err error) (order.Reservation, error) {
		return order.Reservation{}, fmt.Errorf("reserve sku %s for order %s: %w", sku, orderID, err)
	}
	if err := validate(sku, orderID, quantity, 1); err != nil {
		return fail(err)
	}
	c.key, c.kind, c.orderID, c.quantity = ReserveKey(orderID), event.StockReserved, orderID, quantity
	a, err := l.stand(ctx, sku, c)
	if err != nil {
		return fail(err)
	}
	do := a.standing
	if do.kind == event.StockFenced {
		return order.Reservation{Effect: order.Undone}, nil
	}
	if do.Quantity != quantity {
		return fail(fault.New(fault.Conflict, "the order asked for %d of sku %s before", do.Quantity, sku))
	}
	if do.kind == event.StockRefused {
		return order.Reservation{Effect: order.Refused, Reason: do.Reason, Available: do.balance().available()}, nil
	}
	if !a.upToDate && !c.acquire {
		a.settle, err = l.find(ctx, sku, SettleKey(orderID))
		if err != nil {
			return fail(err)
		}
	}
	if a.settle.kind == event.StockReleased {
		return order.Reservation{Effect: order.Undone}, nil
	}
	return order.Reservation{Effect: order.Done}, nil
}

// Lookup says what became of an order's reservation and changes nothing; the Effect is empty when nothing was asked or
// undone. Errors: Invalid, Unavailable, Corrupt.
func (l *Ledger) Lookup(ctx context.Context, orderID, sku string) (order.Reservation, error) {
	fail := func(err error) (order.Reservation, error) {
		return order.Reservation{}, fmt.Errorf("look up sku %s for order %s: %w", sku, orderID, err)
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
		return order.Reservation{}, nil
	case event.StockFenced:
		return order.Reservation{Effect: order.Undone}, nil
	case event.StockRefused:
		return order.Reservation{Effect: order.Refused, Reason: do.Reason, Available: do.balance().available()}, nil
	}
	settle, err := l.find(ctx, sku, SettleKey(orderID))
	if err != nil {
		return fail(err)
	}
	if settle.kind == event.StockReleased {
		return order.Reservation{Effect: order.Undone}, nil
	}
	return order.Reservation{Effect: order.Done}, nil
}

// Release makes it so that the order holds nothing of the SKU, whether or not it ever did, and keeps it so.
// Errors: EffectSettled after a Commit, Invalid, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Release(ctx context.Context, orderID, sku string) error {
	return l.settle(ctx, orderID, sku, event.StockReleased)
}

// Commit makes the reserved stock leave for good. Errors: StockInsufficient when a count found fewer on hand than are to
// leave; EffectSettled when the order holds nothing and never will: released, fenced, refused; Invalid for wrong ids;
// OutcomeUnknown; Unavailable, also when no reservation is found: after a failover it may be missed for a moment; Corrupt.
func (l *Ledger) Commit(ctx context.Context, orderID, sku string) error {
	return l.settle(ctx, orderID, sku, event.StockCommitted)
}

// settle writes the settle slot, or the fence where a release finds nothing to release.
func (l *Ledger) settle(ctx context.Context, orderID, sku, kind string) error {
	fail := func(err error) error {
		return fmt.Errorf("write %s of sku %s for order %s: %w", kind, sku, orderID, err)
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
			// It was reserved before it is committed, so the record is there and was not found.
			return fail(fault.Missing("the reservation of sku %s by the order was not found", sku))
		}
		return fail(fault.New(fault.EffectSettled, "the order holds nothing of sku %s: %s", sku, do.kind))
	}
	a, err := l.stand(ctx, sku, change{
		key: SettleKey(orderID), kind: kind, orderID: orderID, quantity: do.Quantity, after: do.version,
	})
	if err != nil {
		return fail(err)
	}
	if a.standing.kind != kind {
		return fail(fault.New(fault.EffectSettled, "the reservation of sku %s is settled already: %s", sku, a.standing.kind))
	}
	return nil
}

// doSlot returns what stands in the Do slot. A release that finds it empty fills it with the fence.
func (l *Ledger) doSlot(ctx context.Context, orderID, sku, kind string) (slot, error) {
	if kind == event.StockReleased {
		a, err := l.stand(ctx, sku, change{key: ReserveKey(orderID), kind: event.StockFenced, orderID: orderID})
		return a.standing, err
	}
	return l.find(ctx, sku, ReserveKey(orderID))
}

// Receive adds quantity to what is on hand, once an id. It returns the balance right after that, also when it
// is asked again. Errors: Invalid, Conflict when the id was used with another quantity, OutcomeUnknown,
// Unavailable, Corrupt.
func (l *Ledger) Receive(ctx context.Context, sku string, quantity int64, id string) (Balance, error) {
	return l.count(ctx, sku, change{key: receiptKey(id), kind: event.StockAdded, id: id, quantity: quantity}, 1)
}

// Receipt tells what Receive would do, and does nothing: booked is true when the receipt is in the ledger already. Errors:
// those of Receive.
func (l *Ledger) Receipt(ctx context.Context, sku string, quantity int64, id string) (booked bool, err error) {
	c := change{key: receiptKey(id), kind: event.StockAdded, id: id, quantity: quantity}
	if err := validateCount(sku, c, 1); err != nil {
		return false, fmt.Errorf("look up %s %s of sku %s: %w", c.kind, c.id, sku, err)
	}
	s, err := l.find(ctx, sku, c.key)
	if err != nil {
		return false, fmt.Errorf("look up %s %s of sku %s: %w", c.kind, c.id, sku, err)
	}
	if s.kind != "" && s.Quantity != quantity {
		return true, fault.New(fault.Conflict, "the id was used for %d before", s.Quantity)
	}
	return s.kind != "", nil
}

// Adjust corrects what is on hand by quantity, up or down, once an id. It returns the balance right after that,
// also when it is asked again; the remark of the first call stays. Errors: StockInsufficient when more would be
// taken than is available, and as for Receive.
func (l *Ledger) Adjust(ctx context.Context, sku string, quantity int64, id string, why Remark) (Balance, error) {
	return l.count(ctx, sku, change{
		key: adjustmentKey(id), kind: event.StockAdjusted, id: id, quantity: quantity, why: why,
	}, -MaxQuantity)
}

// Count corrects what is on hand to what was counted, once an id. It returns the balance right after that, also when it is
// asked again. Fewer may be counted than are reserved: then nothing is available, and the balance has a Shortfall. Errors:
// Invalid, Conflict when the id was used for another count, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Count(ctx context.Context, sku string, counted int64, id string, why Remark) (Balance, error) {
	return l.count(ctx, sku, change{key: countKey(id), kind: event.StockAdjusted, id: id, counted: &counted, why: why}, 0)
}

// count writes a receipt, an adjustment or a count.
func (l *Ledger) count(ctx context.Context, sku string, c change, least int64) (Balance, error) {
	fail := func(err error) (Balance, error) {
		return Balance{}, fmt.Errorf("write %s %s of sku %s: %w", c.kind, c.id, sku, err)
	}
	if err := validateCount(sku, c, least); err != nil {
		return fail(err)
	}
	a, err := l.stand(ctx, sku, c)
	if err != nil {
		return fail(err)
	}
	was, wanted := a.standing.Quantity, c.quantity
	if c.counted != nil && a.standing.Counted != nil {
		was, wanted = *a.standing.Counted, *c.counted
	}
	if was != wanted {
		return fail(fault.New(fault.Conflict, "the id was used for %d before", was))
	}
	return a.standing.public(), nil
}

// stand returns what stands under the change's key, after writing the change there if the key was free.
func (l *Ledger) stand(ctx context.Context, sku string, c change) (answer, error) {
	if s, ok := l.slots.Get(slotName{sku, c.key}); ok {
		return answer{standing: s}, nil
	}
	a, err := l.put(ctx, sku, c)
	if errors.Is(err, fault.StockInsufficient) && !c.acquire || errors.Is(err, fault.Invalid) || errors.Is(err, fault.Corrupt) {
		// The change does not fit the balance, perhaps because it is in there already. The balance was read during
		// this call, so what is not found now had not been written when it was read.
		s, findErr := l.find(ctx, sku, c.key)
		if findErr != nil {
			return answer{}, findErr
		}
		if s.kind != "" {
			return answer{standing: s}, nil
		}
	}
	return a, err
}

// find returns what stands under key; the zero slot when nothing does.
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
