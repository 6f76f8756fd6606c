package deadletter

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Store keeps letters. internal/mongo and Memory have it; deadlettertest is the suite that each of them must pass.
type Store interface {
	// Insert keeps a letter, body and all, and reports whether it was new. A letter that is there stays as it is. When it
	// returns without an error, the letter survives the failover of a minority. Errors: Unavailable, then it may be called
	// again.
	Insert(ctx context.Context, l Letter) (inserted bool, err error)
	// Get returns a letter; ok is false when there is none. Errors: Unavailable.
	Get(ctx context.Context, id string) (l Letter, ok bool, err error)
	// List returns a page of the letters that match, those that failed last first, without bodies, and where to go on:
	// empty after the last page. Errors: Invalid, Unavailable.
	List(ctx context.Context, f Filter) (items []Letter, next string, err error)
	// Mark updates a letter's status, for lists. An older version never replaces a newer one. Errors: Unavailable.
	Mark(ctx context.Context, id string, status Status, version int64) error
	// Keep keeps a payload that is sent instead of the letter's own, by its hash. Errors: Unavailable.
	Keep(ctx context.Context, id string, body []byte) error
	// Kept returns what Keep kept. Errors: Unavailable, which matches fault.ErrMissing for what was not kept.
	Kept(ctx context.Context, id, hash string) ([]byte, error)
}

// Log is the part of the event log that is needed here.
type Log interface {
	// Heads returns the newest record of each stream that is not empty, by the stream's name.
	Heads(ctx context.Context, streams []string) (map[string]event.Record, error)
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// Inbox is the way back.
type Inbox interface {
	// Ready waits until messages can be sent, or for ctx. Errors: Unavailable.
	Ready(ctx context.Context) error
	// Replay puts a message into its queue and returns when the broker has it there. It carries the id of its letter, and
	// which replay of the message this is. Errors: Unavailable when it may have arrived or not; Invalid.
	Replay(ctx context.Context, m wire.Message, queue, letterID string, replays int) error
}

// Filter selects letters. The zero Filter selects all of them.
type Filter struct {
	// Reasons, Types and Statuses select letters that have one of them; empty means any.
	Reasons  []fault.Code
	Types    []string
	Statuses []Status
	// From (inclusive) and To (exclusive) select by when the letter failed; the zero time is no bound.
	From, To time.Time
	// Limit is the size of a page, 1 to cursor.MaxLimit; 0 means cursor.DefaultLimit.
	Limit int
	// Cursor is where the page begins: what the page before it said. Empty for the first page.
	Cursor string
}

// Validate names every field that is wrong; the pointers are the names of the query's parameters. The error is Invalid.
func (f Filter) Validate() error {
	var fields []fault.Field
	for _, s := range f.Statuses {
		if !slices.Contains(Statuses, s) {
			fields = append(fields, fault.Fieldf("/status", "%q is not a status", s))
		}
	}
	return fault.NewInvalid("list of dead letters", append(fields, cursor.DeadLetters.Check(f.Cursor, f.Limit)...))
}
