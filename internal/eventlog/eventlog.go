// Package eventlog is the contract of the append-only event log: what Append promises, how streams are
// chained by hashes, and what a verifier checks. Adapters are internal/mongo and memlog, which is for
// unit tests; eventlogtest is the suite that each of them must pass.
//
// It may import event and internal/fault; it imports no driver.
//
// # Contract
//
// A stream is a list of records with versions from 1 without gaps. A record is never changed and never
// removed. Every record takes a key, and a stream holds a key once.
//
// Threads: a Log may be used by any number of goroutines and processes at once.
//
// Order: a record of version n is visible only when 1 … n-1 are.
//
// Durability: when Append returns without an error, the records survive the failover of a minority.
//
// Unknown outcomes: when Append returns Unavailable, any prefix of the entries may have been written, now or
// later. Calling it again with the same head and entries finds out and writes the rest.
package eventlog

import (
	"context"
	"iter"
	"slices"

	"github.com/ordersaga/ordersaga/event"
)

// MaxBatch is the largest number of entries of one Append. FerretDB 1 goes on after an error in the first
// hundred documents of an ordered insert with the next hundred: a batch must not be longer.
const MaxBatch = 100

// Log is the append-only event log.
type Log interface {
	Reader

	// Append writes entries behind head, all of them or a prefix.
	//
	// It returns the stream's head after the call and the tail: every record behind the head that the caller
	// gave, oldest first, whoever wrote it. Both are valid with a nil, Concurrency or KeyTaken error.
	//
	// Errors: nil when every entry stands in the stream, written by this call or, the same (event.Same), by an
	// earlier one behind head. KeyTaken (a *TakenError) when the key of an entry holds something else, or
	// stands at head or before it, where the caller should have seen it; then Standing may still be the same.
	// Nothing or a prefix was written. Concurrency when
	// another writer's record took a version that was meant for an entry: fold the tail and decide again.
	// Corrupt when another record has head's version. Unavailable when the outcome is unknown, or when there is no record of
	// head's version: nothing was written then, and the error matches fault.ErrMissing. Invalid when an
	// entry has no key or one that another entry of the call has, its data is not a JSON object that every
	// server keeps unchanged (see data.go), the stream's name is not fit, or there are none or over MaxBatch.
	// TooLarge when data is over MaxDataBytes.
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// Reader reads streams.
type Reader interface {
	// Read returns the records of stream with versions above after, oldest first, at most limit of them; 0 is
	// no limit. A stream that does not exist is empty, and so is one of which a failover has hidden everything for a moment:
	// that nothing is there proves nothing. A gap is Unavailable and matches fault.ErrMissing. Errors: Unavailable, Corrupt.
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)

	// Head returns the newest record of stream; ok is false when the stream is empty. Errors: Unavailable.
	Head(ctx context.Context, stream string) (record event.Record, ok bool, err error)

	// Find returns the record that holds key in stream. It may be slow: use it after a KeyTaken only, or where
	// nobody waits. Errors: Unavailable.
	Find(ctx context.Context, stream, key string) (record event.Record, ok bool, err error)

	// FindAll is Find for many keys at once. It returns what stands, by key. Errors: Unavailable.
	FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error)
}

// Lister enumerates streams, for rebuilds and checks.
type Lister interface {
	// Streams yields the names of the streams that begin with prefix and come behind after, in the order of
	// their bytes. It reads while it is iterated; streams that are begun meanwhile may be missing. An error ends
	// it, with the last name that came before it as the place to go on from. Errors: Unavailable.
	Streams(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

// Walker reads many streams in one go, for checks.
type Walker interface {
	// Walk yields every record of the selected streams: streams in the order of the bytes of their names, the records
	// of a stream by version. It takes what is stored as it is: gaps, forks and wrong hashes are for the reader to see.
	//
	// A document that is no record, or not where its stream and version say, comes with a Corrupt error and as much of
	// the record as could be read, and the walk goes on; any other error ends it. It reads while it is iterated: what
	// is written meanwhile may be missing, a record also when one behind it is not. Errors: Corrupt, Unavailable.
	Walk(ctx context.Context, s Selection) iter.Seq2[event.Record, error]
}

// Selection selects streams. The zero Selection selects all of them.
type Selection struct {
	// From (inclusive) and To (exclusive) bound the names by their bytes; an empty To is no bound.
	From, To string
	// Names selects the streams of these names alone, whatever From and To say.
	Names []string
}

// Selects reports whether a stream of that name is selected.
func (s Selection) Selects(name string) bool {
	if len(s.Names) > 0 {
		return slices.Contains(s.Names, name)
	}
	return name >= s.From && (s.To == "" || name < s.To)
}

// TakenError says which entry found its slot taken, and by what. It matches fault.KeyTaken.
type TakenError struct {
	// Stream and Key name the slot.
	Stream, Key string
	// Standing is the record that holds the slot.
	Standing event.Record
}
