// Package eventlog is the contract of the append-only event log: the guarantees of Append, the hash chain of a stream, and its verification.
// Adapters are internal/mongo and, for unit tests, memlog; eventlogtest is the contract suite that each of them must pass.
//
// It may import event and internal/fault; it imports no driver.
//
// # Contract
//
// A stream is a list of records with versions from 1 without gaps. A record is never changed or removed. Every record has a key, which is
// unique in its stream.
//
// Concurrency: a Log is safe for concurrent use, also by several processes.
//
// Order: a record of version n is visible only if 1 … n-1 are.
//
// Durability: when Append returns without an error, the records survive the failover of a minority.
//
// Unknown outcomes: when Append returns Unavailable, any prefix of the entries may have been written, or may be written later. Calling it
// again with the same head and entries reads the result and writes the rest.
package eventlog

import (
	"context"
	"iter"
	"slices"

	"github.com/ordersaga/ordersaga/event"
)

// MaxBatch is the maximum number of entries of one Append. FerretDB 1 splits an ordered insert into batches of 100 documents and continues
// with the next batch after an error.
const MaxBatch = 100

// Log is the append-only event log.
type Log interface {
	Reader

	// Append writes entries after head: all of them or a prefix.
	//
	// It returns the head of the stream after the call, and the tail: every record after the caller's head, oldest first, including
	// records of other writers. Both are valid if the error is nil, Concurrency or KeyTaken.
	//
	// Errors:
	//   - nil: every entry is in the stream. It was written by this call, or the same entry (event.Same) was written after head before.
	//   - KeyTaken (a *TakenError): the key of an entry is held by a different record, or by a record at head or before it, which the
	//     caller should have seen (that record may be the same). Nothing or a prefix was written.
	//   - Concurrency: another writer's record has a version that was meant for an entry. Fold the tail and decide again.
	//   - Corrupt: another record has the version of head.
	//   - Unavailable: the result is unknown; or there is no record with the version of head: then nothing was written, and the error
	//     matches fault.ErrMissing.
	//   - Invalid: no entries or more than MaxBatch; an entry without key, or with the key of another entry; data that some server
	//     would not store unchanged (see data.go); an invalid stream name.
	//   - TooLarge: data over MaxDataBytes.
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// Reader reads streams.
type Reader interface {
	// Read returns the records of stream with versions greater than after, oldest first, at most limit; 0 is no limit. A stream that
	// does not exist is empty. A stream can also look empty for some seconds after a failover: absence proves nothing. A gap is
	// Unavailable and matches fault.ErrMissing. Errors: Unavailable, Corrupt.
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)

	// Head returns the newest record of stream; ok is false if the stream is empty. Errors: Unavailable.
	Head(ctx context.Context, stream string) (record event.Record, ok bool, err error)

	// Find returns the record with key in stream. It may be slow: use it only after KeyTaken, or where latency does not matter.
	// Errors: Unavailable.
	Find(ctx context.Context, stream, key string) (record event.Record, ok bool, err error)

	// FindAll is Find for several keys. It returns the records by key. Errors: Unavailable.
	FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error)
}

// Lister lists streams, for rebuilds and checks.
type Lister interface {
	// Streams yields the names of the streams with this prefix that are greater than after, ordered by bytes. It reads while it is
	// iterated; streams that are started meanwhile may be missing. An error ends the iteration; the last name before it is the
	// position to continue from. Errors: Unavailable.
	Streams(ctx context.Context, prefix, after string) iter.Seq2[string, error]
}

// Walker reads many streams, for checks.
type Walker interface {
	// Walk yields every record of the selected streams: streams ordered by the bytes of their names, the records of a stream by
	// version. It does not verify them: gaps, forks and wrong hashes are returned as stored.
	//
	// A document that is not a record, or whose _id does not match stream and version, is yielded with a Corrupt error and the
	// readable fields, and the walk continues; any other error ends it. It reads while it is iterated: records that are written
	// meanwhile may be missing, even if later ones are not. Errors: Corrupt, Unavailable.
	Walk(ctx context.Context, s Selection) iter.Seq2[event.Record, error]
}

// Selection selects streams. The zero Selection selects all of them.
type Selection struct {
	// From (inclusive) and To (exclusive) bound the names, compared by bytes; an empty To is no bound.
	From, To string
	// Names selects only these streams; From and To are then ignored.
	Names []string
}

// Selects reports whether a stream is selected.
func (s Selection) Selects(name string) bool {
	if len(s.Names) > 0 {
		return slices.Contains(s.Names, name)
	}
	return name >= s.From && (s.To == "" || name < s.To)
}

// TakenError names an entry whose slot is taken, and the record that holds it. It matches fault.KeyTaken.
type TakenError struct {
	// Stream and Key identify the slot.
	Stream, Key string
	// Existing is the record that holds the slot.
	Existing event.Record
}
