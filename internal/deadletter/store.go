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

// Store stores letters. Implementations are internal/mongo and deadlettertest.Memory; deadlettertest is the contract suite.
type Store interface {
	// Insert stores a letter with its body, and reports whether it was new. An existing letter is not changed. When it returns without
	// an error, the letter survives the failover of a minority. Errors: Unavailable; it may be repeated.
	Insert(ctx context.Context, l Letter) (inserted bool, err error)
	// Get returns a letter; ok is false if it does not exist. Errors: Unavailable.
	Get(ctx context.Context, id string) (l Letter, ok bool, err error)
	// List returns a page of the matching letters, last failed first, without bodies, and the cursor of the next page, empty after the
	// last one. Of their messages, exchange and routing key are certain. Errors: Invalid, Unavailable.
	List(ctx context.Context, f Filter) (items []Letter, next string, err error)
	// Mark updates a letter's status, for lists. An older version never replaces a newer one. Errors: Unavailable.
	Mark(ctx context.Context, id string, status Status, version int64) error
	// SaveBody stores a replacement body of a letter, by its hash. Errors: Unavailable.
	SaveBody(ctx context.Context, id string, body []byte) error
	// LoadBody returns a replacement body. Errors: Unavailable, which matches fault.ErrMissing if it was not saved.
	LoadBody(ctx context.Context, id, hash string) ([]byte, error)
	// Delete deletes a letter with all its bodies. A letter that does not exist is no error. Errors: Unavailable; it may be repeated.
	Delete(ctx context.Context, id string) error
}

// Log is the part of the event log that this package needs.
type Log interface {
	// Heads returns the newest record of each non-empty stream, by stream name.
	Heads(ctx context.Context, streams []string) (map[string]event.Record, error)
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// Inbox sends replays.
type Inbox interface {
	// Ready waits until messages can be sent or ctx ends. Errors: Unavailable.
	Ready(ctx context.Context) error
	// Replay sends a message to its queue and returns when it is confirmed. It includes the ID of its letter and the number of the
	// replay. Errors: Unavailable: it may have arrived; Invalid.
	Replay(ctx context.Context, m wire.Message, queue, letterID string, replays int) error
}

// Filter selects letters. The zero Filter selects all of them.
type Filter struct {
	// Reasons, Types and Statuses select letters that have one of them; empty means any.
	Reasons  []fault.Code
	Types    []string
	Statuses []Status
	// From (inclusive) and To (exclusive) bound the time when the letter failed; the zero time is no bound.
	From, To time.Time
	// Limit is the size of a page, 1 to cursor.MaxLimit; 0 means cursor.DefaultLimit.
	Limit int
	// Cursor is the cursor of the page, from the previous page; empty for the first page.
	Cursor string
}

// Validate reports all invalid fields, with pointers that are the names of query parameters. The error is Invalid.
func (f Filter) Validate() error {
	var fields []fault.Field
	for _, s := range f.Statuses {
		if !slices.Contains(Statuses, s) {
			fields = append(fields, fault.Fieldf("/status", "%q is not a status", s))
		}
	}
	return fault.NewInvalid("list of dead letters", append(fields, cursor.DeadLetters.Check(f.Cursor, f.Limit)...))
}
