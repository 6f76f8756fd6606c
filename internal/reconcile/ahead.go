package reconcile

import (
	"iter"

	"github.com/ordersaga/ordersaga/event"
)

// ahead is a sequence that is read in parts: the next item can be looked at before it is taken.
type ahead[T any] struct {
	next func() (T, error, bool)
	stop func()
	// name is what the items are ordered by.
	name func(T) string
	held *item[T]
}

type item[T any] struct {
	value T
	err   error
}

func newAhead[T any](items iter.Seq2[T, error], name func(T) string) *ahead[T] {
	a := &ahead[T]{name: name}
	a.next, a.stop = iter.Pull2(items)
	return a
}

// peek returns what comes next, until held is cleared; nil at the end.
func (a *ahead[T]) peek() *item[T] {
	if a.held == nil {
		if value, err, more := a.next(); more {
			a.held = &item[T]{value, err}
		}
	}
	return a.held
}

// upTo yields the items before a name that have not been read yet; all of them if it is empty.
func (a *ahead[T]) upTo(name string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at := a.peek(); at != nil && (name == "" || a.name(at.value) < name); at = a.peek() {
			a.held = nil
			if !yield(at.value, at.err) {
				return
			}
		}
	}
}

// named is something that belongs to the order of an ID.
type named[T any] struct {
	id   string
	item T
}

// row has what belongs to orders, in the order of the bytes of their escaped IDs as the log and the list have it, and is read beside them: what it passes over belongs to no
// order.
type row[T any] struct {
	*ahead[named[T]]
	unmatched func(id string, item T)
}

func newRow[T any](items iter.Seq2[named[T], error], unmatched func(id string, item T)) row[T] {
	return row[T]{newAhead(items, func(n named[T]) string { return event.Escape(n.id) }), unmatched}
}

// of returns what belongs to an order. Orders are asked for in the order of their ids.
func (r row[T]) of(orderID string) (none T, found bool, err error) {
	if err := r.passTo(orderID); err != nil {
		return none, false, err
	}
	if at := r.peek(); at != nil && at.value.id == orderID {
		r.held = nil
		return at.value.item, true, at.err
	}
	return none, false, nil
}

// passTo passes over what comes before an order; over everything that is left if it is empty.
func (r row[T]) passTo(orderID string) error {
	for n, err := range r.upTo(event.Escape(orderID)) {
		if err != nil {
			return err
		}
		r.unmatched(n.id, n.item)
	}
	return nil
}
