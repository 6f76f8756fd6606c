package readmodel

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

// TestWindowsCoverTheSpan: whatever the ends and the clock are, windows follow each other without a gap from the newest
// moment of the span to its oldest, and there are few of them.
func TestWindowsCoverTheSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.OneOf(
			rapid.Int64Range(0, 4_000_000_000_000), rapid.Just(int64(math.MinInt64)), rapid.Just(int64(math.MaxInt64)))
		s := span{bson.DateTime(moment.Draw(t, "from")), bson.DateTime(moment.Draw(t, "to"))}
		now := time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "now"))
		windows := slices.Collect(s.windows(now))
		if s.from > s.to {
			require.Empty(t, windows)
			return
		}
		require.LessOrEqual(t, len(windows), 12)
		next := s.to
		for _, w := range windows {
			require.Equal(t, next, w.to)
			require.LessOrEqual(t, w.from, w.to)
			next = w.from - 1
		}
		require.Equal(t, s.from, windows[len(windows)-1].from)
	})
}

// TestTheFirstWindowIsShort: what came just now is found without looking at what came before.
func TestTheFirstWindowIsShort(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for w := range always.windows(now) {
		require.Equal(t, span{1_800_000_000_000 - 1000, math.MaxInt64}, w, "an order from a clock that is ahead is in it")
		break
	}
	for w := range (span{math.MinInt64, 1000}).windows(now) {
		require.Equal(t, span{0, 1000}, w, "behind a cursor the clock does not matter")
		break
	}
}
