package reconcile

import (
	"iter"

	"github.com/ordersaga/ordersaga/event"
)

// ahead is a sequence that is read in parts: the next item can be looked at before it is taken.
type ahead[T any] struct {
	next func() (T, error, bool)
	stop func()
	held *item[T]
}

type item[T any] struct {
	value T
	err   error
}

func newAhead[T any](items iter.Seq2[T, error]) *ahead[T] {
	a := &ahead[T]{}
	a.next, a.stop = iter.Pull2(items)
	return a
}

// peek returns what comes next, until take; nil at the end.
func (a *ahead[T]) peek() *item[T] {
	if a.held == nil {
		if value, err, more := a.next(); more {
			a.held = &item[T]{value, err}
		}
	}
	return a.held
}

func (a *ahead[T]) take() { a.held = nil }

// tape is a walk that is read in parts. On a server that scans, each walk more costs as much as all the others.
type tape struct{ *ahead[event.Record] }

// upTo yields the records of the streams before a name that have not been read yet; all of them if it is empty.
func (t tape) upTo(name string) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for at := t.peek(); at != nil; at = t.peek() {
			if at.value.Stream >= name && name != "" {
				return
			}
			t.take()
			if !yield(at.value, at.err) {
				return
			}
		}
	}
}

// named is something that belongs to the order of an id.
type named[T any] struct {
	id   string
	item T
}

// row has what belongs to orders, in the order of the bytes of their ids, and is read beside them: what it passes over belongs to no
// order.
type row[T any] struct {
	*ahead[named[T]]
	stray func(id string, item T)
}

// of returns what belongs to an order. Orders are asked for in the order of their ids.
func (r row[T]) of(orderID string) (none T, found bool, err error) {
	for at := r.peek(); at != nil; at = r.peek() {
		if at.err != nil || at.value.id > orderID {
			return none, false, at.err
		}
		r.take()
		if at.value.id == orderID {
			return at.value.item, true, nil
		}
		r.stray(at.value.id, at.value.item)
	}
	return none, false, nil
}

// rest passes over everything that is left.
func (r row[T]) rest() error {
	for at := r.peek(); at != nil; at = r.peek() {
		if at.err != nil {
			return at.err
		}
		r.take()
		r.stray(at.value.id, at.value.item)
	}
	return nil
}
