package eventlogtest

import (
	"fmt"
	"math"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// appendCases have no conflicts.
var appendCases = []testCase{
	{"sequential appends", func(s *fixture) {
		var head event.Head
		for i, key := range []string{"accept", "reserve", "authorize"} {
			newest, tail, err := s.append(head, entries(key))
			require.NoError(s, err)
			require.Equal(s, int64(i+1), newest.Version)
			require.Equal(s, []string{key}, keysOf(tail))
			require.Equal(s, newest, tail[0].HeadOf())
			require.NoError(s, eventlog.Verify(s.stream, head, tail))
			head = newest
		}
		require.Equal(s, head, s.headOf(s.stream))
	}},
	{"data is returned as appended", func(s *fixture) {
		e := entry("accept", `quote " back \ slash / tab	 <tag> & ümlaut 💶`)
		e.Data = fmt.Appendf(nil, `{"zebra":{"b":[],"a":{}},"text":%q,"max":%d,"min":%d,"zero":0,"yes":true,"no":false,"none":null,"list":[1,"a",null,{"deep":[{"er":-1}]}]}`,
			"line\nend <&> \u2028 ü 💶", int64(1<<53-1), -int64(1<<53-1))
		_, tail, err := s.append(event.Head{}, []event.Entry{e})
		require.NoError(s, err)
		stored := s.whole(s.stream)
		require.Len(s, stored, 1)
		require.JSONEq(s, string(e.Data), string(stored[0].Data))
		require.Equal(s, tail[0].HeadOf(), stored[0].HeadOf())
		e.Data, stored[0].Data = nil, nil
		require.Equal(s, e, stored[0].Entry)
	}},
	{"empty envelope fields stay empty", func(s *fixture) {
		e := event.Entry{Key: "k", Event: event.Event{ID: "i", Type: "t", Data: []byte(`{}`)}}
		_, _, err := s.append(event.Head{}, []event.Entry{e})
		require.NoError(s, err)
		require.Equal(s, e.Event.Source, s.whole(s.stream)[0].Source)
		require.True(s, s.whole(s.stream)[0].Time.Equal(e.Time))
	}},
	{"times are stored in milliseconds and UTC", func(s *fixture) {
		e := entry("k", "it")
		e.Time = start.Add(1234567)
		_, tail, err := s.append(event.Head{}, []event.Entry{e})
		require.NoError(s, err)
		require.Equal(s, start.Add(1000000), tail[0].Time)
		require.Equal(s, start.Add(1000000), s.whole(s.stream)[0].Time)
	}},
	{"a batch of the maximum size", func(s *fixture) {
		var keys []string
		for i := range eventlog.MaxBatch {
			keys = append(keys, fmt.Sprintf("k%03d", i))
		}
		head, tail, err := s.append(event.Head{}, entries(keys...))
		require.NoError(s, err)
		require.Equal(s, int64(eventlog.MaxBatch), head.Version)
		require.Equal(s, keys, keysOf(tail))
		require.Equal(s, keys, keysOf(s.whole(s.stream)))
	}},
	{"a stream longer than a batch", func(s *fixture) {
		var head event.Head
		for batch := range 3 {
			var keys []string
			for i := range 90 {
				keys = append(keys, fmt.Sprintf("k%d-%02d", batch, i))
			}
			newest, _, err := s.append(head, entries(keys...))
			require.NoError(s, err)
			head = newest
		}
		require.Len(s, s.whole(s.stream), 270)
		require.Equal(s, head, s.headOf(s.stream))
	}},
	{"streams are separate", func(s *fixture) {
		// Names that an incorrect query could confuse.
		names := []string{"order-1", "order-10", "order-1.0", "order-1-0", "order", "ORDER-1", "order-1_"}
		for _, name := range names {
			s.must(name, event.Head{}, []event.Entry{entry("accept", name)})
		}
		for _, name := range names {
			records := s.whole(name)
			require.Len(s, records, 1)
			require.Equal(s, eventlog.Genesis(name), records[0].PrevHash)
		}
	}},
	{"a new handle finds all records", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b", "c"))
		restarted := s.open(s.T)
		found, ok, err := restarted.Head(s.ctx, s.stream)
		require.NoError(s, err)
		require.True(s, ok)
		require.Equal(s, head, found.HeadOf())
		newest, tail, err := restarted.Append(s.ctx, s.stream, head, entries("d"))
		require.NoError(s, err)
		require.Equal(s, int64(4), newest.Version)
		require.Equal(s, []string{"d"}, keysOf(tail))
		// A handle that knows neither the records nor the head.
		newest, _, err = s.open(s.T).Append(s.ctx, s.stream, newest, entries("e"))
		require.NoError(s, err)
		require.Equal(s, newest, s.headOf(s.stream))
	}},
	{"safe integers are exact", func(s *fixture) {
		e := entry("k", "it")
		e.Data = fmt.Appendf(nil, `{"n":[%d,%d,%d]}`, int64(math.MaxInt32)+1, int64(1)<<53-1, int64(1)<<52+1)
		_, _, err := s.append(event.Head{}, []event.Entry{e})
		require.NoError(s, err)
		require.JSONEq(s, string(e.Data), string(s.whole(s.stream)[0].Data))
	}},
}
