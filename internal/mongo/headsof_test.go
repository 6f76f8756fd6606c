package mongo

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// TestHeads: of streams whose heads this process remembers, remembers and that went on since, and does not know; for a log that
// reads many at once, and one that reads one after the other.
func TestHeads(t *testing.T) {
	log := newLog(t)
	other := open(t, log.events.db)
	var streams []string
	want := make(map[string]int64)
	for i := range 30 {
		stream := fmt.Sprintf("sku-%d", i)
		streams = append(streams, stream)
		writer := log
		if i%3 == 0 {
			writer = other
		}
		head, _, err := writer.Append(t.Context(), stream, event.Head{}, entries("a", "b"))
		require.NoError(t, err)
		want[stream] = head.Version
		if i%5 == 0 {
			head, _, err = other.Append(t.Context(), stream, head, entries("c", "d", "e"))
			require.NoError(t, err)
			want[stream] = head.Version
		}
	}
	streams = append(streams, "sku-none")
	follower, err := eventlog.NewFollower(eventlog.FollowerConfig{Log: log})
	require.NoError(t, err)
	for range 2 {
		for _, l := range []eventlog.Reader{log, follower, struct{ eventlog.Reader }{log}, open(t, log.events.db)} {
			heads, err := eventlog.Heads(t.Context(), l, streams)
			require.NoError(t, err)
			got := make(map[string]int64, len(heads))
			for stream, r := range heads {
				require.Equal(t, stream, r.Stream)
				got[stream] = r.Version
			}
			require.Equal(t, want, got)
		}
	}
	none, err := log.Heads(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}
