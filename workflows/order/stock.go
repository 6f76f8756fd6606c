package order

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Stock is what takes the goods of orders: the stock ledger, or a warehouse. Answers are immutable; see internal/inventory for the algebra of
// their slots. Items are those of the order, each SKU once.
type Stock interface {
	// Acquire reserves what an order needs, and answers for each item: Done, Refused, Undone, Short when other orders hold it for now,
	// or an empty Effect for what was not requested.
	Acquire(ctx context.Context, r ReserveRequest) ([]Reservation, error)
	// Lookup reports the result of the reservation of each item; the Effect is empty when nothing is known of it.
	Lookup(ctx context.Context, orderID string, items []Item) ([]Reservation, error)
	// Release makes it so that the order holds nothing, now and later.
	Release(ctx context.Context, orderID string, items []Item) error
	// Commit makes the reservation final.
	Commit(ctx context.Context, orderID string, items []Item) error
}

// Ledger is a stock ledger, which has a reservation for each SKU of an order. Its errors say which SKU they are about.
type Ledger interface {
	Acquire(ctx context.Context, r ReserveRequest) ([]Reservation, error)
	Lookup(ctx context.Context, orderID, sku string) (Reservation, error)
	Release(ctx context.Context, orderID, sku string) error
	Commit(ctx context.Context, orderID, sku string) error
}

// PerSKU is the stock of a ledger.
func PerSKU(l Ledger) Stock { return perSKU{l} }

type perSKU struct{ ledger Ledger }

// Acquire implements Stock.
func (s perSKU) Acquire(ctx context.Context, r ReserveRequest) ([]Reservation, error) {
	return s.ledger.Acquire(ctx, r)
}

// Lookup implements Stock.
func (s perSKU) Lookup(ctx context.Context, orderID string, items []Item) ([]Reservation, error) {
	answers := make([]Reservation, len(items))
	err := eachItem(ctx, items, func(ctx context.Context, n int, sku string) (err error) {
		answers[n], err = s.ledger.Lookup(ctx, orderID, sku)
		return err
	})
	return answers, err
}

// Release implements Stock.
func (s perSKU) Release(ctx context.Context, orderID string, items []Item) error {
	return eachItem(ctx, items, func(ctx context.Context, _ int, sku string) error {
		return s.ledger.Release(ctx, orderID, sku)
	})
}

// Commit implements Stock.
func (s perSKU) Commit(ctx context.Context, orderID string, items []Item) error {
	return eachItem(ctx, items, func(ctx context.Context, _ int, sku string) error {
		return s.ledger.Commit(ctx, orderID, sku)
	})
}

// itemsAtOnce bounds how many SKUs of one order are worked on at the same time.
const itemsAtOnce = 16

// eachItem works on the SKUs at the same time and returns the first error.
func eachItem(ctx context.Context, items []Item, work func(ctx context.Context, n int, sku string) error) error {
	if len(items) == 1 {
		return work(ctx, 0, items[0].SKU)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(itemsAtOnce)
	for n, item := range items {
		group.Go(func() error { return work(ctx, n, item.SKU) })
	}
	return group.Wait()
}
