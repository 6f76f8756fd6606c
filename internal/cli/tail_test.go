package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// stream is an order's stream as a tail sees it.
type stream struct {
	records []event.Record
	err     error
}

func (s *stream) Read(_ context.Context, _ string, after int64, _ int) ([]event.Record, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.records[min(after, int64(len(s.records))):], nil
}

// grow appends an event and returns the message that it is published as.
func (s *stream) grow(t require.TestingT) wire.Message {
	version := int64(len(s.records) + 1)
	e := event.New(event.OrderStream("o-1"), "k", event.OrderNeedsAttention, "o-1", time.Unix(version, 0), map[string]any{"orderId": "o-1", "step": "deliver"})
	r := event.Record{Version: version, Entry: e}
	s.records = append(s.records, r)
	m, err := wire.Encode(r)
	require.NoError(t, err)
	return m
}

func newTailer(log streamReader) (t *tailer, out, said *bytes.Buffer) {
	out, said = new(bytes.Buffer), new(bytes.Buffer)
	return &tailer{order: "o-1", log: log, printer: newTailPrinter(out, true), status: said, stop: func() {}}, out, said
}

// sequences are those of the events that were shown.
func sequences(t require.TestingT, out *bytes.Buffer) []string {
	var shown []string
	for decoder := json.NewDecoder(out); decoder.More(); {
		var s tailEvent
		require.NoError(t, decoder.Decode(&s))
		shown = append(shown, s.Sequence)
	}
	return shown
}

// Whatever is appended when, however late and often it is published, and however often the connection is lost: each
// event is shown once and in order.
func TestTailMergesLogAndBusWithoutGapOrDuplicate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := new(stream)
		tail, out, _ := newTailer(s)
		var published []wire.Message
		next, connected := 0, false
		for session := uint64(1); len(s.records) < 12; {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1, 2:
				published = append(published, s.grow(t))
			case 3:
				if connected {
					tail.disconnected(errors.New("gone"), 0)
				} else {
					tail.connected(t.Context(), "here", session)
					session++
				}
				connected = !connected
			case 4, 5, 6, 7: // the next one is published; without a connection, or with a full buffer, the tail does not receive it
				if next < len(published) {
					if connected && rapid.IntRange(0, 4).Draw(t, "dropped") > 0 {
						tail.message(t.Context(), published[next])
					}
					next++
				}
			default: // and an old one again
				if connected && next > 0 {
					tail.message(t.Context(), published[rapid.IntRange(0, next-1).Draw(t, "again")])
				}
			}
		}
		tail.connected(t.Context(), "here", 99)
		shown := sequences(t, out)
		require.Len(t, shown, len(s.records))
		for i, r := range s.records {
			require.Equal(t, shown[i], sequenceOf(r))
		}
	})
}

func sequenceOf(r event.Record) string { return tailEventOf(r.Event, r.Version).Sequence }

func TestTailWithoutLogReportsGaps(t *testing.T) {
	s := new(stream)
	tail, out, said := newTailer(nil)
	for i := range 5 {
		if m := s.grow(t); i != 3 {
			tail.message(t.Context(), m)
			tail.message(t.Context(), m)
		}
	}
	tail.message(t.Context(), wire.Message{Body: []byte(`{"type":"shipment.dispatched","data":{"orderId":"o-1"}}`)})
	tail.message(t.Context(), wire.Message{Body: []byte(`{"type":"shipment.dispatched","data":{"orderId":"o-2"}}`)})
	require.Equal(t, []string{"1", "2", "3", "5", ""}, sequences(t, out))
	require.Equal(t, "events 4 to 4 are missing\n", said.String())
}

func TestTailEndsWhenTheLogIsUnreadable(t *testing.T) {
	tail, _, _ := newTailer(&stream{err: errors.New("gone")})
	stopped := false
	tail.stop = func() { stopped = true }
	tail.connected(t.Context(), "here", 1)
	require.True(t, stopped)
	require.ErrorContains(t, tail.failed, "gone")
}

func TestTailOutput(t *testing.T) {
	out := new(bytes.Buffer)
	s := newTailPrinter(out, false)
	for _, m := range []wire.Message{
		{Body: []byte(`{"type":"OrderCreated","timestamp":"2026-11-21T12:00:00.5Z","data":{"orderId":"shop-1001","customerId":"c-7","currency":"EUR","lines":[{"sku":"tea","quantity":2}]}}`)},
		{RoutingKey: "parcel.weighed", Body: []byte(`{"id":"1","subject":"p-1","data":{"grams":12}}`)},
		{RoutingKey: "evil.event", Body: []byte("{\"data\":{\"reason\":\"\\u001b[2Jgone\"}}")},
		{RoutingKey: "not.json", Body: []byte("<xml/>")},
	} {
		require.NoError(t, s.write(readTailEvent(m)))
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 5)
	require.Regexp(t, `^TIME {10}TYPE {25}SUBJECT {9}#  DATA$`, lines[0])
	require.Regexp(t, `^\d\d:\d\d:00\.500  order\.created {16}shop-1001 {10}c-7, EUR, 2 × tea$`, lines[1])
	require.Regexp(t, `parcel\.weighed +p-1 +\{"grams":12\}$`, lines[2])
	require.Regexp(t, `evil\.event +·\[2Jgone$`, lines[3])
	require.NotContains(t, out.String(), "\x1b")
	require.Regexp(t, `not\.json *$`, lines[4])
}

func TestTypesAreBoundWithTheirAliases(t *testing.T) {
	require.Equal(t, []string{"order.created", "OrderCreated", "order.*", "parcel.weighed"}, bindings([]string{"OrderCreated", "order.*", "parcel.weighed"}))
	require.Empty(t, bindings(nil))
}

func TestPatternsMatchAsTheBrokerDoes(t *testing.T) {
	for pattern, keys := range map[string]map[string]bool{
		"order.*":     {"order.completed": true, "order": false, "order.a.b": false, "payment.captured": false},
		"order.#":     {"order.completed": true, "order": true, "order.a.b": true, "orders.a": false},
		"#":           {"order.completed": true, "": true},
		"*.completed": {"order.completed": true, "completed": false},
		"#.completed": {"order.completed": true, "completed": true, "a.b.completed": true, "completed.a": false},
	} {
		for key, want := range keys {
			require.Equal(t, want, matches(pattern, key), "%s %s", pattern, key)
		}
	}
}
