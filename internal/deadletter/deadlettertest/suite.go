// Package deadlettertest is the contract suite of deadletter.Store. Only tests may import it.
package deadlettertest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// start is the time when the first letter of the suite failed.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Letter returns letter number n. Groups of three have the same time.
func Letter(n int, body []byte) deadletter.Letter {
	reasons := []fault.Code{fault.Invalid, fault.Conflict, deadletter.ReasonDeliveryLimit}
	at := start.Add(time.Duration(n/3) * time.Second)
	return deadletter.New(deadletter.Letter{
		Message: wire.Message{
			ContentType: "application/json", ContentEncoding: "identity", MessageID: fmt.Sprintf("evt-%d", n), CorrelationID: "corr", Type: "order.created",
			AppID: "shop", Timestamp: at, RoutingKey: "order.created", Exchange: "domain_events", Body: body,
			Headers: map[string]any{"x-tenant": "blue", "n": int32(7)},
		},
		Reason: reasons[n%3], Detail: "because", Attempts: n, Parked: 1, FirstSeen: null.At(at.Add(-time.Minute)), FailedAt: null.At(at),
	}, at.Add(time.Second))
}

// Run runs the suite. open is called once for each test.
func Run(t *testing.T, open func(t *testing.T) deadletter.Store) {
	t.Run("a letter is stored once and unchanged", func(t *testing.T) { kept(t, open(t)) })
	t.Run("bodies and headers of any kind", func(t *testing.T) { anything(t, open(t)) })
	t.Run("one of concurrent inserts succeeds", func(t *testing.T) { race(t, open(t)) })
	t.Run("marks", func(t *testing.T) { marks(t, open(t)) })
	t.Run("lists", func(t *testing.T) { lists(t, open(t)) })
	t.Run("replaced payloads", func(t *testing.T) { replaced(t, open(t)) })
	t.Run("deletion", func(t *testing.T) { deletion(t, open(t)) })
}

func kept(t *testing.T, s deadletter.Store) {
	l := Letter(1, []byte(`{"a":1}`))
	_, ok, err := s.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.False(t, ok)
	inserted, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	require.True(t, inserted)
	again := l
	again.KeptAt, again.Detail = null.At(again.KeptAt.Add(time.Hour)), "otherwise"
	inserted, err = s.Insert(t.Context(), again)
	require.NoError(t, err)
	require.False(t, inserted, "an existing letter is not changed")
	got, ok, err := s.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, l, got)
}

func anything(t *testing.T, s deadletter.Store) {
	big := bytes.Repeat([]byte{0, 1, 0xff, 'x'}, 5<<20) // too large for one document
	for name, m := range map[string]wire.Message{
		"nothing":        {},
		"binary":         {Body: []byte{0xff, 0, 1}, MessageID: "b"},
		"20 MiB":         {Body: big, MessageID: "c"},
		"no UTF-8":       {Body: []byte("x"), MessageID: "\xff\xfe", Type: "a\x00b", Exchange: "\xf0", RoutingKey: "r\x00", CorrelationID: "\xc3("},
		"every header":   {Body: []byte("x"), Headers: everyHeader()},
		"no JSON at all": {Body: []byte("<xml/>"), ContentType: "text/xml"},
	} {
		t.Run(name, func(t *testing.T) {
			l := deadletter.New(deadletter.Letter{Message: m, Reason: fault.Malformed, FailedAt: null.At(start)}, start)
			_, err := s.Insert(t.Context(), l)
			require.NoError(t, err)
			got, ok, err := s.Get(t.Context(), l.ID)
			require.NoError(t, err)
			require.True(t, ok)
			require.True(t, bytes.Equal(m.Body, got.Message.Body), "%d bytes instead of %d", len(got.Message.Body), len(m.Body))
			m.Body, got.Message.Body = nil, nil
			require.Equal(t, m, got.Message)
			require.Equal(t, l.PayloadHash, got.PayloadHash)
		})
	}
	items, _, err := s.List(t.Context(), deadletter.Filter{})
	require.NoError(t, err)
	require.Len(t, items, 6, "parts of bodies are not listed")
}

// everyHeader has a value of every AMQP type.
func everyHeader() map[string]any {
	return map[string]any{
		"nil": nil, "string": "s", "latin1": "caf\xe9", "bytes": []byte{0, 0xff}, "bool": true, "time": start,
		"float32": float32(1.5), "float64": 2.25, "int8": int8(-1), "uint8": byte(200), "int16": int16(-2), "uint16": uint16(3),
		"int32": int32(-4), "uint32": uint32(5), "int64": int64(1) << 60, "int": int64(7), "list": []any{"a", int32(1), map[string]any{"deep": true}},
		"table": map[string]any{"a.b": "c", "$d": nil}, "": "no name",
	}
}

func race(t *testing.T, s deadletter.Store) {
	l := Letter(1, []byte("x"))
	var all sync.WaitGroup
	won := make(chan bool, 16)
	for range cap(won) {
		all.Go(func() {
			inserted, err := s.Insert(t.Context(), l)
			won <- inserted && err == nil
		})
	}
	all.Wait()
	close(won)
	winners := 0
	for w := range won {
		if w {
			winners++
		}
	}
	require.Equal(t, 1, winners)
}

func marks(t *testing.T, s deadletter.Store) {
	l := Letter(1, []byte("x"))
	require.NoError(t, s.Mark(t.Context(), l.ID, deadletter.StatusReplayed, 3), "marking a missing letter does nothing")
	_, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	status := func() deadletter.Status {
		got, _, err := s.Get(t.Context(), l.ID)
		require.NoError(t, err)
		return got.Status
	}
	require.Equal(t, deadletter.StatusOpen, status())
	require.NoError(t, s.Mark(t.Context(), l.ID, deadletter.StatusReplayed, 3))
	require.NoError(t, s.Mark(t.Context(), l.ID, deadletter.StatusReplaying, 2))
	require.Equal(t, deadletter.StatusReplayed, status(), "an older version is ignored")
	require.NoError(t, s.Mark(t.Context(), l.ID, deadletter.StatusDiscarded, 4))
	require.Equal(t, deadletter.StatusDiscarded, status())
}

// origin is the part of a message that every store lists.
func origin(l deadletter.Letter) wire.Message {
	return wire.Message{Exchange: l.Message.Exchange, RoutingKey: l.Message.RoutingKey}
}

func lists(t *testing.T, s deadletter.Store) {
	items, next, err := s.List(t.Context(), deadletter.Filter{})
	require.NoError(t, err)
	require.NotNil(t, items, "an empty list, not null")
	require.Empty(t, next)
	var all []deadletter.Letter
	for n := range 20 {
		l := Letter(n, []byte("x"))
		_, err := s.Insert(t.Context(), l)
		require.NoError(t, err)
		item := l
		if n%4 == 0 {
			item.Status, item.Version = deadletter.StatusReplayed, 3
			require.NoError(t, s.Mark(t.Context(), l.ID, item.Status, item.Version))
		}
		item.Message = origin(item)
		all = append(all, item)
	}
	slices.SortFunc(all, func(a, b deadletter.Letter) int {
		return cursor.Compare(positionOf(a), positionOf(b))
	})
	for name, f := range map[string]deadletter.Filter{
		"all":     {},
		"reason":  {Reasons: []fault.Code{fault.Conflict}},
		"reasons": {Reasons: []fault.Code{fault.Conflict, deadletter.ReasonDeliveryLimit}},
		"type":    {Types: []string{"order.created"}},
		"none":    {Types: []string{"stock.received"}},
		"status":  {Statuses: deadletter.Undecided},
		"time":    {From: start.Add(time.Second), To: start.Add(4 * time.Second)},
		"between": {From: start.Add(time.Second + 1), To: start.Add(4*time.Second + 1)},
		"several": {Reasons: []fault.Code{fault.Invalid}, Statuses: []deadletter.Status{deadletter.StatusOpen}, From: start.Add(time.Second)},
	} {
		want := []deadletter.Letter{}
		for _, item := range all {
			if matches(f, item) {
				want = append(want, item)
			}
		}
		for _, limit := range []int{1, 3, 20, 500} {
			f.Limit, f.Cursor = limit, ""
			got := []deadletter.Letter{}
			for {
				items, next, err := s.List(t.Context(), f)
				require.NoError(t, err)
				require.LessOrEqual(t, len(items), limit)
				for i := range items {
					items[i].Message = origin(items[i])
				}
				got = append(got, items...)
				if f.Cursor = next; next == "" {
					break
				}
			}
			require.Equal(t, want, got, "%s, limit %d", name, limit)
		}
	}
	for name, f := range map[string]deadletter.Filter{
		"/status": {Statuses: []deadletter.Status{"lost"}}, "/limit": {Limit: -1}, "/cursor": {Cursor: "?"},
	} {
		_, _, err := s.List(t.Context(), f)
		require.ErrorIs(t, err, fault.Invalid)
		require.Equal(t, name, fault.FieldsOf(err)[0].Pointer)
	}
}

func replaced(t *testing.T, s deadletter.Store) {
	l := Letter(1, []byte("x"))
	_, err := s.Insert(t.Context(), l)
	require.NoError(t, err)
	for _, body := range [][]byte{[]byte("better"), {}, bytes.Repeat([]byte("y"), 9<<20)} {
		require.NoError(t, s.SaveBody(t.Context(), l.ID, body))
		require.NoError(t, s.SaveBody(t.Context(), l.ID, body))
		got, err := s.LoadBody(t.Context(), l.ID, deadletter.HashOf(body))
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
	}
	_, err = s.LoadBody(t.Context(), l.ID, deadletter.HashOf([]byte("not saved")))
	require.ErrorIs(t, err, fault.ErrMissing)
	items, _, err := s.List(t.Context(), deadletter.Filter{})
	require.NoError(t, err)
	require.Len(t, items, 1)
}

func deletion(t *testing.T, s deadletter.Store) {
	replacement := []byte("better")
	var letters []deadletter.Letter
	for n, body := range [][]byte{[]byte("x"), []byte("y"), bytes.Repeat([]byte("z"), 9<<20)} {
		l := Letter(n, body)
		_, err := s.Insert(t.Context(), l)
		require.NoError(t, err)
		require.NoError(t, s.SaveBody(t.Context(), l.ID, replacement))
		letters = append(letters, l)
	}
	for _, l := range []deadletter.Letter{letters[0], letters[2]} {
		for range 2 {
			require.NoError(t, s.Delete(t.Context(), l.ID))
			_, found, err := s.Get(t.Context(), l.ID)
			require.NoError(t, err)
			require.False(t, found)
			_, err = s.LoadBody(t.Context(), l.ID, deadletter.HashOf(replacement))
			require.ErrorIs(t, err, fault.ErrMissing)
		}
	}
	items, _, err := s.List(t.Context(), deadletter.Filter{})
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Equal(t, letters[1].ID, items[0].ID)
	kept, err := s.LoadBody(t.Context(), letters[1].ID, deadletter.HashOf(replacement))
	require.NoError(t, err)
	require.Equal(t, replacement, kept)
	inserted, err := s.Insert(t.Context(), letters[2])
	require.NoError(t, err)
	require.True(t, inserted, "a deleted letter can be stored again")
	got, _, err := s.Get(t.Context(), letters[2].ID)
	require.NoError(t, err)
	require.Equal(t, letters[2].PayloadHash, deadletter.HashOf(got.Message.Body))
}
