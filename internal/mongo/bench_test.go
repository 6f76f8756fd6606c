package mongo

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// BenchmarkAppend: one record after a cached head.
func BenchmarkAppend(b *testing.B) {
	log := newLog(b)
	var head event.Head
	for n := 0; b.Loop(); n++ {
		newest, _, err := log.Append(b.Context(), "order-1", head, entries(fmt.Sprint(n)))
		require.NoError(b, err)
		head = newest
	}
}

// BenchmarkAppendLost: one record that exists already.
func BenchmarkAppendLost(b *testing.B) {
	log := newLog(b)
	_, _, err := log.Append(b.Context(), "order-1", event.Head{}, entries("a"))
	require.NoError(b, err)
	for b.Loop() {
		log.heads.Remove("order-1")
		_, _, err := log.Append(b.Context(), "order-1", event.Head{}, entries("a"))
		require.NoError(b, err)
	}
}

// BenchmarkAppendHundred: a full batch, each in a stream of its own.
func BenchmarkAppendHundred(b *testing.B) {
	log := newLog(b)
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprint(i))
	}
	for n := 0; b.Loop(); n++ {
		_, _, err := log.Append(b.Context(), fmt.Sprintf("order-%d", n), event.Head{}, entries(keys...))
		require.NoError(b, err)
	}
}

// BenchmarkTimeline: the seven records of a happy order.
func BenchmarkTimeline(b *testing.B) {
	log := newLog(b)
	_, _, err := log.Append(b.Context(), "order-1", event.Head{}, entries("1", "2", "3", "4", "5", "6", "7"))
	require.NoError(b, err)
	for b.Loop() {
		log.heads.Remove("order-1")
		records, err := log.Read(b.Context(), "order-1", 0, 0)
		require.NoError(b, err)
		require.Len(b, records, 7)
	}
}

// BenchmarkHead: the head of a stream that is remembered.
func BenchmarkHead(b *testing.B) {
	log := newLog(b)
	_, _, err := log.Append(b.Context(), "order-1", event.Head{}, entries("1", "2", "3", "4", "5", "6", "7"))
	require.NoError(b, err)
	for b.Loop() {
		_, ok, err := log.Head(b.Context(), "order-1")
		require.NoError(b, err)
		require.True(b, ok)
	}
}

// acceptedEntry is an event as an order begins with.
func acceptedEntry() event.Entry {
	e := entryOf("accept")
	e.Data = []byte(`{"orderId":"7d0a1b6e-6f6f-4c0e-9a53-2f8f1f3f7a11","customerId":"c-1","currency":"EUR",` +
		`"lines":[{"sku":"tea","quantity":1,"unitAmount":1000},{"sku":"cup","quantity":2,"unitAmount":450}],` +
		`"payment":{"method":"tok_visa"},"fulfillment":"immediate"}`)
	return e
}

// BenchmarkSeal: the cost of an append without a server.
func BenchmarkSeal(b *testing.B) {
	list := []event.Entry{acceptedEntry()}
	b.ReportAllocs()
	for b.Loop() {
		records, err := eventlog.Seal("order-1", event.Head{}, list)
		require.NoError(b, err)
		_, err = toDocuments(records)
		require.NoError(b, err)
	}
}

// BenchmarkAppendAtOnce: 64 writers, each with streams of its own, one record at a time; the lanes say how many round
// trips share the load.
func BenchmarkAppendAtOnce(b *testing.B) {
	for _, maxRoundTrips := range []int{1, 2, 4, 8, 64} {
		for _, docs := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d maxRoundTrips, %d records", maxRoundTrips, docs), func(b *testing.B) {
				log := sharing(connect(b), groupcommit.Config[[]document]{Concurrency: maxRoundTrips, SlowAfter: time.Nanosecond})
				require.NoError(b, Setup(b.Context(), log.Indexes()))
				var streams atomic.Int64
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						list := entries("a", "b")[:docs]
						if _, _, err := log.Append(b.Context(), fmt.Sprintf("order-%d", streams.Add(1)), event.Head{}, list); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkInsertMany: the floor, the same documents in hundreds.
func BenchmarkInsertMany(b *testing.B) {
	log := newLog(b)
	n := 0
	for b.Loop() {
		var docs []document
		for range 100 {
			n++
			records, err := eventlog.Seal(fmt.Sprintf("order-%d", n), event.Head{}, entries("a"))
			require.NoError(b, err)
			one, err := toDocuments(records)
			require.NoError(b, err)
			docs = append(docs, one...)
		}
		require.NoError(b, log.write(b.Context(), docs, true))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
}
