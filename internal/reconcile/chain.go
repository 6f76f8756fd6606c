package reconcile

import (
	"context"
	"hash/maphash"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// chain verifies one stream, record by record.
type chain struct {
	*look
	// stream is its name, and id what the stream is about: an order, a SKU; for streams of no known kind, the name again.
	stream, id string
	head       event.Head
	// keys are hashes of the slots that were seen. The seed is the look's own: two slots that have the same hash in
	// one look have not in the second.
	keys map[uint64]struct{}
	// broken reports that records are missing or cannot be read: what the stream adds up to is not known.
	broken bool
	// take gets each record that belongs to the stream and can be read; done is called after the last one.
	take func(r event.Record)
	done func(ctx context.Context) error
}

func (l *look) chain(stream, id string) *chain {
	return &chain{
		look: l, stream: stream, id: id, keys: make(map[uint64]struct{}),
		take: func(event.Record) {}, done: func(context.Context) error { return nil },
	}
}

// found is a finding about what the stream is about.
func (c *chain) found(k Kind, version int64, format string, args ...any) {
	c.look.found(k, c.id, c.stream, version, format, args...)
}

func (c *chain) damage(k Kind, version int64, format string, args ...any) {
	c.look.found(k, c.stream, c.stream, version, format, args...)
}

// needs says that a finding is none if parts of another stream are missing.
func (c *chain) needs(k Kind, version int64, other string) {
	c.look.need(k, c.stream, version, other)
}

func (c *chain) breaks() {
	c.broken = true
	c.look.breaks(c.stream)
}

// record verifies the next record, as it is stored; damaged says what is wrong with its document.
func (c *chain) record(r event.Record, damaged error) {
	if damaged != nil {
		c.damage(StreamDocument, r.Version, "%v", damaged)
	}
	if r.Hash == "" && damaged != nil {
		// Nothing of it could be read.
		c.breaks()
		c.head = event.Head{Version: r.Version}
		return
	}
	switch {
	case r.Version <= c.head.Version:
		c.damage(StreamFork, r.Version, "version %d exists twice", r.Version)
		return
	case r.Version != c.head.Version+1:
		c.damage(StreamGap, r.Version, "version %d is stored where version %d is expected", r.Version, c.head.Version+1)
		c.breaks()
	case c.head.Hash != "" || c.head.Version == 0:
		if r.PrevHash != eventlog.PrevHash(c.stream, c.head) {
			c.damage(StreamFork, r.Version, "version %d does not follow the record before it", r.Version)
		}
	}
	if hash, err := eventlog.Hash(r); err != nil || hash != r.Hash {
		c.damage(StreamHash, r.Version, "the hash of version %d (%s) is wrong", r.Version, r.Type)
	}
	c.slot(r)
	c.head = r.HeadOf()
	c.take(r)
}

// slot checks that the record's slot is its own.
func (c *chain) slot(r event.Record) {
	if r.Key == "" {
		c.damage(StreamKey, r.Version, "version %d has no slot", r.Version)
		return
	}
	key := maphash.String(c.seed, r.Key)
	if _, taken := c.keys[key]; taken {
		c.damage(StreamKey, r.Version, "slot %q of version %d is already taken", r.Key, r.Version)
	}
	c.keys[key] = struct{}{}
}

// folds folds the stream into a state, and passes the state to check, unless the stream is damaged or does not fold.
func folds[S any](c *chain, state S, fold func(S, []event.Record) (S, error), check func(ctx context.Context, s S) error) {
	unreadable := false
	c.take = func(r event.Record) {
		if c.broken || unreadable {
			return
		}
		var err error
		if state, err = fold(state, []event.Record{r}); err != nil {
			unreadable = true
			c.damage(StreamFold, r.Version, "%v", err)
		}
	}
	c.done = func(ctx context.Context) error {
		if c.broken || unreadable {
			return nil
		}
		c.work.Go(func() error { return check(ctx, state) })
		return ctx.Err()
	}
}
