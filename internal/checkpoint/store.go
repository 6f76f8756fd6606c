package checkpoint

import (
	"context"
	"iter"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// Log is the event log.
type Log interface {
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
	Head(ctx context.Context, stream string) (record event.Record, ok bool, err error)
}

// Events reads stored records.
type Events interface {
	// HeadsSince returns the newest record of each stream among those that were recorded at a time or later; the zero time is all. Records that are
	// written meanwhile may be missing. Errors: Unavailable.
	HeadsSince(ctx context.Context, since time.Time) ([]audit.Leaf, error)
	// Stored yields the records of the selected streams as they are stored, streams ordered by bytes, records by version. Errors: Unavailable.
	Stored(ctx context.Context, s eventlog.Selection) iter.Seq2[audit.Stored, error]
	// Now returns the server's time. Errors: Unavailable.
	Now(ctx context.Context) (time.Time, error)
	// Scans reports whether a selection of some streams costs as much as all of them.
	Scans() bool
}

// Store keeps leaves, and what follows from them. Errors: Unavailable.
type Store interface {
	// SaveLeaves stores the leaves of checkpoint n with a root. It may be repeated.
	SaveLeaves(ctx context.Context, n int64, root string, leaves []audit.Leaf) error
	// Leaves returns count leaves of checkpoint n; fewer, up to the first missing one, if some are lost.
	Leaves(ctx context.Context, n int64, root string, count int64) ([]audit.Leaf, error)
	// DropLeaves removes the leaves of checkpoints with another root than that of roots, by number. It keeps all leaves of a checkpoint that has none
	// with that root.
	DropLeaves(ctx context.Context, roots map[int64]string) error

	// SaveTiles stores tiles by path, and Tiles returns those that exist.
	SaveTiles(ctx context.Context, tiles map[string][]byte) error
	Tiles(ctx context.Context, paths []string) (map[string][]byte, error)

	// Cover remembers the newest leaf of streams; an older one never replaces a newer one.
	Cover(ctx context.Context, covered []Covered) error
	// Covered returns the newest leaves of streams, by stream.
	Covered(ctx context.Context, streams []string) (map[string]Covered, error)

	// Time returns the time that SetTime has stored last under a name.
	Time(ctx context.Context, name string) (time.Time, error)
	SetTime(ctx context.Context, name string, at time.Time) error
	// Number returns the greatest number that SetNumber has stored under a name.
	Number(ctx context.Context, name string) (int64, error)
	SetNumber(ctx context.Context, name string, n int64) error
}

// Names of times and numbers in a Store.
const (
	// stateSwept is when a process has read all streams last, and stateSearched the server's time at the search for the last checkpoint.
	stateSwept    = "swept"
	stateSearched = "searched"
	// stateStored is the last checkpoint that is signed, with tiles, heads and the file of its note. statePublished is the last one that is published, too.
	stateStored    = "stored"
	statePublished = "finished"
)

// Covered is the newest leaf of a stream.
type Covered struct {
	Stream  string
	Version int64
	// Index is the index of the leaf in the tree.
	Index int64
}
