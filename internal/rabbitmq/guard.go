package rabbitmq

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"net"
)

// The client refuses to read headers that are nested deeper or have more entries than this, and gives the whole connection
// up: one such message at the head of a queue would hold up all the others until the delivery limit is reached, which is
// generous. The broker takes and delivers it.
const (
	maxFieldDepth = 32
	maxEntries    = 8192
)

// guard reads what the broker sends before the client does, and takes headers away that the client cannot read. The message
// comes without them, marked with HeaderDropped, and is judged like any other.
type guard struct {
	net.Conn
	in *bufio.Reader
	// frame is what is left of a frame that was looked into; pass is how many bytes go by unseen.
	frame []byte
	pass  int64
}

func newGuard(conn net.Conn) *guard {
	return &guard{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

const (
	frameHead        = 7 // type, channel, size
	frameMethod      = 1
	frameContentHead = 2
	frameBody        = 3
	frameHeartbeat   = 8
	// maxFrame is how large a content header may be to be looked into; frames have at most 128 KiB unless the broker is
	// configured otherwise.
	maxFrame = 1 << 20
	// propertiesAt is where the properties begin in a content header: class, weight, size of the body, flags.
	propertiesAt                        = 14
	hasType, hasEncoding, hasHeaderList = 1 << 15, 1 << 14, 1 << 13
)

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.frame) == 0 && g.pass == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if len(g.frame) > 0 {
		n := copy(p, g.frame)
		g.frame = g.frame[n:]
		return n, nil
	}
	n, err := g.in.Read(p[:min(int64(len(p)), g.pass)])
	g.pass -= int64(n)
	return n, err
}

// next looks at the head of the next frame.
func (g *guard) next() error {
	head, err := g.in.Peek(frameHead)
	if err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(head[3:]))
	switch {
	case head[0] == frameContentHead && size <= maxFrame:
		g.frame = make([]byte, frameHead+size+1)
		if _, err := io.ReadFull(g.in, g.frame); err != nil {
			return err
		}
		g.frame = clean(g.frame)
	case head[0] == frameMethod, head[0] == frameContentHead, head[0] == frameBody, head[0] == frameHeartbeat:
		g.pass = frameHead + size + 1
	default:
		g.pass = math.MaxInt64 // not AMQP as we know it: the client will say so
	}
	return nil
}

// clean returns the frame of a content header with headers that the client can read.
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
	if flags&hasHeaderList == 0 || at+4 > len(payload) {
		return frame
	}
	table, rest, ok := sized(payload[at:])
	if !ok || readable(table, 0) {
		return frame
	}
	replaced := append([]byte(nil), frame[:frameHead+at]...)
	replaced = binary.BigEndian.AppendUint32(replaced, uint32(len(droppedTable)))
	replaced = append(append(replaced, droppedTable...), rest...)
	replaced = append(replaced, frame[len(frame)-1])
	binary.BigEndian.PutUint32(replaced[3:], uint32(len(replaced)-frameHead-1))
	return replaced
}

// droppedTable is what stands in the place of unreadable headers.
var droppedTable = func() []byte {
	const why = droppedUnreadable
	table := append([]byte{byte(len(HeaderDropped))}, HeaderDropped...)
	table = binary.BigEndian.AppendUint32(append(table, 'S'), uint32(len(why)))
	return append(table, why...)
}()

// sized cuts off what its first four bytes say the size of.
func sized(b []byte) (inner, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	size := binary.BigEndian.Uint32(b)
	if int64(size) > int64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+size], b[4+size:], true
}

// readable reports whether the client can read the content of a table.
func readable(table []byte, depth int) bool {
	for entries := 0; len(table) > 0; entries++ {
		key := 1 + int(table[0])
		if entries == maxEntries || depth > maxFieldDepth || key > len(table) {
			return false
		}
		var ok bool
		if table, ok = field(table[key:], depth); !ok {
			return false
		}
	}
	return true
}

// widths are the types of values that have a fixed width.
var widths = map[byte]int{'t': 1, 'B': 1, 'b': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'f': 4, 'l': 8, 'd': 8, 'T': 8, 'D': 5, 'V': 0}

// field skips a value that the client can read.
func field(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	kind, b := b[0], b[1:]
	if width, fixed := widths[kind]; fixed {
		if len(b) < width {
			return nil, false
		}
		return b[width:], true
	}
	inner, rest, ok := sized(b)
	if !ok {
		return nil, false
	}
	switch kind {
	case 'S', 'x':
		return rest, true
	case 'F':
		return rest, depth < maxFieldDepth && readable(inner, depth+1)
	case 'A':
		return rest, depth < maxFieldDepth && readableList(inner, depth+1)
	}
	return nil, false
}

// readableList is readable for a list.
func readableList(list []byte, depth int) bool {
	for entries := 0; len(list) > 0; entries++ {
		var ok bool
		if list, ok = field(list, depth); !ok || entries == maxEntries {
			return false
		}
	}
	return true
}
