package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// sharedInserts returns an insert of documents, which are consecutive versions of one stream, perhaps together with those of others;
// write inserts documents in one round trip. An error says what is known of these documents alone: a duplicate fails the insert that
// has it and no other; what leaves everybody's outcome unknown is everybody's, and each settles it. The context's error says nothing.
func sharedInserts(
	c groupcommit.Config[[]document], write func(ctx context.Context, docs []document, ordered bool) error,
) func(ctx context.Context, docs []document) error {
	c.Most, c.Weight = eventlog.MaxBatch, func(docs []document) int { return len(docs) }
	c.Write = func(ctx context.Context, members [][]document) []error {
		// Where each member has one document, and each a stream of its own, their order means nothing, and a sharded cluster may
		// write them at once.
		ordered := false
		streams := make(map[string]bool, len(members))
		for _, docs := range members {
			ordered = ordered || len(docs) > 1 || streams[docs[0].Stream]
			streams[docs[0].Stream] = true
		}
		return memberResults(members, ordered, write(ctx, slices.Concat(members...), ordered))
	}
	return shared(c).Do
}

// memberResults is what an insert's error says about each member.
func memberResults(members [][]document, ordered bool, err error) []error {
	n := 0
	for _, docs := range members {
		n += len(docs)
	}
	each := results(n, err)
	if slices.ContainsFunc(each, func(err error) bool { return err != nil && !isDuplicate(err) }) {
		// It leaves open what became of the others.
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

// write is the one write of the log. An ordered batch stops at the first duplicate.
func (l *Log) write(ctx context.Context, docs []document, ordered bool) error {
	l.events.db.Metrics.inserted(len(docs))
	_, err := l.events.InsertMany(ctx, docs, options.InsertMany().SetOrdered(ordered))
	return err
}
