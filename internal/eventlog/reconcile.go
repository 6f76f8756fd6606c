package eventlog

import (
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Reconciled is the state of an append after its tail was read.
type Reconciled struct {
	// Head is the head of the stream.
	Head event.Head
	// Remaining are the entries that must still be written after Head.
	Remaining []event.Entry
}

// Reconcile compares the entries of an append with the tail, the records after the caller's head. Adapters call it after an insert met a
// duplicate key or had an unknown result:
//
//   - The tail is a prefix of the entries, each the same: the remaining ones must be written after it (a partial batch is a valid state).
//   - The tail has the key of an entry with a different record: KeyTaken.
//   - The tail has every entry, possibly among other records: nothing remains.
//   - Otherwise another writer was first: Concurrency.
func Reconcile(stream string, head event.Head, tail []event.Record, entries []event.Entry) (Reconciled, error) {
	byKey := make(map[string]event.Record, len(tail))
	newest := head
	for _, r := range tail {
		byKey[r.Key] = r
		newest = r.HeadOf()
	}
	var remaining []event.Entry
	for _, e := range entries {
		existing, found := byKey[e.Key]
		switch {
		case !found:
			remaining = append(remaining, e)
		case !event.Same(existing.Entry, e):
			return Reconciled{Head: newest}, &TakenError{Stream: stream, Key: e.Key, Existing: existing}
		}
	}
	s := Reconciled{Head: newest, Remaining: remaining}
	if len(remaining) == 0 {
		return s, nil
	}
	if !isPrefix(tail, entries) {
		return s, fault.New(fault.Concurrency, "stream %s has newer records, up to version %d", stream, newest.Version)
	}
	return s, nil
}

// isPrefix reports whether the keys of the tail are those of the first entries, in order.
func isPrefix(tail []event.Record, entries []event.Entry) bool {
	return len(tail) <= len(entries) && slices.EqualFunc(tail, entries[:len(tail)], func(r event.Record, e event.Entry) bool { return r.Key == e.Key })
}
