package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Leaf is the head of a stream, as a checkpoint covers it.
type Leaf struct {
	Stream  string `json:"stream"`
	Version int64  `json:"version"`
	// Hash is the hash of the record with this version. Lower-case hexadecimal.
	Hash string `json:"hash"`
}

// hashBytes is the size of a hash.
const hashBytes = 32

// Bytes returns the leaf's entry in the tree: its canonical JSON (RFC 8785).
func (l Leaf) Bytes() []byte {
	b := append([]byte(`{"hash":"`), l.Hash...)
	b, _ = jsontext.AppendQuote(append(b, `","stream":`...), l.Stream) // names of streams are UTF-8
	return append(strconv.AppendInt(append(b, `,"version":`...), l.Version, 10), '}')
}

// TreeHash is the hash of the leaf in the tree.
func (l Leaf) TreeHash() tlog.Hash { return tlog.RecordHash(l.Bytes()) }

// ParseLeaf reads the canonical JSON of a leaf; every other form is Malformed.
func ParseLeaf(line []byte) (Leaf, error) {
	var l Leaf
	if err := json.Unmarshal(line, &l); err != nil {
		return Leaf{}, fault.Wrap(err, fault.Malformed, "read leaf")
	}
	if sum, err := hex.DecodeString(l.Hash); err != nil || len(sum) != hashBytes || l.Version < 1 || l.Stream == "" || !bytes.Equal(l.Bytes(), line) {
		return Leaf{}, fault.New(fault.Malformed, "%q is not the canonical form of a leaf", line)
	}
	return l, nil
}
