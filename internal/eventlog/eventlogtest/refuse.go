package eventlogtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// refuseCases test what Append refuses. Nothing may be written.
var refuseCases = []testCase{
	{"heads that are not in the stream", func(s *fixture) {
		head := s.must(s.stream, event.Head{}, entries("a", "b"))
		s.must("order-2", event.Head{}, entries("a", "b", "c"))
		foreign := s.headOf("order-2")
		// A cache must not make a handle trust the caller's head.
		informed := s.open(s.T)
		_, err := informed.Read(s.ctx, s.stream, 0, 0)
		require.NoError(s, err)
		for name, wrong := range map[string]struct {
			head event.Head
			code fault.Code
		}{
			"hash":             {event.Head{Version: 2, Hash: foreign.Hash}, fault.Corrupt},
			"hash before":      {event.Head{Version: 1, Hash: head.Hash}, fault.Corrupt},
			"no hash":          {event.Head{Version: 2}, fault.Corrupt},
			"version":          {event.Head{Version: 3, Hash: head.Hash}, fault.Unavailable},
			"another stream's": {foreign, fault.Unavailable},
			"far away":         {event.Head{Version: 1000, Hash: head.Hash}, fault.Unavailable},
		} {
			for handle, log := range map[string]Store{"same": s.log, "new": s.open(s.T), "informed": informed} {
				_, _, err := log.Append(s.ctx, s.stream, wrong.head, entries("c"))
				require.ErrorIs(s, err, wrong.code, "%s, %s handle", name, handle)
				require.Equal(s, wrong.code == fault.Unavailable, errors.Is(err, fault.ErrMissing), "%s, %s handle", name, handle)
			}
		}
		_, _, err = s.append(event.Head{Version: 1, Hash: head.Hash}, entries("a"))
		require.Error(s, err)
		_, _, err = s.log.Append(s.ctx, "order-empty", head, entries("c"))
		require.ErrorIs(s, err, fault.ErrMissing)
		_, _, err = s.append(event.Head{Version: -1}, entries("c"))
		require.ErrorIs(s, err, fault.Invalid)
		require.Len(s, s.whole(s.stream), 2)
	}},
	{"batches that are empty, too long or have a duplicate key", func(s *fixture) {
		long := make([]event.Entry, eventlog.MaxBatch+1)
		for i := range long {
			long[i] = entry(fmt.Sprintf("k%d", i), "it")
		}
		for name, list := range map[string][]event.Entry{
			"empty": nil, "too long": long, "twice": entries("a", "b", "a"),
			"bad in the middle": {entry("a", "it"), {}, entry("b", "it")},
		} {
			_, _, err := s.append(event.Head{}, list)
			require.ErrorIs(s, err, fault.Invalid, name)
		}
		require.Empty(s, s.whole(s.stream))
	}},
	{"data that would not be returned unchanged", func(s *fixture) {
		for _, data := range []string{
			``, `null`, `1`, `"text"`, `[]`, `{`, `{}{}`, `{} x`, `{"a":}`, `{"a" 1}`, `{"a":1,}`,
			`{"a":1.5}`, `{"a":1e3}`, `{"a":1.0}`, `{"a":9007199254740992}`, `{"a":-9007199254740992}`, `{"a":1e400}`, `{"a":-0}`,
			`{"a":[[1]]}`, `{"a":[{"b":[[]]}]}`,
			`{"a":1,"a":2}`, `{"a":{"b":1,"b":1}}`, `{"a":1,"\u0061":1}`,
			`{"":1}`, `{"$a":1}`, `{"a.b":1}`, `{"_id":1}`, `{"a":{"_id":1}}`, `{"a\u0000b":1}`, `{"a":"\u0000"}`,
			`{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, "{\"a\":\"\xff\"}", "{\"\xff\":1}",
			strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200),
		} {
			e := entry("k", "it")
			e.Data = []byte(data)
			_, _, err := s.append(event.Head{}, []event.Entry{e})
			require.ErrorIs(s, err, fault.Invalid, "%.60s", data)
		}
		require.Empty(s, s.whole(s.stream))
	}},
	{"data that is too large", func(s *fixture) {
		e := entry("k", "it")
		e.Data = fmt.Appendf(nil, `{"a":"%s"}`, bytes.Repeat([]byte("a"), eventlog.MaxDataBytes))
		_, _, err := s.append(event.Head{}, []event.Entry{e})
		require.ErrorIs(s, err, fault.TooLarge)
		e.Data = fmt.Appendf(nil, `{"a":"%s"}`, bytes.Repeat([]byte("a"), eventlog.MaxDataBytes-8))
		_, _, err = s.append(event.Head{}, []event.Entry{e})
		require.NoError(s, err, "the maximum size is accepted")
	}},
	{"envelopes that would not be returned unchanged", func(s *fixture) {
		for name, change := range map[string]func(*event.Entry){
			"no key":   func(e *event.Entry) { e.Key = "" },
			"no type":  func(e *event.Entry) { e.Type = "" },
			"no id":    func(e *event.Entry) { e.ID = "" },
			"long key": func(e *event.Entry) { e.Key = strings.Repeat("k", 1025) },
			"NUL":      func(e *event.Entry) { e.Subject = "a\x00b" },
			"no UTF-8": func(e *event.Entry) { e.CorrelationID = "\xff" },
			"schema":   func(e *event.Entry) { e.SchemaVersion = 1 << 53 },
			"year":     func(e *event.Entry) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		} {
			e := entry("k", "it")
			change(&e)
			_, _, err := s.append(event.Head{}, []event.Entry{e})
			require.ErrorIs(s, err, fault.Invalid, name)
		}
		for _, stream := range []string{"", "a@b", "a\x00", "\xff", strings.Repeat("s", 1025)} {
			_, _, err := s.log.Append(s.ctx, stream, event.Head{}, entries("k"))
			require.ErrorIs(s, err, fault.Invalid, stream)
		}
	}},
}
