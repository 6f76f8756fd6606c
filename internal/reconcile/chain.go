package reconcile

import (
	"context"
	"hash/maphash"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// chain verifies one stream, record by record. It is the visitor of streams that nothing else is known about.
type chain struct {
	look   *look
	stream string
	head   event.Head
	// keys are hashes of the slots that were seen. The seed is the look's own: two slots that have the same hash in
	// one look have not in the second.
	keys map[uint64]struct{}
	// broken tells that records are missing or cannot be read: what the stream adds up to is not known.
	broken bool
}

func (l *look) chain(stream string) *chain {
	return &chain{look: l, stream: stream, keys: make(map[uint64]struct{})}
}

func (c *chain) found(k Kind, version int64, format string, args ...any) {
	c.look.found(k, c.stream, c.stream, version, format, args...)
}

func (c *chain) breaks() {
	c.broken = true
	c.look.breaks(c.stream)
}

func (c *chain) record(r event.Record, damaged error) { c.follows(r, damaged) }

func (c *chain) end(context.Context) error { return nil }

// follows verifies the next record. It reports whether the record belongs to the stream and can be read.
func (c *chain) follows(r event.Record, damaged error) bool {
	if damaged != nil {
		c.found(StreamDocument, r.Version, "%v", damaged)
	}
	if r.Hash == "" && damaged != nil {
		// Nothing of it could be read.
		c.breaks()
		c.head = event.Head{Version: r.Version}
		return false
	}
	switch {
	case r.Version <= c.head.Version:
		c.found(StreamFork, r.Version, "version %d is there twice", r.Version)
		return false
	case r.Version != c.head.Version+1:
		c.found(StreamGap, r.Version, "version %d stands where %d should be", r.Version, c.head.Version+1)
		c.breaks()
	case c.head.Hash != "" || c.head.Version == 0:
		if r.PrevHash != eventlog.PrevHash(c.stream, c.head) {
			c.found(StreamFork, r.Version, "version %d does not follow the record before it", r.Version)
		}
	}
	if hash, err := eventlog.Hash(r); err != nil || hash != r.Hash {
		c.found(StreamHash, r.Version, "version %d (%s) does not have the hash that it claims", r.Version, r.Type)
	}
	c.slot(r)
	c.head = r.HeadOf()
	return true
}

// slot checks that the record's slot is its own.
func (c *chain) slot(r event.Record) {
	if r.Key == "" {
		c.found(StreamKey, r.Version, "version %d has no slot", r.Version)
		return
	}
	key := maphash.String(c.look.seed, r.Key)
	if _, taken := c.keys[key]; taken {
		c.found(StreamKey, r.Version, "slot %q of version %d is taken before", r.Key, r.Version)
	}
	c.keys[key] = struct{}{}
}
