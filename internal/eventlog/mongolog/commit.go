package mongolog

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// commits are inserts that share round trips. A duplicate fails the insert that has it and no other; what leaves
// everybody's outcome unknown is told to everybody, and each settles it for itself.
type commits struct {
	// write inserts documents in one round trip.
	write func(ctx context.Context, docs []document, ordered bool) error
	group *groupcommit.Group[[]document]
}

func newCommits(lanes int, overtake, timeout time.Duration, write func(context.Context, []document, bool) error) (*commits, error) {
	c := &commits{write: write}
	var err error
	c.group, err = groupcommit.New(groupcommit.Config[[]document]{
		Write: c.together, Timeout: timeout, Lanes: lanes, Overtake: overtake,
		Most: eventlog.MaxBatch, Weight: func(docs []document) int { return len(docs) },
	})
	return c, err
}

// insert inserts documents, which are consecutive versions of one stream, perhaps together with those of others. An error
// says what is known of these documents alone; the context's error says nothing about them.
func (c *commits) insert(ctx context.Context, docs []document) error { return c.group.Do(ctx, docs) }

// together makes one round trip.
func (c *commits) together(ctx context.Context, members [][]document) []error {
	ordered := !apart(members)
	return resultsOf(members, ordered, c.write(ctx, slices.Concat(members...), ordered))
}

// apart reports whether each member has one document, and each a stream of its own: then their order means nothing, and
// a sharded cluster may write them at once.
func apart(members [][]document) bool {
	streams := make(map[string]bool, len(members))
	for _, docs := range members {
		if len(docs) > 1 || streams[docs[0].Stream] {
			return false
		}
		streams[docs[0].Stream] = true
	}
	return true
}

// resultsOf is what an insert's error says about each member.
func resultsOf(members [][]document, ordered bool, err error) []error {
	results := make([]error, len(members))
	failed, known := duplicates(err)
	if !known || len(members) == 1 {
		for i := range results {
			results[i] = err
		}
		return results
	}
	at, over := 0, false
	for i, docs := range members {
		hit := slices.ContainsFunc(failed, func(index int) bool { return index >= at && index < at+len(docs) })
		at += len(docs)
		switch {
		case over:
			results[i] = groupcommit.ErrUntried
		case hit:
			results[i], over = err, ordered
		}
	}
	return results
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
