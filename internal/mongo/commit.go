package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// sharedInserts returns a function that inserts documents, which are consecutive versions of one stream, possibly together with those of
// other callers; write inserts documents in one round trip. The error concerns only these documents: a duplicate fails only its own
// caller. An error that leaves results unknown is returned to all callers, and each reconciles. An error of the context is inconclusive.
func sharedInserts(
	c groupcommit.Config[[]document], write func(ctx context.Context, docs []document, ordered bool) error,
) func(ctx context.Context, docs []document) error {
	c.MaxWeight, c.Weight = eventlog.MaxBatch, func(docs []document) int { return len(docs) }
	c.Write = func(ctx context.Context, members [][]document) []error {
		// If each document is of a different stream, the order is irrelevant, and a sharded cluster may write them in parallel.
		ordered := false
		streams := make(map[string]bool, len(members))
		for _, docs := range members {
			ordered = ordered || len(docs) > 1 || streams[docs[0].Stream]
			streams[docs[0].Stream] = true
		}
		return memberResults(members, ordered, write(ctx, slices.Concat(members...), ordered))
	}
	return newGroup(c).Do
}

// memberResults returns the result of each member of an insert.
func memberResults(members [][]document, ordered bool, err error) []error {
	n := 0
	for _, docs := range members {
		n += len(docs)
	}
	each := results(n, err)
	if slices.ContainsFunc(each, func(err error) bool { return err != nil && !isDuplicate(err) }) {
		// The results of the others are unknown.
		return slices.Repeat([]error{err}, len(members))
	}
	outcome := make([]error, len(members))
	stopped := false
	for i, docs := range members {
		hit := slices.ContainsFunc(each[:len(docs)], isDuplicate)
		each = each[len(docs):]
		switch {
		case stopped:
			outcome[i] = groupcommit.ErrUntried
		case hit:
			outcome[i], stopped = err, ordered
		}
	}
	return outcome
}

// write is the only write of the log. An ordered batch stops at the first duplicate.
func (l *Log) write(ctx context.Context, docs []document, ordered bool) error {
	l.events.db.Metrics.inserted(len(docs))
	_, err := l.events.InsertMany(ctx, docs, options.InsertMany().SetOrdered(ordered))
	return err
}
