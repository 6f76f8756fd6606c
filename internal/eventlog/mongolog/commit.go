package mongolog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// commits shares round trips: inserts that come while others are under way wait, and go together as soon as one of
// those is done. Nobody waits when nothing is under way, and nothing is delayed in the hope for company.
//
// Each caller gets its own result. A duplicate fails the insert that has it and no other; what leaves everybody's
// outcome unknown is told to everybody, and each settles it for itself.
type commits struct {
	// write inserts documents in one round trip.
	write func(ctx context.Context, docs []document, ordered bool) error
	// timeout bounds a round trip.
	timeout time.Duration
	// lanes is how many round trips are under way at once.
	lanes int
	// places bounds what waits and is under way: whoever finds none waits for one.
	places chan struct{}

	mu    sync.Mutex
	queue []*commit
	busy  int
}

// maxCommits bounds the inserts that a log has in hand.
const maxCommits = 10_000

// commit is one caller's insert. Its documents are consecutive versions of one stream.
type commit struct {
	docs []document
	ctx  context.Context
	// done has room for the result: nobody waits for a caller who left.
	done chan error
}

func newCommits(lanes int, timeout time.Duration, write func(context.Context, []document, bool) error) *commits {
	return &commits{write: write, timeout: timeout, lanes: lanes, places: make(chan struct{}, maxCommits)}
}

// insert inserts documents, perhaps together with those of others. An error says what is known of these documents
// alone; the context's error says nothing about them.
func (c *commits) insert(ctx context.Context, docs []document) error {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	one := &commit{docs: docs, ctx: ctx, done: make(chan error, 1)}
	c.add(one)
	select {
	case err := <-one.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add queues a commit, and opens a lane for it where one is free.
func (c *commits) add(one *commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, one)
	if c.busy < c.lanes {
		c.busy++
		go c.lane()
	}
}

// lane writes what waits, until nothing does.
func (c *commits) lane() {
	for {
		members := c.take()
		if len(members) == 0 {
			return
		}
		for len(members) > 0 {
			members = c.together(members)
		}
	}
}

// take takes what goes in one round trip, whole commits only. When there is nothing, the lane is closed on return.
func (c *commits) take() []*commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	var members []*commit
	for docs := 0; len(c.queue) > 0; {
		one := c.queue[0]
		if one.ctx.Err() == nil {
			if docs += len(one.docs); docs > eventlog.MaxBatch && len(members) > 0 {
				return members
			}
			members = append(members, one)
		} // else its caller has left, and nothing of it was sent
		c.queue[0] = nil
		c.queue = c.queue[1:]
	}
	if len(members) == 0 {
		c.busy--
	}
	return members
}

// together makes one round trip, and returns the members of which is known that nothing was tried.
func (c *commits) together(members []*commit) []*commit {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	defer cancelWhenAllLeft(members, cancel)()
	var docs []document
	for _, m := range members {
		docs = append(docs, m.docs...)
	}
	ordered := !apart(members)
	return tell(members, ordered, c.write(ctx, docs, ordered))
}

// cancelWhenAllLeft breaks a round trip off when its last caller has left. The returned function ends the watch.
func cancelWhenAllLeft(members []*commit, cancel context.CancelFunc) (stop func()) {
	var staying atomic.Int64
	staying.Store(int64(len(members)))
	stops := make([]func() bool, len(members))
	for i, m := range members {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if staying.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// apart reports whether each member has one document, and each a stream of its own: then their order means nothing, and
// a sharded cluster may write them at once.
func apart(members []*commit) bool {
	streams := make(map[string]bool, len(members))
	for _, m := range members {
		if len(m.docs) > 1 || streams[m.docs[0].Stream] {
			return false
		}
		streams[m.docs[0].Stream] = true
	}
	return true
}

// tell gives every member its result, and returns those that were not tried.
func tell(members []*commit, ordered bool, err error) []*commit {
	failed, known := duplicates(err)
	if !known || len(members) == 1 {
		for _, m := range members {
			m.done <- err
		}
		return nil
	}
	at := 0
	for i, m := range members {
		hit := slices.ContainsFunc(failed, func(index int) bool { return index >= at && index < at+len(m.docs) })
		at += len(m.docs)
		if !hit {
			m.done <- nil
			continue
		}
		m.done <- err
		if ordered {
			return members[i+1:]
		}
	}
	return nil
}

// duplicates returns the indexes of the documents that met a duplicate. Known is false when the error leaves open what
// became of the others.
func duplicates(err error) (failed []int, known bool) {
	if err == nil {
		return nil, true
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil || len(bulk.WriteErrors) == 0 {
		return nil, false
	}
	for _, e := range bulk.WriteErrors {
		if !mongo.IsDuplicateKeyError(e.WriteError) {
			return nil, false
		}
		failed = append(failed, e.Index)
	}
	return failed, true
}
