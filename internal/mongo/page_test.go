package mongo

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/cursor"
)

// fakeServer answers as a server that sorts nothing, and counts.
type fakeServer struct {
	docs        []entry
	asked, sent int
	sorted      int
}

func (f *fakeServer) some(w span, limit int) ([]entry, error) {
	f.asked++
	var found []entry
	for _, d := range f.docs {
		if bson.NewDateTimeFromTime(d.CreatedAt) >= w.from && bson.NewDateTimeFromTime(d.CreatedAt) <= w.to && len(found) < limit {
			found = append(found, d)
		}
	}
	f.sent += len(found)
	return found, nil
}

func (f *fakeServer) newest(w span, limit int) ([]entry, error) {
	f.sorted++
	found, err := f.some(w, math.MaxInt)
	slices.SortFunc(found, func(a, b entry) int { return cursor.Compare(a.position(), b.position()) })
	return found[:min(len(found), limit)], err
}

// TestReadWindows: for any creation times, limits and clock, a page has the newest documents, and takes few queries.
func TestReadWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var server fakeServer
		at := rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "newest")
		for burst := range rapid.IntRange(0, 5).Draw(t, "bursts") {
			spacing := rapid.SampledFrom([]int64{0, 1, 1000, 60_000}).Draw(t, "spacing")
			for n := range rapid.IntRange(1, 400).Draw(t, "orders") {
				server.docs = append(server.docs, entry{ID: fmt.Sprintf("o-%d-%d", burst, n), CreatedAt: time.UnixMilli(at)})
				at -= spacing
			}
			at -= rapid.Int64Range(0, 10_000_000_000).Draw(t, "quiet")
		}
		end := rapid.OneOf(
			rapid.Int64Range(0, 4_000_000_000_000), rapid.Just(int64(math.MinInt64)), rapid.Just(int64(math.MaxInt64)))
		within := span{from: bson.DateTime(end.Draw(t, "from")), to: bson.DateTime(end.Draw(t, "to"))}
		now := time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "now"))
		want := rapid.IntRange(1, 60).Draw(t, "want")

		page, err := readWindows(within, now, want, server.some, server.newest)
		require.NoError(t, err)
		asked := server.asked
		all, _ := server.newest(within, want)
		require.Equal(t, ids(all), ids(page))
		require.LessOrEqual(t, asked, 150)
	})
}

func ids(docs []entry) []string {
	list := make([]string, len(docs))
	for i, d := range docs {
		list[i] = d.ID
	}
	return list
}

// TestPageOfBusyDayAfterQuietNight: a million orders are not read for the newest of them.
func TestPageOfBusyDayAfterQuietNight(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	var server fakeServer
	for n := range 100_000 {
		server.docs = append(server.docs, entry{
			ID: fmt.Sprintf("o-%06d", n), CreatedAt: now.Add(-9*time.Hour - time.Duration(n)*300*time.Millisecond),
		})
	}
	page, err := readWindows(allTimes, now, 51, server.some, server.newest)
	require.NoError(t, err)
	require.Equal(t, ids(server.docs[:51]), ids(page))
	require.Less(t, server.asked, 40)
	require.Less(t, server.sent, 5000)
	require.Zero(t, server.sorted)
}

// TestEventsWithFutureTimes: an order from the future is the newest one.
func TestEventsWithFutureTimes(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	server := fakeServer{docs: []entry{{ID: "ahead", CreatedAt: now.Add(time.Hour)}}}
	page, err := readWindows(allTimes, now, 1, server.some, server.newest)
	require.NoError(t, err)
	require.Equal(t, []string{"ahead"}, ids(page))
	require.Equal(t, 1, server.asked)
}
