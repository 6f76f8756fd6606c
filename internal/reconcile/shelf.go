package reconcile

import (
	"iter"
)

// shelf hands out what belongs to an order. Orders are asked for in the order of the bytes of their ids.
type shelf[T any] interface {
	take(orderID string) (T, bool, error)
	// rest tells what nobody asked for.
	rest() error
	close()
}

// named is something that belongs to the order of an id.
type named[T any] struct {
	id   string
	item T
}

// row is a shelf that is walked beside the orders: what it passes over belongs to no order.
type row[T any] struct {
	next  func() (named[T], error, bool)
	stop  func()
	stray func(id string, item T)
	// at is what comes next, when more is true.
	at    named[T]
	more  bool
	begun bool
}

func newRow[T any](items iter.Seq2[named[T], error], stray func(id string, item T)) *row[T] {
	r := &row[T]{stray: stray}
	r.next, r.stop = iter.Pull2(items)
	return r
}

func (r *row[T]) step() (err error) {
	r.begun = true
	r.at, err, r.more = r.next()
	return err
}

func (r *row[T]) take(orderID string) (none T, found bool, err error) {
	if !r.begun {
		if err := r.step(); err != nil {
			return none, false, err
		}
	}
	for r.more && r.at.id < orderID {
		r.stray(r.at.id, r.at.item)
		if err := r.step(); err != nil {
			return none, false, err
		}
	}
	if !r.more || r.at.id != orderID {
		return none, false, nil
	}
	item := r.at.item
	return item, true, r.step()
}

func (r *row[T]) rest() error {
	if !r.begun {
		if err := r.step(); err != nil {
			return err
		}
	}
	for r.more {
		r.stray(r.at.id, r.at.item)
		if err := r.step(); err != nil {
			return err
		}
	}
	return nil
}

func (r *row[T]) close() { r.stop() }

// byName is a shelf of a few items.
type byName[T any] struct {
	items map[string]T
	stray func(id string, item T)
}

func (b byName[T]) take(orderID string) (T, bool, error) {
	item, found := b.items[orderID]
	delete(b.items, orderID)
	return item, found, nil
}

func (b byName[T]) rest() error {
	for id, item := range b.items {
		b.stray(id, item)
	}
	return nil
}

func (byName[T]) close() {}
