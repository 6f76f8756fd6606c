package wiretap

import (
	"bufio"
	"io"
	"path"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// maxTable bounds the table of header fields that a client may build up.
const maxTable = 64 << 10

// readGRPC counts the requests that a client begins, by the last part of their path.
func readGRPC(r io.Reader, count func(string, int64)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	if _, err := in.Discard(len(http2.ClientPreface)); err != nil {
		return err
	}
	// Compressed headers depend on all that came before: none may be left out.
	headers := hpack.NewDecoder(maxTable, func(f hpack.HeaderField) {
		if f.Name == ":path" {
			count(path.Base(f.Value), 1)
		}
	})
	frames := http2.NewFramer(io.Discard, in)
	frames.SetMaxReadFrameSize(maxMessage)
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return err
		}
		var block []byte
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			block = f.HeaderBlockFragment()
		case *http2.ContinuationFrame:
			block = f.HeaderBlockFragment()
		default:
			continue
		}
		if _, err := headers.Write(block); err != nil {
			return err
		}
	}
}
