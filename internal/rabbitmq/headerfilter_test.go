package rabbitmq

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// header makes the frame of a content header with a content type, a table, and a message ID after it.
func header(table []byte) []byte {
	payload := binary.BigEndian.AppendUint32(nil, 60<<16)
	payload = binary.BigEndian.AppendUint64(payload, 0)
	payload = binary.BigEndian.AppendUint16(payload, hasType|hasHeaderList|1<<7)
	payload = append(append(payload, 4), "json"...)
	payload = append(binary.BigEndian.AppendUint32(payload, uint32(len(table))), table...)
	payload = append(append(payload, 2), "id"...)
	frame := append([]byte{frameContentHead, 0, 1}, binary.BigEndian.AppendUint32(nil, uint32(len(payload)))...)
	return append(append(frame, payload...), 0xCE)
}

func entry(name string, kind byte, value []byte) []byte {
	return append(append([]byte{byte(len(name))}, name...), append([]byte{kind}, value...)...)
}

func prefixed(value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(value))), value...)
}

func TestHeaderFilterRemovesUnreadableHeaders(t *testing.T) {
	deep := entry("x", 'V', nil)
	for range maxFieldDepth + 1 {
		deep = entry("t", 'F', prefixed(deep))
	}
	for name, c := range map[string]struct {
		table []byte
		kept  bool
	}{
		"usual":          {append(entry("a", 'S', prefixed([]byte("b"))), entry("n", 'l', make([]byte, 8))...), true},
		"list":           {entry("l", 'A', prefixed([]byte{'V', 't', 1})), true},
		"empty":          {nil, true},
		"too deep":       {deep, false},
		"too wide":       {entry("l", 'A', prefixed(bytes.Repeat([]byte{'V'}, maxEntries+1))), false},
		"too many":       {bytes.Repeat(entry("k", 'V', nil), maxEntries+1), false},
		"unknown type":   {entry("a", '?', nil), false},
		"cut short":      {entry("a", 'l', make([]byte, 3)), false},
		"key cut short":  {[]byte{200, 'a'}, false},
		"text cut short": {entry("a", 'S', []byte{0, 0, 1, 0, 'x'}), false},
	} {
		t.Run(name, func(t *testing.T) {
			frame := header(c.table)
			got := clean(append([]byte(nil), frame...))
			if c.kept {
				require.Equal(t, frame, got)
				return
			}
			require.Equal(t, header(droppedTable), got, "the rest of the properties is there")
			require.True(t, readable(droppedTable, true, 0))
		})
	}
}

// Whatever comes, in whatever pieces: the guard ends, takes nothing from what is no content header, and what it lets
// through is cleaned already.
func TestHeaderFilterPassesOtherFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in, want []byte
		for range rapid.IntRange(1, 5).Draw(t, "frames") {
			kind := rapid.SampledFrom([]byte{frameMethod, frameContentHead, frameBody, frameHeartbeat}).Draw(t, "kind")
			frame := header(rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "table"))
			frame[0] = kind
			in = append(in, frame...)
			if kind == frameContentHead {
				frame = clean(frame)
				require.Equal(t, frame, clean(frame), "clean is clean")
			}
			want = append(want, frame...)
		}
		if rapid.Bool().Draw(t, "other") {
			other := "AMQP\x00\x00\x09\x01" + strings.Repeat("x", rapid.IntRange(0, 9).Draw(t, "more"))
			in, want = append(in, other...), append(want, other...)
		}
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write(in)
			_ = server.Close()
		}()
		got, err := io.ReadAll(io.MultiReader(&pieces{newHeaderFilter(client), rapid.IntRange(1, 40).Draw(t, "piece")}))
		_ = client.Close()
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// pieces reads a few bytes at a time.
type pieces struct {
	from io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.from.Read(b[:min(len(b), p.size)]) }
