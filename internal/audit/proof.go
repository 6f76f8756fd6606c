package audit

import (
	"bytes"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// ProofFormat is the format of proofs.
const ProofFormat = "ordersaga-audit-proof/v1"

// Proof proves the records of one stream with a public key.
type Proof struct {
	Format string `json:"format"`
	// Leaf is the head of the records.
	Leaf      Leaf  `json:"leaf"`
	LeafIndex int64 `json:"leafIndex"`
	// Proof is the inclusion proof (RFC 6962), in base64.
	Proof tlog.RecordProof `json:"proof"`
	// Checkpoint is a signed note.
	Checkpoint string `json:"checkpoint"`
	// Events are the records in canonical JSON.
	Events []json.RawMessage `json:"events"`
}

// NewProof returns the proof of records, whose head is the leaf with this index.
func NewProof(leaf Leaf, index int64, path tlog.RecordProof, signed string, records []event.Record) (Proof, error) {
	p := Proof{Format: ProofFormat, Leaf: leaf, LeafIndex: index, Proof: path, Checkpoint: signed}
	for _, r := range records {
		text, err := eventlog.Canonical(r)
		if err != nil {
			return Proof{}, err
		}
		p.Events = append(p.Events, text)
	}
	return p, nil
}

// Verify verifies the proof. It returns the checkpoint, and the damage if the records are not those that were signed. The error is Invalid if signature
// or inclusion are wrong.
func (p Proof) Verify(keys Keys) (Opened, []Finding, error) {
	if p.Format != ProofFormat {
		return Opened{}, nil, fault.New(fault.Invalid, "the format is %q, not %s", p.Format, ProofFormat)
	}
	o, err := keys.Open(p.Checkpoint)
	if err != nil {
		return o, nil, err
	}
	if _, err := ParseLeaf(p.Leaf.Bytes()); err != nil {
		return o, nil, fault.Wrap(err, fault.Invalid, "read the leaf")
	}
	if p.LeafIndex < 0 || p.LeafIndex >= o.Tree.N {
		return o, nil, fault.New(fault.Invalid, "checkpoint %d has no leaf %d", o.N, p.LeafIndex)
	}
	if err := tlog.CheckRecord(p.Proof, o.Tree.N, o.Hash, p.LeafIndex, p.Leaf.TreeHash()); err != nil {
		return o, nil, fault.New(fault.Invalid, "the leaf is not in checkpoint %d", o.N)
	}
	var stored []Stored
	before := Stored{Record: event.Record{Stream: p.Leaf.Stream}}
	for _, text := range p.Events {
		// A file of JSON may have been formatted.
		canonical := jsontext.Value(bytes.Clone(text))
		if canonical.Canonicalize() != nil {
			return o, nil, fault.New(fault.Malformed, "event %d is not JSON", len(stored))
		}
		before = parseLine(canonical, before)
		stored = append(stored, before)
	}
	for _, s := range stored {
		if s.Stream != p.Leaf.Stream {
			return o, []Finding{{Kind: Inserted, Stream: p.Leaf.Stream, Version: s.Version, Detail: "the record is of stream " + s.Stream}}, nil
		}
	}
	var part Part
	part.Stream(p.Leaf.Stream, stored, []Leaf{p.Leaf})
	return o, part.Findings, nil
}
