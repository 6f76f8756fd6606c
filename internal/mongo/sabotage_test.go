package mongo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// errLost is the error of the driver when the connection breaks before the answer.
var errLost = driver.CommandError{Message: "connection reset", Labels: []string{"NetworkError"}}

// sabotage puts f before the insert of log; f gets the insert insert. It returns the number of calls.
func sabotage(log *Log, f func(call int, insert func(docs []document) error, docs []document) error) *atomic.Int32 {
	var calls atomic.Int32
	log.insert = func(ctx context.Context, docs []document) error {
		insert := func(docs []document) error { return log.write(ctx, docs, true) }
		return f(int(calls.Add(1)), insert, docs)
	}
	return &calls
}

// whole reads and verifies order-1 with a new handle, whose cache is empty.
func whole(t *testing.T, log *Log) []event.Record {
	t.Helper()
	records, err := NewLog(log.events.db, EventsCollection).Read(t.Context(), "order-1", 0, 0)
	require.NoError(t, err)
	require.NoError(t, eventlog.Verify("order-1", event.Head{}, records))
	return records
}

func TestAppendIsOneInsert(t *testing.T) {
	log := newLog(t)
	calls := sabotage(log, func(_ int, insert func([]document) error, docs []document) error { return insert(docs) })
	var head event.Head
	for i := range 5 {
		newest, _, err := log.Append(t.Context(), "order-1", head, entries(fmt.Sprint(i)))
		require.NoError(t, err)
		head = newest
		require.Equal(t, int32(i+1), calls.Load())
	}
}

func TestStaleHeadIsNotUsed(t *testing.T) {
	log := newLog(t)
	head, _, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a"))
	require.NoError(t, err)
	_, _, err = log.Append(t.Context(), "order-1", head, entries("b"))
	require.NoError(t, err)
	calls := sabotage(log, func(_ int, insert func([]document) error, docs []document) error { return insert(docs) })
	_, tail, err := log.Append(t.Context(), "order-1", head, entries("c"))
	require.ErrorIs(t, err, fault.Concurrency)
	require.Equal(t, []string{"b"}, keysOf(tail))
	require.Zero(t, calls.Load(), "the insert could only meet a duplicate")
}

func TestLostResponse(t *testing.T) {
	for _, written := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprintf("after %d of 3", written), func(t *testing.T) {
			log := newLog(t)
			calls := sabotage(log, func(call int, insert func([]document) error, docs []document) error {
				if call > 1 {
					return insert(docs)
				}
				if written > 0 {
					require.NoError(t, insert(docs[:written]))
				}
				return errLost
			})
			head, tail, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a", "b", "c"))
			require.NoError(t, err)
			require.Equal(t, int64(3), head.Version)
			require.Equal(t, []string{"a", "b", "c"}, keysOf(tail))
			require.Equal(t, []string{"a", "b", "c"}, keysOf(whole(t, log)))
			want := int32(2)
			if written == 3 {
				want = 1
			}
			require.Equal(t, want, calls.Load(), "a stored record is not written again")
		})
	}
}

func TestResponseIsAlwaysLost(t *testing.T) {
	log := newLog(t)
	calls := sabotage(log, func(int, func([]document) error, []document) error { return errLost })
	_, _, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a"))
	require.ErrorIs(t, err, fault.Unavailable)
	require.Equal(t, int32(maxRounds), calls.Load(), "the loop is withTimeout")
	require.Empty(t, whole(t, log))
}

// An insert that the server executes after its caller has given it up collides with itself.
func TestLateInsertConflictsWithItself(t *testing.T) {
	log := newLog(t)
	var late []document
	sabotage(log, func(call int, insert func([]document) error, docs []document) error {
		if call == 1 {
			late = docs
			return errLost
		}
		if call == 2 {
			// It arrives between the look at the tail and the second insert, but for its last part.
			require.NoError(t, insert(late[:2]))
		}
		return insert(docs)
	})
	_, tail, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a", "b", "c"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, keysOf(tail))
	require.True(t, driver.IsDuplicateKeyError(log.write(t.Context(), late, true)), "and once more, much later")
	require.Len(t, whole(t, log), 3)
}

// A late batch whose caller's stream went another way meanwhile writes nothing but a prefix that fits.
func TestLateInsertConflictsWithAnotherWriter(t *testing.T) {
	log := newLog(t)
	var late []document
	sabotage(log, func(_ int, _ func([]document) error, docs []document) error {
		late = docs
		return context.DeadlineExceeded
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := log.Append(ctx, "order-1", event.Head{}, entries("a", "b", "c"))
	require.ErrorIs(t, err, fault.Unavailable)
	other := open(t, log.events.db)
	_, _, err = other.Append(t.Context(), "order-1", event.Head{}, entries("a", "x"))
	require.NoError(t, err)
	require.True(t, driver.IsDuplicateKeyError(log.write(t.Context(), late, true)))
	require.Equal(t, []string{"a", "x"}, keysOf(whole(t, log)))
}

// A server may refuse for a moment, such as FerretDB 2 with "deadlock detected", or a failover.
func TestTransientErrorsAreRetried(t *testing.T) {
	for name, refusal := range map[string]error{
		"deadlock":          driver.CommandError{Code: 1, Message: "deadlock detected"},
		"not primary":       driver.CommandError{Code: 10107, Name: "NotWritablePrimary"},
		"in the batch":      driver.BulkWriteException{WriteErrors: []driver.BulkWriteError{{WriteError: driver.WriteError{Code: 1}}}},
		"below majority":    driver.BulkWriteException{WriteConcernError: &driver.WriteConcernError{Code: 64}},
		"timeout of a trip": context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			log := newLog(t)
			sabotage(log, func(call int, insert func([]document) error, docs []document) error {
				if call <= 3 {
					return refusal
				}
				return insert(docs)
			})
			_, tail, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a", "b"))
			require.NoError(t, err)
			require.Equal(t, []string{"a", "b"}, keysOf(tail))
		})
	}
}

// A duplicate that cannot be seen yet, because it is not yet at a majority, is no reason to conclude anything.
func TestDuplicateThatIsNotYetVisible(t *testing.T) {
	log := newLog(t)
	duplicate := driver.BulkWriteException{WriteErrors: []driver.BulkWriteError{{WriteError: driver.WriteError{Code: 11000}}}}
	require.True(t, driver.IsDuplicateKeyError(duplicate))
	sabotage(log, func(call int, insert func([]document) error, docs []document) error {
		if call <= 3 {
			return duplicate
		}
		return insert(docs)
	})
	_, tail, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a"))
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, keysOf(tail))
}

func TestCancelledCaller(t *testing.T) {
	log := newLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	calls := sabotage(log, func(call int, insert func([]document) error, docs []document) error {
		if call > 1 {
			return insert(docs)
		}
		require.NoError(t, insert(docs))
		cancel()
		return errors.Join(errLost, context.Canceled)
	})
	_, _, err := log.Append(ctx, "order-1", event.Head{}, entries("a"))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, int32(1), calls.Load())
	_, tail, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a"))
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, keysOf(tail))
}

// Concurrent writers append batches while inserts fail at random points: every entry is stored once, in one chain.
func TestRaceWithBrokenInserts(t *testing.T) {
	log := newLog(t)
	const writers, each = 6, 5
	sabotage(log, func(call int, insert func([]document) error, docs []document) error {
		switch call % 4 {
		case 1:
			return errLost
		case 2:
			if err := insert(docs[:(len(docs)+1)/2]); err != nil {
				return err
			}
			return errLost
		}
		return insert(docs)
	})
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			var head event.Head
			for n := range each {
				pending := entries(fmt.Sprintf("%d-%d-a", w, n), fmt.Sprintf("%d-%d-b", w, n))
				for range 500 {
					newest, tail, err := log.Append(t.Context(), "order-1", head, pending)
					if err == nil {
						head = newest
						break
					}
					if !errors.Is(err, fault.Concurrency) {
						if !errors.Is(err, fault.Unavailable) {
							t.Errorf("append: %v", err)
							return
						}
						continue
					}
					head = newest
					for _, r := range tail {
						if len(pending) > 1 && r.Key == pending[0].Key {
							pending = pending[1:]
						}
					}
				}
			}
		})
	}
	done.Wait()
	require.Len(t, whole(t, log), 2*writers*each)
}

// A cached head whose document was deleted is removed from the cache.
func TestCollectionEmptiedAtRunTime(t *testing.T) {
	log := newLog(t)
	head, _, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a", "b"))
	require.NoError(t, err)
	require.NoError(t, log.events.Drop(t.Context()))
	_, ok, err := log.Head(t.Context(), "order-1")
	require.NoError(t, err)
	require.False(t, ok)
	log.heads.put("order-1", head)
	_, tail, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a"))
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, keysOf(tail))
}

// A gap is Unavailable for a read by range, and the end of the stream for a probe.
func TestGapIsNeverSkipped(t *testing.T) {
	log := newLog(t)
	_, tail, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a", "b", "c"))
	require.NoError(t, err)
	_, err = log.events.DeleteOne(t.Context(), map[string]string{"_id": documentID("order-1", 2)})
	require.NoError(t, err)
	for _, server := range []Server{MongoDB, FerretDB1} {
		records, err := NewLog(as(log.events.db, server), EventsCollection).Read(t.Context(), "order-1", 0, 0)
		if server == MongoDB {
			require.ErrorIs(t, err, fault.ErrMissing)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, keysOf(tail[:1]), keysOf(records))
	}
}
