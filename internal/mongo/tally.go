package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Tally counts the entries that have not ended, by flow, status and the step that needs attention. It costs as much as there are of them.
// Errors: Unavailable.
func (l *List) Tally(ctx context.Context) ([]readmodel.Tally, error) {
	open := bson.D{{Key: "status", Value: bson.D{{Key: "$nin", Value: []saga.Status{saga.Completed, saga.Rejected, saga.Cancelled, saga.Failed}}}}}
	type alike struct {
		Flow   string      `bson:"flow"`
		Status saga.Status `bson:"status"`
		Step   string      `bson:"step"`
	}
	if l.entries.db.Server == FerretDB1 {
		entries, err := find[entry](ctx, l.entries, open, options.Find().SetProjection(bson.D{
			{Key: "flow", Value: 1}, {Key: "status", Value: 1}, {Key: "attention.step", Value: 1}, {Key: "createdAt", Value: 1},
		}), "count the open entries of %s", l.entries.Name())
		counts := make(map[alike]readmodel.Tally)
		for _, e := range entries {
			key := alike{Flow: e.Flow, Status: e.Status}
			if e.Attention != nil {
				key.Step = e.Attention.Step
			}
			t := counts[key]
			if t.Count == 0 || e.CreatedAt.Before(t.Oldest) {
				t.Oldest = e.CreatedAt
			}
			counts[key] = readmodel.Tally{Flow: key.Flow, Status: key.Status, Step: key.Step, Count: t.Count + 1, Oldest: t.Oldest}
		}
		var tallies []readmodel.Tally
		for _, t := range counts {
			tallies = append(tallies, t)
		}
		return tallies, err
	}
	groups, err := aggregate[struct {
		ID     alike     `bson:"_id"`
		Count  int64     `bson:"count"`
		Oldest time.Time `bson:"oldest"`
	}](ctx, l.entries, open, bson.D{
		{Key: "_id", Value: bson.D{{Key: "flow", Value: "$flow"}, {Key: "status", Value: "$status"}, {Key: "step", Value: "$attention.step"}}},
		{Key: "count", Value: bson.D{{Key: "$sum", Value: 1}}}, {Key: "oldest", Value: bson.D{{Key: "$min", Value: "$createdAt"}}},
	})
	tallies := make([]readmodel.Tally, len(groups))
	for i, g := range groups {
		tallies[i] = readmodel.Tally{Flow: g.ID.Flow, Status: g.ID.Status, Step: g.ID.Step, Count: g.Count, Oldest: g.Oldest}
	}
	return tallies, err
}

// Counts counts entries by status, those of one flow or of all. Each count ends at readmodel.MaxCount. Errors: Unavailable.
func (l *List) Counts(ctx context.Context, flow string, statuses []saga.Status) (map[saga.Status]int64, error) {
	counts := make(map[saga.Status]int64)
	for _, status := range statuses {
		filter := bson.D{{Key: "status", Value: status}}
		if flow != "" {
			filter = append(filter, bson.E{Key: "flow", Value: flow})
		}
		found, err := find[bson.Raw](ctx, l.entries, filter, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}).SetLimit(readmodel.MaxCount),
			"count the entries of %s", l.entries.Name())
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			counts[status] = int64(len(found))
		}
	}
	return counts, nil
}

// OpenByReason counts the letters that are open. Errors: Unavailable.
func (l *Letters) OpenByReason(ctx context.Context) (map[fault.Code]int64, error) {
	open := bson.D{{Key: "kind", Value: kindLetter}, {Key: "status", Value: deadletter.StatusOpen}}
	counts := make(map[fault.Code]int64)
	if l.letters.db.Server == FerretDB1 {
		if err := l.copyListed(ctx); err != nil {
			return nil, err
		}
		letters, err := find[letter](ctx, l.listed, open, options.Find().SetProjection(bson.D{{Key: "reason", Value: 1}}), "count the open dead letters")
		for _, one := range letters {
			counts[one.Reason]++
		}
		return counts, err
	}
	groups, err := aggregate[struct {
		Reason fault.Code `bson:"_id"`
		Count  int64      `bson:"count"`
	}](ctx, l.listed, open, bson.D{{Key: "_id", Value: "$reason"}, {Key: "count", Value: bson.D{{Key: "$sum", Value: 1}}}})
	for _, g := range groups {
		counts[g.Reason] = g.Count
	}
	return counts, err
}

// aggregate groups the documents that match. Errors: Unavailable.
func aggregate[T any](ctx context.Context, c collection, match, group bson.D) (groups []T, err error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	cursor, err := c.Aggregate(ctx, bson.A{bson.D{{Key: "$match", Value: match}}, bson.D{{Key: "$group", Value: group}}})
	if err == nil {
		err = cursor.All(ctx, &groups)
	}
	return groups, unavailable(ctx, err, "count in %s", c.Name())
}
