package inventory

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
)

const (
	// maxHolders bounds the orders of one check, newest first: temporary holders are recent.
	maxHolders = 1000
	// holdersAtOnce bounds concurrent reads of orders.
	holdersAtOnce = 8
	// holderPage and maxHolderPages bound how far back in a SKU's stream holders are searched.
	holderPage, maxHolderPages = 500, 20
	// holderCache is the number of SKUs whose holders are cached.
	holderCache = 64
)

// Orders tells whether orders hold stock temporarily.
type Orders interface {
	// HoldsForNow reports whether the order may soon release the stock that it holds; see Config.Temporary. It is false for an
	// order that does not exist. Errors: Unavailable.
	HoldsForNow(ctx context.Context, orderID string) (bool, error)
}

// logOrders reads the streams of orders.
type logOrders struct {
	log       eventlog.Reader
	temporary func(records []event.Record) (bool, error)
}

// HoldsForNow implements Orders. It returns false for a damaged stream, and true for a stream of a newer version of this service, which may be
// temporary.
func (o logOrders) HoldsForNow(ctx context.Context, orderID string) (bool, error) {
	records, err := o.log.Read(ctx, event.OrderStream(orderID), 0, 0)
	if err == nil && len(records) == 0 {
		// Not waiting for a holder would lose a sale, and after a failover a read may miss records.
		records, err = eventlog.ReadCertain(ctx, o.log, event.OrderStream(orderID), 0, 0)
	}
	switch {
	case errors.Is(err, fault.Corrupt):
		return false, nil
	case err != nil || len(records) == 0:
		return false, err
	}
	holds, err := o.temporary(records)
	if err != nil {
		return errors.Is(err, fault.Unavailable), nil
	}
	return holds, nil
}

// Shortfall returns how many more of the SKU are reserved than are on hand, and the orders that hold them, newest first; none without a
// shortfall. Errors: NotFound if nothing was ever received or counted, Invalid, Unavailable, Corrupt.
func (l *Ledger) Shortfall(ctx context.Context, sku string) (int64, []stock.Holder, error) {
	balance, err := l.Balance(ctx, sku)
	if err != nil || balance.Shortfall == 0 {
		return 0, nil, err
	}
	h := holders{log: l.cfg.Log, stream: event.StockStream(sku)}
	if err := h.rebuild(ctx, balance.Version, balance.Reserved, balance.Version); err != nil {
		return 0, nil, fault.Wrap(err, fault.CodeOf(err), "holders of SKU %s", sku)
	}
	return balance.Shortfall, h.newestFirst(), nil
}

// holders are the orders that hold stock of a SKU, at a version of its stream.
type holders struct {
	log     eventlog.Reader
	stream  string
	version int64
	byOrder map[string]stock.Holder
}

// update applies the records since the last update.
func (h *holders) update(ctx context.Context) error {
	head, ok, err := h.log.Head(ctx, h.stream)
	if err != nil || !ok {
		return err
	}
	newest, err := readSlot(head)
	if err != nil {
		return err
	}
	if h.byOrder == nil || head.Version-h.version > holderPage {
		return h.rebuild(ctx, head.Version, newest.Reserved, maxHolderPages*holderPage)
	}
	records, err := h.log.Read(ctx, h.stream, h.version, 0)
	if err != nil {
		return err
	}
	for _, r := range records {
		s, err := readSlot(r)
		if err != nil {
			return err
		}
		switch s.kind {
		case event.StockReserved:
			h.byOrder[s.OrderID] = stock.Holder{OrderID: s.OrderID, Quantity: s.Quantity, Version: s.version}
		case event.StockReleased, event.StockCommitted:
			delete(h.byOrder, s.OrderID)
		}
		h.version = s.version
	}
	return nil
}

// rebuild searches the stream backwards from a version, through at most that many records, until it has found the holders of everything that
// is reserved.
func (h *holders) rebuild(ctx context.Context, version, reserved, most int64) error {
	found, settled := make(map[string]stock.Holder), make(map[string]bool)
	end := version
	for end > max(version-most, 0) && reserved > 0 {
		start := max(end-holderPage, 0)
		records, err := h.log.Read(ctx, h.stream, start, int(end-start))
		if err != nil {
			return err
		}
		for _, r := range slices.Backward(records) {
			s, err := readSlot(r)
			if err != nil {
				return err
			}
			switch s.kind {
			case event.StockReleased, event.StockCommitted:
				settled[s.OrderID] = true
			case event.StockReserved:
				if !settled[s.OrderID] {
					found[s.OrderID] = stock.Holder{OrderID: s.OrderID, Quantity: s.Quantity, Version: s.version}
					reserved -= s.Quantity
				}
			}
		}
		end = start
	}
	h.byOrder, h.version = found, version
	return nil
}

func (h *holders) newestFirst() []stock.Holder {
	list := make([]stock.Holder, 0, len(h.byOrder))
	for _, holder := range h.byOrder {
		list = append(list, holder)
	}
	slices.SortFunc(list, func(a, b stock.Holder) int { return cmp.Compare(b.Version, a.Version) })
	return list
}

// holderCheck is the result of a check of the holders of a SKU, valid after done is closed.
type holderCheck struct {
	done chan struct{}
	// version is the version of the SKU's stream; temporary reports whether one of the holders is temporary.
	version   int64
	temporary bool
	// holders are the holders of the SKU, newest first.
	holders []stock.Holder
	err     error
}

// held returns the stock that an order holds.
func (k *holderCheck) held(orderID string) (stock.Holder, bool) {
	i := slices.IndexFunc(k.holders, func(h stock.Holder) bool { return h.OrderID == orderID })
	if i < 0 {
		return stock.Holder{}, false
	}
	return k.holders[i], true
}

// holderChecker checks the holders of one SKU for all callers: callers that arrive during a check share the next one, so that the cost for a
// sold-out SKU does not depend on the number of callers, and every result is from a check that started after the call.
type holderChecker struct {
	mu            sync.Mutex
	running, next *holderCheck
	// holders belongs to the running check.
	holders holders
}

// checkHolders returns the result of a check that started during the call.
func (l *Ledger) checkHolders(ctx context.Context, sku string) (*holderCheck, error) {
	k := l.checkerOf(sku)
	k.mu.Lock()
	mine := k.next
	if mine == nil {
		mine = &holderCheck{done: make(chan struct{})}
		if k.running == nil {
			if !l.start(func() { l.runChecks(k) }) {
				k.mu.Unlock()
				return nil, fault.New(fault.Unavailable, "the stock ledger is closed")
			}
			k.running = mine
		} else {
			k.next = mine
		}
	}
	k.mu.Unlock()
	select {
	case <-mine.done:
		return mine, mine.err
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "wait for a check of the holders of SKU %s", sku)
	}
}

// checkerOf returns the checker of the SKU.
func (l *Ledger) checkerOf(sku string) *holderChecker {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.checkers.Get(sku)
	if !ok {
		k = &holderChecker{holders: holders{log: l.cfg.Log, stream: event.StockStream(sku)}}
		l.checkers.Add(sku, k)
	}
	return k
}

// start runs f in a goroutine that Close waits for; it returns false if the ledger is closed.
func (l *Ledger) start(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.wg.Go(f)
	}
	return !l.closed
}

// runChecks runs checks while callers wait.
func (l *Ledger) runChecks(k *holderChecker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.running != nil {
		k.mu.Unlock()
		l.runCheck(k)
		k.mu.Lock()
		close(k.running.done)
		k.running, k.next = k.next, nil
	}
}

// runCheck checks the holders, newest first, until one is temporary.
func (l *Ledger) runCheck(k *holderChecker) {
	ctx, cancel := context.WithTimeout(l.ctx, l.cfg.AppendTimeout)
	defer cancel()
	found := k.running
	if found.err = k.holders.update(ctx); found.err != nil {
		return
	}
	found.version = k.holders.version
	list := k.holders.newestFirst()
	found.holders = list
	if len(list) > maxHolders {
		l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "only the newest holders of a SKU are checked",
			slog.String("stream", k.holders.stream), slog.Int("holders", len(list)))
		list = list[:maxHolders]
	}
	for page := range slices.Chunk(list, 2*holdersAtOnce) {
		var temporary atomic.Bool
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(holdersAtOnce)
		for _, holder := range page {
			group.Go(func() error {
				holds, err := l.cfg.Orders.HoldsForNow(ctx, holder.OrderID)
				if holds {
					temporary.Store(true)
				}
				return err
			})
		}
		err := group.Wait()
		if temporary.Load() {
			found.temporary = true
			return
		}
		if found.err = err; err != nil {
			return
		}
	}
}
