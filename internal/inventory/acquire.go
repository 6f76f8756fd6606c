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
	"github.com/ordersaga/ordersaga/internal/stock"
)

const (
	// skusAtOnce bounds the SKUs of one order that are read concurrently.
	skusAtOnce = 16
	// maxHolderChecks bounds the checks of the holders of a SKU in one attempt, while others reserve it meanwhile.
	maxHolderChecks = 3
)

// Acquire reserves the items of an order. It returns a result for each item: Done, Refused, Undone, Short, or an empty Effect for an item
// that was not tried because an earlier one is not Done.
//
// Quantities are summed per SKU, and SKUs are reserved in byte order: an order that waits for a SKU holds none after it, so that orders
// cannot deadlock. A SKU with less on hand than the order needs is refused before anything is reserved. A SKU that is short only because
// other orders hold it temporarily is Short: nothing is recorded, SKUs that were reserved before it stay reserved, and the caller may try
// again, with From. If no holder is temporary, or in the Last attempt, it is refused.
//
// A SKU that was reserved and then released may be reported as Done: stock of an order is released only after the stream of the order
// records that it is being compensated, and then this result comes too late to be recorded.
//
// Errors: Invalid, Conflict if the order has requested a different quantity before, OutcomeUnknown, Unavailable, Corrupt.
func (l *Ledger) Acquire(ctx context.Context, r stock.ReserveRequest) ([]stock.Reservation, error) {
	needs := sumBySKU(r.Items)
	got := make(map[string]stock.Reservation, len(needs))
	answers := func() []stock.Reservation {
		list := make([]stock.Reservation, len(r.Items))
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
			got[need.SKU] = stock.Reservation{Effect: stock.Done}
			continue
		}
		answer, err := l.acquire(ctx, r, need)
		if err != nil {
			return nil, err
		}
		if got[need.SKU] = answer; answer.Effect != stock.Done {
			break
		}
	}
	return answers(), nil
}

// sumBySKU returns the quantity of each SKU, in byte order of SKUs.
func sumBySKU(items []stock.Item) []stock.Item {
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b stock.Item) int { return cmp.Compare(a.SKU, b.SKU) })
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

// acquire reserves one SKU. On a shortage it checks the holders of the SKU, and refuses only if no reservation is newer than the check: such a
// reservation may be temporary.
func (l *Ledger) acquire(ctx context.Context, r stock.ReserveRequest, need stock.Item) (stock.Reservation, error) {
	c := change{mode: reserveOrShort, acquire: true}
	if r.Last {
		c.mode = reserveOrRefuse
	}
	for range maxHolderChecks {
		answer, err := l.reserve(ctx, r.OrderID, need.SKU, need.Quantity, c)
		if !errors.Is(err, fault.StockInsufficient) {
			return answer, err
		}
		found, err := l.checkHolders(ctx, need.SKU)
		if err != nil {
			return stock.Reservation{}, fmt.Errorf("check the holders of SKU %s for order %s: %w", need.SKU, r.OrderID, err)
		}
		if own, held := found.held(r.OrderID); held && own.Quantity != need.Quantity {
			return stock.Reservation{}, fault.New(fault.Conflict, "the order has already requested %d of SKU %s", own.Quantity, need.SKU)
		} else if held {
			// The order itself holds the stock: the result of an earlier attempt was lost.
			return stock.Reservation{Effect: stock.Done}, nil
		}
		if found.temporary {
			break
		}
		c.seen = found.version
	}
	return stock.Reservation{Effect: stock.Short}, nil
}

// refuseLacking refuses the SKUs with less on hand than the order needs, before any other SKU is reserved. It reports whether one was refused.
// For a single SKU it does nothing: its append has the same effect. The head of the SKU's stream is cached for the append that
// follows.
func (l *Ledger) refuseLacking(
	ctx context.Context, r stock.ReserveRequest, needs []stock.Item, got map[string]stock.Reservation,
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
			if err != nil || answer.Effect != stock.Refused {
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

// refuseIfLacking refuses a SKU with less on hand than the order needs. The Effect is empty if there is enough.
func (l *Ledger) refuseIfLacking(ctx context.Context, orderID string, need stock.Item, at position, known bool) (stock.Reservation, error) {
	if !known {
		var err error
		if at, err = l.head(ctx, need.SKU); err != nil {
			return stock.Reservation{}, fmt.Errorf("read the head of SKU %s for order %s: %w", need.SKU, orderID, err)
		}
		l.remember(need.SKU, at)
	}
	if at.onHand >= need.Quantity {
		return stock.Reservation{}, nil
	}
	answer, err := l.reserve(ctx, orderID, need.SKU, need.Quantity, change{mode: refuseOnly, acquire: true})
	if errors.Is(err, fault.StockInsufficient) {
		// Stock was added meanwhile.
		return stock.Reservation{}, nil
	}
	return answer, err
}

// remembered returns the cached end of the SKU's stream, if it is recent.
func (l *Ledger) remembered(sku string) (position, bool) {
	at, ok := l.heads.Get(sku)
	return at, ok && l.cfg.Clock().Sub(at.readAt) < headLifetime
}

// remember caches the end of the SKU's stream, unless a newer one is cached.
func (l *Ledger) remember(sku string, at position) {
	if old, ok := l.heads.Get(sku); !ok || old.head.Version <= at.head.Version {
		l.heads.Add(sku, at)
	}
}

// reserveMode is what to do with a reservation that exceeds the available stock.
type reserveMode int

const (
	// reserveOrRefuse records a refusal.
	reserveOrRefuse reserveMode = iota
	// reserveOrShort records a refusal if less is on hand than requested, or if no reservation is newer than the last check of the
	// holders. Otherwise it records nothing.
	reserveOrShort
	// refuseOnly records a refusal if less is on hand than requested, and nothing otherwise.
	refuseOnly
)

// unwritten is the version of a reservation that will be written: newer than all others.
const unwritten = math.MaxInt64

// reserve returns the event to record for a reservation, or StockInsufficient if nothing is to be recorded.
func (c change) reserve(sku string, b balance) (kind, reason string, err error) {
	switch {
	case !b.known:
		return event.StockRefused, stock.UnknownSKU, nil
	case c.mode != refuseOnly && b.available() >= c.quantity:
		return event.StockReserved, "", nil
	case c.mode == reserveOrRefuse, b.onHand < c.quantity, c.mode == reserveOrShort && c.seen >= b.reservedAt:
		return event.StockRefused, stock.OutOfStock, nil
	}
	return "", "", fault.New(fault.StockInsufficient, "only %d of SKU %s are available", b.available(), sku)
}
