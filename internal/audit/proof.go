package audit

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Formats of proofs: of the records of a stream, and of the consistency of two checkpoints.
const (
	ProofFormat       = "ordersaga-audit-proof/v1"
	ConsistencyFormat = "ordersaga-audit-consistency/v1"
)

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

// Consistency proves that the log of one checkpoint begins with the log of an older one.
type Consistency struct {
	Format string `json:"format"`
	// Older and Checkpoint are signed notes.
	Older      string `json:"older"`
	Checkpoint string `json:"checkpoint"`
	// Proof is the consistency proof (RFC 6962), in base64.
	Proof tlog.TreeProof `json:"proof"`
}

// verify verifies the proof and returns both checkpoints. The error is Invalid if a signature or the proof is wrong.
func (c Consistency) verify(keys Keys) (older, newer Opened, err error) {
	if older, err = keys.Open(c.Older); err == nil {
		newer, err = keys.Open(c.Checkpoint)
	}
	if err != nil {
		return older, newer, err
	}
	later := older.N < newer.N && older.Tree.N < newer.Tree.N || older.Text() == newer.Text()
	if !later || older.Origin != newer.Origin || tlog.CheckTree(c.Proof, newer.Tree.N, newer.Hash, older.Tree.N, older.Hash) != nil {
		return older, newer, fault.New(fault.Invalid, "checkpoint %d does not continue checkpoint %d", newer.N, older.N)
	}
	return older, newer, nil
}

// VerifyProof verifies the JSON of a Proof or a Consistency. Each kept note must be a checkpoint of it. Every witness must have cosigned the kept notes;
// without them, the newest one of the proof. The error is Invalid if a signature or the proof is wrong; damage of records is in the report.
func VerifyProof(text []byte, o Options) (*Report, error) {
	var p Proof
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fault.Wrap(err, fault.Malformed, "read the proof")
	}
	var of []Opened
	var findings []Finding
	if p.Format == ConsistencyFormat {
		var c Consistency
		if err := json.Unmarshal(text, &c); err != nil {
			return nil, fault.Wrap(err, fault.Malformed, "read the proof")
		}
		older, newer, err := c.verify(o.Keys)
		if err != nil {
			return nil, err
		}
		of = []Opened{older, newer}
	} else {
		opened, found, err := p.Verify(o.Keys)
		if err != nil {
			return nil, err
		}
		of, findings = []Opened{opened}, found
	}
	newest := of[len(of)-1]
	if len(o.Kept) == 0 {
		if err := o.Keys.cosigned(newest); err != nil {
			return nil, err
		}
	}
	for _, signed := range o.Kept {
		kept, err := o.Keys.openCosigned(signed)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(of, func(o Opened) bool { return o.Text() == kept.Text() }) {
			return nil, fault.New(fault.Invalid, "the proof is not of the checkpoint %d that was kept", kept.N)
		}
	}
	r := &Report{Checkpoint: newest.N, Origin: newest.Origin, Root: newest.Hash.String(), Leaves: newest.Tree.N, Findings: append([]Finding{}, findings...)}
	if p.Format == ProofFormat {
		r.Counts = Counts{Streams: 1, Events: int64(len(p.Events))}
	}
	return r, nil
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
