package rabbitmq

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"net"
	"slices"
)

// The client cannot read headers that are nested deeper or have more entries, and closes the whole connection. The broker accepts and
// delivers such a message: at the head of a queue it would block all others until its delivery limit is reached.
const (
	maxFieldDepth = 32
	maxEntries    = 8192
)

// headerFilter reads the bytes of the broker before the client does, and removes headers that the client cannot read. The message is
// marked with HeaderDropped and handled like any other.
type headerFilter struct {
	net.Conn
	in *bufio.Reader
	// frame is the rest of a frame that was parsed; pass is the number of bytes to pass through unparsed.
	frame []byte
	pass  int64
}

func newHeaderFilter(conn net.Conn) *headerFilter {
	return &headerFilter{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

const (
	frameHead        = 7 // type, channel, size
	frameMethod      = 1
	frameContentHead = 2
	frameBody        = 3
	frameHeartbeat   = 8
	// maxFrame is the maximum size of a content header that is parsed; frames have at most 128 KiB by default.
	maxFrame = 1 << 20
	// propertiesAt is the offset of the properties in a content header, after class, weight, body size and flags.
	propertiesAt                        = 14
	hasType, hasEncoding, hasHeaderList = 1 << 15, 1 << 14, 1 << 13
)

// Read implements net.Conn.
func (f *headerFilter) Read(p []byte) (int, error) {
	if len(f.frame) == 0 && f.pass == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if len(f.frame) > 0 {
		n := copy(p, f.frame)
		f.frame = f.frame[n:]
		return n, nil
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.pass)])
	f.pass -= int64(n)
	return n, err
}

// next reads the header of the next frame.
func (f *headerFilter) next() error {
	head, err := f.in.Peek(frameHead)
	if err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(head[3:]))
	switch {
	case head[0] == frameContentHead && size <= maxFrame:
		f.frame = make([]byte, frameHead+size+1)
		if _, err := io.ReadFull(f.in, f.frame); err != nil {
			return err
		}
		f.frame = clean(f.frame)
	case head[0] == frameMethod, head[0] == frameContentHead, head[0] == frameBody, head[0] == frameHeartbeat:
		f.pass = frameHead + size + 1
	default:
		f.pass = math.MaxInt64 // not AMQP 0-9-1: the client reports it
	}
	return nil
}

// clean returns the frame of a content header, with its headers replaced if the client cannot read them.
func clean(frame []byte) []byte {
	payload := frame[frameHead : len(frame)-1]
	if len(payload) < propertiesAt {
		return frame
	}
	flags := binary.BigEndian.Uint16(payload[propertiesAt-2:])
	at := propertiesAt
	for _, property := range []uint16{hasType, hasEncoding} {
		if flags&property != 0 && at < len(payload) {
			at += 1 + int(payload[at])
		}
	}
	if flags&hasHeaderList == 0 || at > len(payload) {
		return frame
	}
	table, rest, ok := sized(payload[at:])
	if !ok || readable(table, true, 0) {
		return frame
	}
	replaced := slices.Clone(frame[:frameHead+at])
	replaced = binary.BigEndian.AppendUint32(replaced, uint32(len(droppedTable)))
	replaced = slices.Concat(replaced, droppedTable, rest, frame[len(frame)-1:])
	binary.BigEndian.PutUint32(replaced[3:], uint32(len(replaced)-frameHead-1))
	return replaced
}

// droppedTable replaces unreadable headers.
var droppedTable = func() []byte {
	table := append([]byte{byte(len(HeaderDropped))}, HeaderDropped...)
	table = binary.BigEndian.AppendUint32(append(table, 'S'), uint32(len(droppedUnreadable)))
	return append(table, droppedUnreadable...)
}()

// sized splits off the bytes whose number the first four bytes give.
func sized(b []byte) (inner, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	size := int64(binary.BigEndian.Uint32(b))
	if size > int64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+size], b[4+size:], true
}

// widths has the types with a fixed width, in bytes.
var widths = map[byte]int{'t': 1, 'B': 1, 'b': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'f': 4, 'l': 8, 'd': 8, 'T': 8, 'D': 5, 'V': 0}

// readable reports whether the client can read the content of a table (keys is true) or of a list.
func readable(content []byte, keys bool, depth int) bool {
	for entries := 0; len(content) > 0; entries++ {
		at := 0
		if keys {
			at = 1 + int(content[0])
		}
		if entries == maxEntries || at >= len(content) {
			return false
		}
		kind, value := content[at], content[at+1:]
		width, fixed := widths[kind]
		if !fixed {
			inner, _, ok := sized(value)
			switch width = 4 + len(inner); kind {
			case 'S', 'x':
			case 'F', 'A':
				ok = ok && depth < maxFieldDepth && readable(inner, kind == 'F', depth+1)
			default:
				ok = false
			}
			if !ok {
				return false
			}
		}
		if width > len(value) {
			return false
		}
		content = value[width:]
	}
	return true
}
