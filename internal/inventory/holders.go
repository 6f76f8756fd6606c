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
	"github.com/ordersaga/ordersaga/workflows/order"
)

const (
	// maxHolders bounds how many orders one look reads, newest first: temporary holders are young.
	maxHolders = 1000
	// holdersAtOnce is how many orders are read at the same time.
	holdersAtOnce = 8
	// holderPage and maxHolderPages bound how far back in a SKU's stream holders are searched.
	holderPage, maxHolderPages = 500, 20
	// holderCache is how many SKUs' holders are remembered.
	holderCache = 64
)

// Orders says what the orders that hold stock are about to do.
type Orders interface {
	// HoldsForNow reports whether the order may soon give back the stock that it holds; see order.State.HoldsForNow. It
	// is false for an order that does not exist. Errors: Unavailable.
	HoldsForNow(ctx context.Context, orderID string) (bool, error)
}

// logOrders reads the orders' streams.
type logOrders struct{ log eventlog.Reader }

// HoldsForNow implements Orders. A stream that was damaged says nothing about the future; one that is newer than this code
// may say anything.
func (o logOrders) HoldsForNow(ctx context.Context, orderID string) (bool, error) {
	records, err := o.log.Read(ctx, event.OrderStream(orderID), 0, 0)
	if err == nil && len(records) == 0 {
		// A holder that is not waited for costs a sale, and a read after a failover may miss what is there.
		records, err = eventlog.ReadCertain(ctx, o.log, event.OrderStream(orderID), 0, 0)
	}
	switch {
	case errors.Is(err, fault.Corrupt):
		return false, nil
	case err != nil || len(records) == 0:
		return false, err
	}
	s, err := order.Fold(records)
	if err != nil {
		return errors.Is(err, fault.Unavailable), nil
	}
	return s.HoldsForNow(), nil
}

// Shortfall returns how many more of the SKU are reserved than are on hand, and the orders that hold them, newest first; none
// without a shortfall. Errors: NotFound when nothing was ever
// received or counted, Invalid, Unavailable, Corrupt.
func (l *Ledger) Shortfall(ctx context.Context, sku string) (int64, []order.Holder, error) {
	balance, err := l.Balance(ctx, sku)
	if err != nil || balance.Shortfall == 0 {
		return 0, nil, err
	}
	h := holders{log: l.cfg.Log, stream: event.StockStream(sku)}
	if err := h.rebuild(ctx, balance.Version, balance.Reserved, balance.Version); err != nil {
		return 0, nil, fault.Wrap(err, fault.CodeOf(err), "holders of sku %s", sku)
	}
	return balance.Shortfall, h.newestFirst(), nil
}

// holders are the orders that hold stock of one SKU, as of a version of its stream.
type holders struct {
	log     eventlog.Reader
	stream  string
	version int64
	byOrder map[string]order.Holder
}

// update takes in what was written since the last time.
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
			h.byOrder[s.OrderID] = order.Holder{OrderID: s.OrderID, Quantity: s.Quantity, Version: s.version}
		case event.StockReleased, event.StockCommitted:
			delete(h.byOrder, s.OrderID)
		}
		h.version = s.version
	}
	return nil
}

// rebuild searches the stream backwards from a version until everything that is reserved there has its holder, through at most
// so many records.
func (h *holders) rebuild(ctx context.Context, version, reserved, most int64) error {
	found, settled := make(map[string]order.Holder), make(map[string]bool)
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
					found[s.OrderID] = order.Holder{OrderID: s.OrderID, Quantity: s.Quantity, Version: s.version}
					reserved -= s.Quantity
				}
			}
		}
		end = start
	}
	h.byOrder, h.version = found, version
	return nil
}

func (h *holders) newestFirst() []order.Holder {
	list := make([]order.Holder, 0, len(h.byOrder))
	for _, holder := range h.byOrder {
		list = append(list, holder)
	}
	slices.SortFunc(list, func(a, b order.Holder) int { return cmp.Compare(b.Version, a.Version) })
	return list
}

// look is what was found about the holders of a SKU, once done is closed.
type look struct {
	done chan struct{}
	// version is that of the SKU's stream; temporary reports whether one of the holders there holds for now.
	version   int64
	temporary bool
	// holders are the orders that hold the SKU, newest first.
	holders []order.Holder
	err     error
}

// held returns what an order holds.
func (k *look) held(orderID string) (order.Holder, bool) {
	i := slices.IndexFunc(k.holders, func(h order.Holder) bool { return h.OrderID == orderID })
	if i < 0 {
		return order.Holder{}, false
	}
	return k.holders[i], true
}

// looker looks at the holders of one SKU, for all callers: those that come while a look is under way share the next
// one, so that a sold-out SKU costs the same however many orders want it, and every answer is newer than its question.
type looker struct {
	mu            sync.Mutex
	running, next *look
	// holders belongs to the look that is under way.
	holders holders
}

// lookAtHolders returns what a look says that began during the call.
func (l *Ledger) lookAtHolders(ctx context.Context, sku string) (*look, error) {
	k := l.lookerOf(sku)
	k.mu.Lock()
	mine := k.next
	if mine == nil {
		mine = &look{done: make(chan struct{})}
		if k.running == nil {
			if !l.start(func() { l.lookOn(k) }) {
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
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "wait for a look at the holders of sku %s", sku)
	}
}

// lookerOf returns the SKU's looker.
func (l *Ledger) lookerOf(sku string) *looker {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.lookers.Get(sku)
	if !ok {
		k = &looker{holders: holders{log: l.cfg.Log, stream: event.StockStream(sku)}}
		l.lookers.Add(sku, k)
	}
	return k
}

// start runs f until the ledger is closed; it returns false when it is closed already.
func (l *Ledger) start(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.wg.Go(f)
	}
	return !l.closed
}

// lookOn looks as long as callers wait.
func (l *Ledger) lookOn(k *looker) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.running != nil {
		k.mu.Unlock()
		l.look(k)
		k.mu.Lock()
		close(k.running.done)
		k.running, k.next = k.next, nil
	}
}

// look asks about the holders, newest first, until one holds for now.
func (l *Ledger) look(k *looker) {
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
		l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "only the newest holders of a sku are looked at",
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
