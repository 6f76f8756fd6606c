package eventlog

import (
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Settlement is what an adapter learns from the tail after an insert met a duplicate, or an unknown outcome.
type Settlement struct {
	// Head is the head of the stream.
	Head event.Head
	// Remaining are the entries that still have to be written behind Head.
	Remaining []event.Entry
}

// Settle compares the entries of an append with the tail that was found behind the caller's head, and says
// how to go on. It is the heart of Append, the same for every adapter:
//
//   - the tail is a prefix of the entries, each the same: the remaining ones are written behind it (half a batch
//     is a valid state);
//   - an entry's key stands in the tail with something else: KeyTaken;
//   - every entry stands in the tail, among records of others: done;
//   - else another writer was faster: Concurrency.
func Settle(stream string, head event.Head, tail []event.Record, entries []event.Entry) (Settlement, error) {
	byKey := make(map[string]event.Record, len(tail))
	newest := head
	for _, r := range tail {
		byKey[r.Key] = r
		newest = r.HeadOf()
	}
	var remaining []event.Entry
	for _, e := range entries {
		standing, found := byKey[e.Key]
		switch {
		case !found:
			remaining = append(remaining, e)
		case !event.Same(standing.Entry, e):
			return Settlement{Head: newest}, &TakenError{Stream: stream, Key: e.Key, Standing: standing}
		}
	}
	s := Settlement{Head: newest, Remaining: remaining}
	if len(remaining) == 0 {
		return s, nil
	}
	if !isPrefix(tail, entries) {
		return s, fault.New(fault.Concurrency, "stream %s went on to version %d", stream, newest.Version)
	}
	return s, nil
}

// isPrefix reports whether the tail consists of the first entries, in their order.
func isPrefix(tail []event.Record, entries []event.Entry) bool {
	if len(tail) > len(entries) {
		return false
	}
	for i, r := range tail {
		if r.Key != entries[i].Key {
			return false
		}
	}
	return true
}
