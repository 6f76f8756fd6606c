package mongo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// fakeCollection is a collection of documents that behaves as a server does: an ordered insert ends at the first
// duplicate, an unordered one leaves out the duplicates.
type fakeCollection struct {
	mu   sync.Mutex
	has  map[string]bool
	fail map[string]error // the round trip with this document is lost, after half of it
	// trips are the sizes of the round trips; under way counts those that are.
	trips           []int
	underWay, peak  int
	gate            chan struct{} // each round trip takes one, when there is a gate
	ended, orderedN int
}

func (c *fakeCollection) write(ctx context.Context, docs []document, ordered bool) error {
	c.mu.Lock()
	c.underWay++
	c.peak = max(c.peak, c.underWay)
	gate := c.gate
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.underWay--; c.mu.Unlock() }()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			c.mu.Lock()
			c.ended++
			c.mu.Unlock()
			return ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips = append(c.trips, len(docs))
	if ordered {
		c.orderedN++
	}
	for _, d := range docs {
		if err := c.fail[d.DocumentID]; err != nil {
			delete(c.fail, d.DocumentID)
			_ = c.insert(docs[:len(docs)/2], true)
			return err
		}
	}
	return c.insert(docs, ordered)
}

func (c *fakeCollection) insert(docs []document, ordered bool) error {
	var failed driver.BulkWriteException
	for i, d := range docs {
		if !c.has[d.DocumentID] {
			c.has[d.DocumentID] = true
			continue
		}
		failed.WriteErrors = append(failed.WriteErrors, driver.BulkWriteError{WriteError: driver.WriteError{Index: i, Code: 11000}})
		if ordered {
			break
		}
	}
	if len(failed.WriteErrors) > 0 {
		return failed
	}
	return nil
}

func newFakeCollection() *fakeCollection {
	return &fakeCollection{has: make(map[string]bool), fail: make(map[string]error)}
}

func group(c *fakeCollection, maxRoundTrips int, timeout time.Duration) func(context.Context, []document) error {
	return sharedInserts(groupcommit.Config[[]document]{Concurrency: maxRoundTrips, Timeout: timeout}, c.write)
}

// errBroken is a connection that broke before the answer; other than errLost it can be compared.
var errBroken = errors.New("connection reset")

// versions makes the documents of consecutive versions of a stream.
func versions(stream string, from, n int64) []document {
	var docs []document
	for v := from; v < from+n; v++ {
		docs = append(docs, document{DocumentID: documentID(stream, v), Stream: stream, Version: v})
	}
	return docs
}

// For any combination of concurrent batches: a batch with a nil error is stored completely, a batch with a duplicate error has found one of its own
// keys, and a batch with an unknown outcome may be stored or not; there are no other documents.
func TestEachGetsItsOwnResult(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newFakeCollection()
		maxRoundTrips := rapid.IntRange(1, 3).Draw(rt, "maxRoundTrips")
		insert := group(c, maxRoundTrips, time.Minute)
		type call struct {
			docs []document
			err  error
		}
		calls := make([]call, rapid.IntRange(1, 60).Draw(rt, "calls"))
		single := rapid.Bool().Draw(rt, "one document a stream")
		for i := range calls {
			stream, n := fmt.Sprint("s", i), int64(1)
			if !single {
				stream, n = fmt.Sprint("s", rapid.IntRange(0, 20).Draw(rt, "stream")), rapid.Int64Range(1, 40).Draw(rt, "documents")
			}
			docs := versions(stream, rapid.Int64Range(1, 3).Draw(rt, "from"), n)
			calls[i].docs = docs
			switch rapid.IntRange(0, 9).Draw(rt, "fate") {
			case 0:
				c.has[docs[len(docs)/2].DocumentID] = true
			case 1:
				c.fail[docs[0].DocumentID] = errBroken
			}
		}
		planted := maps.Clone(c.has)
		var all sync.WaitGroup
		for i := range calls {
			all.Go(func() { calls[i].err = insert(t.Context(), calls[i].docs) })
		}
		all.Wait()
		confirmed := make(map[string]bool)
		for _, call := range calls {
			switch {
			case call.err == nil:
				for _, d := range call.docs {
					require.True(rt, c.has[d.DocumentID], "a confirmed record is stored")
					require.False(rt, planted[d.DocumentID] || confirmed[d.DocumentID], "and no other record has its place")
					confirmed[d.DocumentID] = true
				}
			case driver.IsDuplicateKeyError(call.err):
				require.True(rt, slices.ContainsFunc(call.docs, func(d document) bool { return c.has[d.DocumentID] }))
			default:
				require.ErrorIs(rt, call.err, errBroken)
			}
		}
		require.LessOrEqual(rt, c.peak, maxRoundTrips)
		for _, trip := range c.trips {
			require.LessOrEqual(rt, trip, eventlog.MaxBatch)
		}
	})
}

func TestDuplicateFailsOnlyItsCaller(t *testing.T) {
	for name, size := range map[string]int64{"one document a stream": 1, "several": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newFakeCollection()
				c.gate = make(chan struct{})
				c.has[documentID("s4", size)] = true
				insert := group(c, 1, time.Minute)
				errs := make([]error, 9)
				var all sync.WaitGroup
				for i := range errs {
					all.Go(func() { errs[i] = insert(t.Context(), versions(fmt.Sprint("s", i), 1, size)) })
					synctest.Wait()
				}
				close(c.gate)
				all.Wait()
				for i, err := range errs {
					require.Equal(t, i == 4, driver.IsDuplicateKeyError(err), "%d: %v", i, err)
					require.Equal(t, i == 4, err != nil)
				}
				if size == 1 {
					require.Equal(t, []int{1, 8}, c.trips, "the first goes alone, all others share one round trip")
					require.Zero(t, c.orderedN)
				} else {
					require.Equal(t, []int{2, 16, 8}, c.trips, "the records after a duplicate are tried again")
				}
			})
		})
	}
}

func TestSingleCallerIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCollection()
		insert := group(c, 4, time.Minute)
		began := time.Now()
		for i := range 5 {
			require.NoError(t, insert(t.Context(), versions("s", int64(i+1), 1)))
		}
		require.Zero(t, time.Since(began))
		require.Len(t, c.trips, 5)
		synctest.Wait() // which fails when a lane is left behind
	})
}

func TestRoundTripIsCancelledWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCollection()
		c.gate = make(chan struct{})
		insert := group(c, 1, time.Minute)
		ctx, leave := context.WithCancel(t.Context())
		results := make(chan error, 3)
		go func() { results <- insert(ctx, versions("a", 1, 1)) }()
		synctest.Wait()
		go func() { results <- insert(ctx, versions("b", 1, 1)) }()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-results, context.Canceled)
		require.ErrorIs(t, <-results, context.Canceled)
		synctest.Wait()
		require.Equal(t, 1, c.ended)
		require.Empty(t, c.trips, "an append without a waiting caller is not sent")

		// Callers that cancel do not affect those that wait.
		ctx, leave = context.WithCancel(t.Context())
		go func() { results <- insert(t.Context(), versions("c", 1, 1)) }()
		synctest.Wait()
		go func() { results <- insert(ctx, versions("d", 1, 1)) }()
		go func() { results <- insert(t.Context(), versions("e", 1, 1)) }()
		synctest.Wait()
		c.gate <- struct{}{}
		require.NoError(t, <-results)
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-results, context.Canceled)
		c.gate <- struct{}{}
		require.NoError(t, <-results)
		synctest.Wait()
		require.Equal(t, 1, c.ended)
	})
}

func TestRoundTripIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCollection()
		c.gate = make(chan struct{})
		insert := group(c, 1, time.Second)
		err := insert(t.Context(), versions("a", 1, 1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, t.Context().Err())
	})
}

// After an unknown outcome, no caller gets success.
func TestUnknownResultIsReportedToAllCallers(t *testing.T) {
	duplicate := driver.BulkWriteError{WriteError: driver.WriteError{Index: 1, Code: 11000}}
	for name, err := range map[string]error{
		"lost":     errLost,
		"majority": driver.BulkWriteException{WriteErrors: []driver.BulkWriteError{duplicate}, WriteConcernError: &driver.WriteConcernError{Code: 64}},
		"other":    driver.BulkWriteException{WriteErrors: []driver.BulkWriteError{duplicate, {WriteError: driver.WriteError{Index: 2, Code: 1}}}},
		"empty":    driver.BulkWriteException{},
		"wrapped":  errors.Join(context.DeadlineExceeded, errLost),
	} {
		t.Run(name, func(t *testing.T) {
			var members [][]document
			for i := range 3 {
				members = append(members, versions(fmt.Sprint(i), 1, 1))
			}
			for _, result := range memberResults(members, true, err) {
				require.Equal(t, err, result)
			}
		})
	}
}
