package eventlogtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// runModel compares the adapter with memlog: random batches at random heads, with few keys, so that conflicts are frequent.
func runModel(t *testing.T, fresh Factory) {
	open := fresh(t)
	handles := []Store{open(t), open(t)}
	serial := 0
	rapid.Check(t, func(rt *rapid.T) {
		serial++
		m := model{stream: fmt.Sprintf("order-model-%d", serial), memory: memlog.New(), handles: handles, heads: []event.Head{{}}}
		for range rapid.IntRange(1, 8).Draw(rt, "calls") {
			m.append(rt, t)
		}
		m.compare(rt, t)
	})
}

type model struct {
	stream  string
	memory  *memlog.Log
	handles []Store
	// heads are all heads that the stream has had.
	heads []event.Head
}

func (m *model) append(rt *rapid.T, t *testing.T) {
	// Usually the newest head.
	back := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5}).Draw(rt, "back")
	head := m.heads[max(len(m.heads)-1-back, 0)]
	list := make([]event.Entry, 0, 4)
	for _, key := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 4, rapid.ID[int]).Draw(rt, "keys") {
		what := rapid.SampledFrom([]string{"it", "it", "it", "something else"}).Draw(rt, "what")
		list = append(list, entry(fmt.Sprintf("k%d", key), what))
	}
	if rapid.Bool().Draw(rt, "reattempted") {
		list = reattempted(list)
	}
	log := rapid.SampledFrom(m.handles).Draw(rt, "handle")

	wantHead, wantTail, wantErr := m.memory.Append(t.Context(), m.stream, head, list)
	gotHead, gotTail, gotErr := log.Append(t.Context(), m.stream, head, list)
	require.Equal(rt, fault.CodeOf(wantErr), fault.CodeOf(gotErr), "want %v, got %v", wantErr, gotErr)
	require.Equal(rt, wantHead, gotHead)
	require.Equal(rt, hashes(wantTail), hashes(gotTail))
	var want, got *eventlog.TakenError
	if errors.As(wantErr, &want) {
		require.ErrorAs(rt, gotErr, &got)
		require.Equal(rt, want.Key, got.Key)
		require.Equal(rt, want.Existing.Hash, got.Existing.Hash)
	}
	for _, r := range wantTail {
		if r.Version > m.heads[len(m.heads)-1].Version {
			m.heads = append(m.heads, r.HeadOf())
		}
	}
}

// compare compares all records, read with every handle.
func (m *model) compare(rt *rapid.T, t *testing.T) {
	want, err := m.memory.Read(t.Context(), m.stream, 0, 0)
	require.NoError(rt, err)
	for _, log := range m.handles {
		got, err := log.Read(t.Context(), m.stream, 0, 0)
		require.NoError(rt, err)
		require.NoError(rt, eventlog.Verify(m.stream, event.Head{}, got))
		require.Equal(rt, hashes(want), hashes(got))
		head, ok, err := log.Head(t.Context(), m.stream)
		require.NoError(rt, err)
		require.Equal(rt, len(want) > 0, ok)
		require.Equal(rt, m.heads[len(m.heads)-1], head.HeadOf())
	}
}

func hashes(records []event.Record) []string {
	list := make([]string, len(records))
	for i, r := range records {
		list[i] = fmt.Sprintf("%d %s %s", r.Version, r.Key, r.Hash)
	}
	return list
}
