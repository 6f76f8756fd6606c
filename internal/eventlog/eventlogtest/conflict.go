package eventlogtest

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// conflictCases append to streams with existing records, sequentially.
var conflictCases = []testCase{
	{"the same entries again are accepted", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b"))
		newest, tail, err := s.append(event.Head{}, reattempted(entries("a", "b")))
		require.NoError(s, err)
		require.Equal(s, head, newest)
		require.Equal(s, hashes(s.whole(s.stream)), hashes(tail), "the tail has the stored records, not the given entries")
	}},
	{"the same entries again after a head", func(s *fixture) {
		first := s.must(s.stream, event.Head{}, entries("a"))
		s.must(s.stream, first, entries("b"))
		s.must(s.stream, s.headOf(s.stream), entries("c"))
		newest, tail, err := s.append(first, reattempted(entries("b")))
		require.NoError(s, err)
		require.Equal(s, s.headOf(s.stream), newest)
		require.Equal(s, []string{"b", "c"}, keysOf(tail), "with all later records")
	}},
	{"the same entries among other records", func(s *fixture) {
		s.must(s.stream, event.Head{}, entries("x", "a", "y", "b", "z"))
		_, tail, err := s.append(event.Head{}, entries("a", "b"))
		require.NoError(s, err)
		require.Equal(s, []string{"x", "a", "y", "b", "z"}, keysOf(tail))
	}},
	{"different content for a taken key", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b"))
		newest, tail, err := s.append(event.Head{}, []event.Entry{entry("a", "something else")})
		s.requireTaken(err, "a", 1)
		require.Equal(s, head, newest)
		require.Equal(s, []string{"a", "b"}, keysOf(tail))
	}},
	{"a different type for a taken key", func(s *fixture) {
		s.must(s.stream, event.Head{}, entries("decide"))
		other := entries("decide")
		other[0].Type = event.OrderCompensating
		_, tail, err := s.append(event.Head{}, other)
		s.requireTaken(err, "decide", 1)
		require.Equal(s, []string{"decide"}, keysOf(tail))
	}},
	{"a key taken at the head", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b"))
		newest, tail, err := s.append(head, entries("b"))
		s.requireTaken(err, "b", 2)
		require.Equal(s, head, newest)
		require.Empty(s, tail)
	}},
	{"a key taken before the head", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b", "c"))
		for _, again := range [][]event.Entry{entries("a"), {entry("a", "something else")}} {
			newest, tail, err := s.append(head, again)
			s.requireTaken(err, "a", 1)
			require.Equal(s, head, newest)
			require.Empty(s, tail)
		}
	}},
	{"a key taken before the head in the middle of a batch", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b"))
		newest, tail, err := s.append(head, entries("c", "a", "d"))
		s.requireTaken(err, "a", 1)
		require.Equal(s, s.headOf(s.stream), newest)
		require.Contains(s, [][]string{{}, {"c"}}, keysOf(tail), "nothing or a prefix is written")
	}},
	{"a conflict in the middle of a batch", func(s *fixture) {
		s.must(s.stream, event.Head{}, []event.Entry{entry("a", "it"), entry("b", "something else")})
		newest, tail, err := s.append(event.Head{}, entries("a", "b", "c"))
		s.requireTaken(err, "b", 2)
		require.Equal(s, s.headOf(s.stream), newest)
		require.Equal(s, []string{"a", "b"}, keysOf(tail))
	}},
	{"a partial batch is continued", func(s *fixture) {
		for prefix := 1; prefix < 5; prefix++ {
			stream := fmt.Sprintf("order-half-%d", prefix)
			batch := entries("a", "b", "c", "d", "e")
			s.must(stream, event.Head{}, batch[:prefix])
			newest, tail, err := s.log.Append(s.ctx, stream, event.Head{}, reattempted(batch))
			require.NoError(s, err)
			require.Equal(s, int64(5), newest.Version)
			require.Equal(s, []string{"a", "b", "c", "d", "e"}, keysOf(tail))
			require.Equal(s, hashes(tail), hashes(s.whole(stream)))
		}
	}},
	{"a partial batch followed by another record", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b"))
		s.must(s.stream, head, entries("x"))
		newest, tail, err := s.append(event.Head{}, entries("a", "b", "c"))
		require.ErrorIs(s, err, fault.Concurrency)
		require.Equal(s, s.headOf(s.stream), newest)
		require.Equal(s, []string{"a", "b", "x"}, keysOf(tail))
	}},
	{"a stale head", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a"))
		newest := s.must(s.stream, head, entries("b", "c"))
		got, tail, err := s.append(head, entries("d"))
		require.ErrorIs(s, err, fault.Concurrency)
		require.True(s, eventlog.Lost(err))
		require.Equal(s, newest, got)
		require.Equal(s, []string{"b", "c"}, keysOf(tail))
		// The caller folds the tail, decides again and continues from the returned head.
		_, tail, err = s.append(got, entries("d"))
		require.NoError(s, err)
		require.Equal(s, []string{"d"}, keysOf(tail))
	}},
	{"a delayed writer after the stream has ended", func(s *fixture) {
		head, _, err := s.append(event.Head{}, entries("accept"))
		require.NoError(s, err)
		// The writer pauses here, after its decision.
		end := s.must(s.stream, head, []event.Entry{entry("decide", "back"), entry("undo/reserve", "it"), entry("end", "cancelled")})
		got, tail, err := s.append(head, []event.Entry{entry("decide", "forward"), entry("capture", "it")})
		s.requireTaken(err, "decide", 2)
		require.Equal(s, end, got)
		require.Equal(s, []string{"decide", "undo/reserve", "end"}, keysOf(tail))
		got, tail, err = s.append(head, entries("reserve"))
		require.ErrorIs(s, err, fault.Concurrency)
		require.Equal(s, end, got)
		require.Equal(s, []string{"decide", "undo/reserve", "end"}, keysOf(tail))
	}},
	{"a delayed writer after the stream has ended in the same way", func(s *fixture) {
		head, _, err := s.append(event.Head{}, entries("accept"))
		require.NoError(s, err)
		end := s.must(s.stream, head, entries("decide", "end"))
		got, tail, err := s.append(head, reattempted(entries("decide", "end")))
		require.NoError(s, err)
		require.Equal(s, end, got)
		require.Equal(s, []string{"decide", "end"}, keysOf(tail))
	}},
	{"a handle with an old head in its cache", func(s *fixture) {
		head, _, err := s.append(event.Head{}, entries("a"))
		require.NoError(s, err)
		newest := s.must(s.stream, head, entries("b"))
		// This handle has seen only version 1; the caller knows version 2 from elsewhere.
		got, tail, err := s.append(newest, entries("c"))
		require.NoError(s, err)
		require.Equal(s, int64(3), got.Version)
		require.Equal(s, []string{"c"}, keysOf(tail))
	}},
}

// requireTaken asserts a KeyTaken error for the key and the existing record.
func (s *fixture) requireTaken(err error, key string, version int64) {
	s.Helper()
	require.ErrorIs(s, err, fault.KeyTaken)
	require.True(s, eventlog.Lost(err))
	var taken *eventlog.TakenError
	require.ErrorAs(s, err, &taken)
	require.Equal(s, key, taken.Key)
	require.Equal(s, s.stream, taken.Stream)
	require.Equal(s, key, taken.Existing.Key)
	require.Equal(s, version, taken.Existing.Version)
}
