package mongo

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
)

// lagging is a primary whose commit point lags: majority reads do not find the hidden versions of order-1, and linearizable reads
// find all that is there.
type lagging struct {
	mu     sync.Mutex
	docs   []document
	hidden []int64
	// gone are versions that reads do not find.
	gone []int64
	// standalone reports that the server has no replicas.
	standalone bool
}

func newLagging(t *testing.T, records ...event.Record) (*lagging, *Log) {
	t.Helper()
	docs, err := toDocuments(records)
	require.NoError(t, err)
	s := &lagging{docs: docs}
	return s, NewLog(fake(t, s.handle), EventsCollection)
}

func (s *lagging) handle(c mongofake.Command) bson.D {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c.Name {
	case "insert":
		var met []int
		for i, raw := range c.Documents {
			var d document
			if err := bson.Unmarshal(raw, &d); err != nil {
				panic(err)
			}
			if slices.ContainsFunc(s.docs, func(other document) bool { return other.DocumentID == d.DocumentID || other.Key == d.Key }) {
				met = append(met, i)
				break
			}
			s.docs = append(s.docs, d)
		}
		return mongofake.Refused(false, met...)
	case "find":
		if c.ReadConcern() == "linearizable" && s.standalone {
			return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: codeNotAReplicaSet}, {Key: "errmsg", Value: "no replicas"}}
		}
		var found []any
		for _, d := range s.docs {
			if slices.Contains(s.gone, d.Version) || c.ReadConcern() != "linearizable" && slices.Contains(s.hidden, d.Version) || !s.matches(c, d) {
				continue
			}
			found = append(found, d)
		}
		return mongofake.Found("fake.events", found...)
	}
	return nil
}

// matches knows the filters of this package.
func (s *lagging) matches(c mongofake.Command, d document) bool {
	id := c.Body.Lookup("filter", "_id")
	if text, ok := id.StringValueOK(); ok {
		return d.DocumentID == text
	}
	var bounds struct {
		GT string   `bson:"$gt"`
		LT string   `bson:"$lt"`
		In []string `bson:"$in"`
	}
	if id.Type == 0 {
		var keys struct {
			In []string `bson:"$in"`
		}
		return c.Body.Lookup("filter", "key").Unmarshal(&keys) == nil && slices.Contains(keys.In, d.Key)
	}
	if err := id.Unmarshal(&bounds); err != nil {
		panic(err)
	}
	if bounds.In != nil {
		return slices.Contains(bounds.In, d.DocumentID)
	}
	return d.DocumentID > bounds.GT && d.DocumentID < bounds.LT
}

// sealedRecords are three records of order-1.
func sealedRecords(t *testing.T) []event.Record {
	t.Helper()
	records, err := eventlog.Seal("order-1", event.Head{}, entries("a", "b", "c"))
	require.NoError(t, err)
	return records
}

// TestRecordHiddenByFailoverIsRead: a majority read after a failover may miss an acknowledged record. The log concludes nothing from that.
func TestRecordHiddenByFailoverIsRead(t *testing.T) {
	records := sealedRecords(t)
	whole := func(t *testing.T, log *Log, limit int) {
		got, err := log.Read(t.Context(), "order-1", 0, limit)
		require.NoError(t, err)
		require.Equal(t, keysOf(records)[:len(got)], keysOf(got))
		require.NotEmpty(t, got)
	}
	for name, do := range map[string]func(t *testing.T, log *Log){
		"a timeline":         func(t *testing.T, log *Log) { whole(t, log, 0) },
		"the first record":   func(t *testing.T, log *Log) { whole(t, log, 1) },
		"an append after it": func(t *testing.T, log *Log) { appendAfter(t, log, records[0].HeadOf(), "d") },
	} {
		t.Run(name, func(t *testing.T) {
			s, log := newLagging(t, records...)
			s.hidden = []int64{1}
			do(t, log)
		})
	}
	t.Run("a whole stream, for callers that conclude from its absence", func(t *testing.T) {
		s, log := newLagging(t, records...)
		s.hidden = []int64{1, 2, 3}
		got, err := log.Read(t.Context(), "order-1", 0, 0)
		require.NoError(t, err)
		require.Empty(t, got)
		follower, err := eventlog.NewFollower(eventlog.FollowerConfig{Log: log})
		require.NoError(t, err)
		got, err = eventlog.ReadCertain(t.Context(), follower, "order-1", 0, 0)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b", "c"}, keysOf(got))
	})
}

// appendAfter loses its race against a hidden record, and returns it.
func appendAfter(t *testing.T, log *Log, head event.Head, key string) {
	t.Helper()
	_, tail, err := log.Append(t.Context(), "order-1", head, entries(key))
	require.ErrorIs(t, err, fault.Concurrency)
	require.Equal(t, []string{"b", "c"}, keysOf(tail))
}

// TestMissingRecordIsUnavailable: a missing record is not different content. A second read may find it.
func TestMissingRecordIsUnavailable(t *testing.T) {
	records := sealedRecords(t)
	for name, do := range map[string]func(ctx context.Context, log *Log) error{
		"a gap":           func(ctx context.Context, log *Log) error { _, err := log.Read(ctx, "order-1", 0, 0); return err },
		"no first record": func(ctx context.Context, log *Log) error { _, err := log.Read(ctx, "order-1", 0, 1); return err },
		"no head": func(ctx context.Context, log *Log) error {
			_, _, err := log.Append(ctx, "order-1", records[0].HeadOf(), entries("d"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, log := newLagging(t, records...)
			s.gone = []int64{1}
			err := do(t.Context(), log)
			require.ErrorIs(t, err, fault.ErrMissing)
			require.Equal(t, fault.Unavailable, fault.CodeOf(err))
			s.mu.Lock()
			s.gone = nil
			s.mu.Unlock()
			if err = do(t.Context(), log); !eventlog.Lost(err) {
				require.NoError(t, err, "it is found when it is tried again")
			}
		})
	}
}

func TestServerWithoutReplicasIsReadDirectly(t *testing.T) {
	s, log := newLagging(t, sealedRecords(t)...)
	s.standalone, s.gone = true, []int64{2}
	_, err := log.Read(t.Context(), "order-1", 0, 0)
	require.ErrorIs(t, err, fault.ErrMissing)
	got, err := log.ReadCertain(t.Context(), "order-1", 2, 0)
	require.NoError(t, err)
	require.Equal(t, []string{"c"}, keysOf(got))
}

// TestDuplicateAndWriteConcernErrorTogether: the existing document of a duplicate may be rolled back unless a majority has it.
func TestDuplicateAndWriteConcernErrorTogether(t *testing.T) {
	unconfirmed := false
	db := mongofake.Connect(t, func(c mongofake.Command) bson.D { return mongofake.Refused(unconfirmed, 0) })
	for _, unconfirmed = range []bool{false, true} {
		_, one := db.Collection("c").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}})
		_, many := db.Collection("c").InsertMany(t.Context(), []any{bson.D{{Key: "_id", Value: 1}}})
		for _, err := range []error{one, many} {
			require.True(t, driver.IsDuplicateKeyError(err))
			require.Equal(t, !unconfirmed, isDuplicate(err))
		}
	}
	require.False(t, isDuplicate(nil))
	require.False(t, isDuplicate(context.DeadlineExceeded))
}
