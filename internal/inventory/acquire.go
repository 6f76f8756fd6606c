package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

const (
	// skusAtOnce bounds how many SKUs of one order are looked at at the same time.
	skusAtOnce = 16
	// maxLooks bounds how often one attempt looks at the holders of a SKU that are being replaced by others meanwhile.
	maxLooks = 3
)

// Acquire reserves what an order needs, and returns an answer for each item: Done, Refused, Undone, Short, or an empty
// Effect for what was not asked for because an item before it is not Done.
//
// Quantities are summed per SKU, and SKUs are acquired in the order of their bytes: an order that waits for a SKU holds none
// after it, so that orders never wait for each other in a circle. A SKU with less on hand than the order needs is refused
// before anything is acquired. A SKU that is short while other orders hold it for now is Short: nothing is recorded, what
// was acquired before it is kept, and the caller may ask again, with From. When no holder is temporary, or for the Last
// attempt, it is refused.
//
// What was released after it had been acquired may be answered as Done: an order's stock is released only after its stream
// says that it is being compensated, and there the answer comes too late to be recorded.
//
// Errors: Invalid, Conflict when the order asked for another quantity before, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Acquire(ctx context.Context, r order.ReserveRequest) ([]order.Reservation, error) {
	needs := sumBySKU(r.Items)
	got := make(map[string]order.Reservation, len(needs))
	answers := func() []order.Reservation {
		list := make([]order.Reservation, len(r.Items))
		for i, item := range r.Items {
			list[i] = got[item.SKU]
		}
		return list
	}
	for _, need := range needs {
		if err := validate(need.SKU, r.OrderID, need.Quantity, 1); err != nil {
			return nil, fmt.Errorf("reserve sku %s for order %s: %w", need.SKU, r.OrderID, err)
		}
	}
	refused, err := l.refuseLacking(ctx, r, needs, got)
	if err != nil || refused {
		return answers(), err
	}
	for _, need := range needs {
		if need.SKU < r.From {
			got[need.SKU] = order.Reservation{Effect: order.Done}
			continue
		}
		answer, err := l.acquire(ctx, r, need)
		if err != nil {
			return nil, err
		}
		if got[need.SKU] = answer; answer.Effect != order.Done {
			break
		}
	}
	return answers(), nil
}

// sumBySKU returns the quantity of each SKU, in the order of their bytes.
func sumBySKU(items []order.Item) []order.Item {
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b order.Item) int { return cmp.Compare(a.SKU, b.SKU) })
	sums := sorted[:0]
	for _, item := range sorted {
		if n := len(sums); n > 0 && sums[n-1].SKU == item.SKU {
			sums[n-1].Quantity += item.Quantity
			continue
		}
		sums = append(sums, item)
	}
	return sums
}

// acquire reserves one SKU. A shortage is looked into, and refused only while every reservation of the SKU is one that was
// looked at: what is reserved after the look may be given back.
func (l *Ledger) acquire(ctx context.Context, r order.ReserveRequest, need order.Item) (order.Reservation, error) {
	c := change{mode: reserveOrShort, acquire: true}
	if r.Last {
		c.mode = reserveOrRefuse
	}
	for range maxLooks {
		answer, err := l.reserve(ctx, r.OrderID, need.SKU, need.Quantity, c)
		if !errors.Is(err, fault.StockInsufficient) {
			return answer, err
		}
		found, err := l.lookAtHolders(ctx, need.SKU)
		if err != nil {
			return order.Reservation{}, fmt.Errorf("look at the holders of sku %s for order %s: %w", need.SKU, r.OrderID, err)
		}
		if own, held := found.held(r.OrderID); held && own.Quantity != need.Quantity {
			return order.Reservation{}, fault.New(fault.Conflict, "the order asked for %d of sku %s before", own.Quantity, need.SKU)
		} else if held {
			// It takes what it is short of itself: the answer of an attempt before this one was lost.
			return order.Reservation{Effect: order.Done}, nil
		}
		if found.temporary {
			break
		}
		c.seen = found.version
	}
	return order.Reservation{Effect: order.Short}, nil
}

// refuseLacking refuses the SKUs of which there is less on hand than the order needs, before anything of the others is
// acquired. It reports whether one was refused. A SKU that is alone needs no look: its own append says the same. Where a
// SKU's stream ends is remembered for the append that follows, which would have to read it otherwise.
func (l *Ledger) refuseLacking(
	ctx context.Context, r order.ReserveRequest, needs []order.Item, got map[string]order.Reservation,
) (bool, error) {
	if len(needs) < 2 {
		return false, nil
	}
	var mu sync.Mutex
	refused := false
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(skusAtOnce)
	for _, need := range needs {
		if need.SKU < r.From {
			continue
		}
		at, known := l.remembered(need.SKU)
		if known && at.onHand >= need.Quantity {
			continue
		}
		group.Go(func() error {
			answer, err := l.refuseIfLacking(ctx, r.OrderID, need, at, known)
			if err != nil || answer.Effect != order.Refused {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			got[need.SKU], refused = answer, true
			return nil
		})
	}
	err := group.Wait()
	return refused, err
}

// refuseIfLacking refuses a SKU if there is less on hand than the order needs. The Effect is empty when there is not.
func (l *Ledger) refuseIfLacking(ctx context.Context, orderID string, need order.Item, at position, known bool) (order.Reservation, error) {
	if !known {
		var err error
		if at, err = l.head(ctx, need.SKU); err != nil {
			return order.Reservation{}, fmt.Errorf("read the head of sku %s for order %s: %w", need.SKU, orderID, err)
		}
		l.remember(need.SKU, at)
	}
	if at.onHand >= need.Quantity {
		return order.Reservation{}, nil
	}
	answer, err := l.reserve(ctx, orderID, need.SKU, need.Quantity, change{mode: refuseOnly, acquire: true})
	if errors.Is(err, fault.StockInsufficient) {
		// More has come since.
		return order.Reservation{}, nil
	}
	return answer, err
}

// remembered returns where the SKU's stream ended a short time ago.
func (l *Ledger) remembered(sku string) (position, bool) {
	at, ok := l.heads.Get(sku)
	return at, ok && l.cfg.Clock().Sub(at.readAt) < headLifetime
}

// remember keeps where the SKU's stream ends, unless more is known.
func (l *Ledger) remember(sku string, at position) {
	if old, ok := l.heads.Get(sku); !ok || old.head.Version <= at.head.Version {
		l.heads.Add(sku, at)
	}
}

// reserveMode says what becomes of a reservation for which too little is available.
type reserveMode int

const (
	// reserveOrRefuse records a refusal.
	reserveOrRefuse reserveMode = iota
	// reserveOrShort records a refusal when there is less on hand than is asked for, or when no reservation is newer than
	// the version up to which the holders were looked at. Otherwise it records nothing.
	reserveOrShort
	// refuseOnly records a refusal when there is less on hand than is asked for, and nothing otherwise.
	refuseOnly
)

// unwritten is the version of a reservation that is about to be written: newer than every other.
const unwritten = math.MaxInt64

// reserve decides a reservation against the balance: what to record, or StockInsufficient when nothing is to be recorded.
func (c change) reserve(sku string, b balance) (kind, reason string, err error) {
	switch {
	case !b.known:
		return event.StockRefused, order.ReasonUnknownSKU, nil
	case c.mode != refuseOnly && b.available() >= c.quantity:
		return event.StockReserved, "", nil
	case c.mode == reserveOrRefuse, b.onHand < c.quantity, c.mode == reserveOrShort && c.seen >= b.reservedAt:
		return event.StockRefused, order.ReasonOutOfStock, nil
	}
	return "", "", fault.New(fault.StockInsufficient, "%d of sku %s are available now", b.available(), sku)
}
