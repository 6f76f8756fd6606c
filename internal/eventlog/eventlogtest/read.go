package eventlogtest

import (
	"context"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// readCases test Read, Head, Find and Streams.
var readCases = []testCase{
	{"a stream that does not exist is empty", func(s *fixture) {
		records, err := s.log.Read(s.ctx, "order-none", 0, 0)
		require.NoError(s, err)
		require.Empty(s, records)
		_, ok, err := s.log.Head(s.ctx, "order-none")
		require.NoError(s, err)
		require.False(s, ok)
		_, ok, err = s.log.Find(s.ctx, "order-none", "accept")
		require.NoError(s, err)
		require.False(s, ok)
	}},
	{"after and limit", func(s *fixture) {
		var keys []string
		for i := range 40 {
			keys = append(keys, fmt.Sprintf("k%02d", i))
		}
		s.must(s.stream, event.Head{}, entries(keys...))
		for _, after := range []int64{-1, 0, 1, 17, 39, 40, 41, 1000} {
			for _, limit := range []int{0, 1, 2, 3, 16, 40, 41, 1000} {
				want := keys[min(max(after, 0), 40):]
				if limit > 0 {
					want = want[:min(limit, len(want))]
				}
				for name, log := range map[string]Store{"same": s.log, "new": s.open(s.T)} {
					got, err := log.Read(s.ctx, s.stream, after, limit)
					require.NoError(s, err)
					require.Equal(s, slices.Clone(want), keysOf(got), "%s handle, after %d, limit %d", name, after, limit)
				}
			}
		}
	}},
	{"heads of streams of every length", func(s *fixture) {
		var head event.Head
		for n := int64(1); n <= 20; n++ {
			head = s.must(s.stream, head, entries(fmt.Sprintf("k%d", n)))
			for name, log := range map[string]Store{"same": s.log, "new": s.open(s.T)} {
				r, ok, err := log.Head(s.ctx, s.stream)
				require.NoError(s, err)
				require.True(s, ok)
				require.Equal(s, head, r.HeadOf(), name)
			}
		}
	}},
	{"a head after appends of other handles", func(s *fixture) {
		head, _, err := s.append(event.Head{}, entries("k"))
		require.NoError(s, err)
		for batch := range 2 {
			var keys []string
			for i := range 77 {
				keys = append(keys, fmt.Sprintf("k%d-%d", batch, i))
			}
			head = s.must(s.stream, head, entries(keys...))
			r, ok, err := s.log.Head(s.ctx, s.stream)
			require.NoError(s, err)
			require.True(s, ok)
			require.Equal(s, head, r.HeadOf())
		}
	}},
	{"find by key", func(s *fixture) {
		s.must(s.stream, event.Head{}, entries("a", "b/1", "b"))
		s.must("order-2", event.Head{}, entries("only there"))
		for key, version := range map[string]int64{"a": 1, "b/1": 2, "b": 3} {
			r, ok, err := s.log.Find(s.ctx, s.stream, key)
			require.NoError(s, err)
			require.True(s, ok)
			require.Equal(s, version, r.Version)
			require.Equal(s, s.whole(s.stream)[version-1], r)
		}
		for _, key := range []string{"", "A", "b/", "only there"} {
			_, ok, err := s.log.Find(s.ctx, s.stream, key)
			require.NoError(s, err)
			require.False(s, ok, key)
		}
	}},
	{"streams are ordered by bytes", func(s *fixture) {
		names := []string{"order-1", "order-1-a", "order-1.a", "order-10", "order-A", "order-a", "order-ü", "sku-1"}
		for _, name := range []string{"order-ü", "order-a", "sku-1", "order-10", "order-1.a", "order-A", "order-1-a", "order-1"} {
			s.must(name, event.Head{}, entries("a", "b"))
		}
		require.Equal(s, names, s.list("", ""))
		require.Equal(s, names[:7], s.list("order-", ""))
		require.Equal(s, names[:4], s.list("order-1", ""))
		require.Equal(s, names[3:7], s.list("order-", "order-1.a"))
		require.Equal(s, names[4:7], s.list("order-", "order-5"), "the position to continue from need not exist")
		require.Empty(s, s.list("return-", ""))
		for name, err := range s.log.Streams(s.ctx, "", "") {
			require.NoError(s, err)
			require.Equal(s, "order-1", name)
			break
		}
	}},
	{"an ended context", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a"))
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		_, err := s.log.Read(ctx, s.stream, 0, 0)
		requireEnded(s, err)
		_, _, err = s.log.Head(ctx, s.stream)
		requireEnded(s, err)
		_, _, err = s.log.Find(ctx, s.stream, "a")
		requireEnded(s, err)
		_, _, err = s.log.Append(ctx, s.stream, head, entries("b"))
		requireEnded(s, err)
		for _, err := range s.log.Streams(ctx, "", "") {
			requireEnded(s, err)
		}
		// The result is unknown: the same append again succeeds.
		_, tail, err := s.append(head, entries("b"))
		require.NoError(s, err)
		require.Equal(s, []string{"b"}, keysOf(tail))
	}},
}

func requireEnded(s *fixture, err error) {
	s.Helper()
	require.ErrorIs(s, err, fault.Unavailable)
	require.ErrorIs(s, err, context.Canceled)
}

// list returns the names from Streams.
func (s *fixture) list(prefix, after string) []string {
	s.Helper()
	var names []string
	for name, err := range s.log.Streams(s.ctx, prefix, after) {
		require.NoError(s, err)
		names = append(names, name)
	}
	return names
}
