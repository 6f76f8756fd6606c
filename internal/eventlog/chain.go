package eventlog

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// The prefixes separate the domains of hashes: a record never has the hash of a genesis, or of data of another program.
const (
	genesisPrefix = "ordersaga/genesis/v1\n"
	recordPrefix  = "ordersaga/record/v1\n"
)

// Genesis returns the PrevHash of the first record of stream. It depends on the name of the stream, so that a record cannot be moved to
// another stream.
func Genesis(stream string) string {
	sum := sha256.Sum256([]byte(genesisPrefix + stream))
	return hex.EncodeToString(sum[:])
}

// PrevHash returns the PrevHash of the record that follows head in stream.
func PrevHash(stream string, head event.Head) string {
	if head.Version == 0 {
		return Genesis(stream)
	}
	return head.Hash
}

// canonicalTime is the format of times in the canonical envelope: RFC 3339, UTC, three decimals.
const canonicalTime = "2006-01-02T15:04:05.000Z"

// Hash returns the hash of r, which covers r.PrevHash and all other fields except r.Hash:
//
//	SHA-256("ordersaga/record/v1\n" ‖ prevHash (hex) ‖ "\n" ‖ RFC 8785 of the envelope)
//
// The error is Invalid or TooLarge if checkData refuses the data.
func Hash(r event.Record) (string, error) {
	if err := checkData(r.Data); err != nil {
		return "", fault.Wrap(err, fault.CodeOf(err), "hash %s of stream %s", r.Key, r.Stream)
	}
	covered := make([]byte, 0, len(recordPrefix)+len(r.PrevHash)+len(r.Data)+envelopeBytes)
	covered = append(append(append(covered, recordPrefix...), r.PrevHash...), '\n')
	covered, err := appendEnvelope(covered, r)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "canonical form of %s of stream %s", r.Key, r.Stream)
	}
	sum := sha256.Sum256(covered)
	return hex.EncodeToString(sum[:]), nil
}

// Seal returns the records of entries that are appended after head, with versions, hashes and normalized times. It is the only function that
// creates records, and the only one that validates entries; adapters only store its result. It is deterministic to the byte: an insert that
// is executed twice conflicts with itself. Errors: Invalid, TooLarge.
func Seal(stream string, head event.Head, entries []event.Entry) ([]event.Record, error) {
	if len(entries) == 0 || len(entries) > MaxBatch {
		return nil, fault.New(fault.Invalid, "an append must have 1 to %d entries, not %d", MaxBatch, len(entries))
	}
	if err := checkStream(stream); err != nil {
		return nil, err
	}
	if head.Version < 0 || head.Version > maxVersion-int64(len(entries)) {
		return nil, fault.New(fault.Invalid, "nothing can be appended after version %d of stream %s", head.Version, stream)
	}
	prev := PrevHash(stream, head)
	records := make([]event.Record, len(entries))
	keys := make(map[string]struct{}, len(entries))
	for i, e := range entries {
		if err := checkEntry(stream, e); err != nil {
			return nil, err
		}
		if _, twice := keys[e.Key]; twice {
			return nil, fault.New(fault.Invalid, "an append to stream %s has the key %s twice", stream, e.Key)
		}
		keys[e.Key] = struct{}{}
		e.Time = e.Time.UTC().Truncate(event.TimeResolution)
		r := event.Record{Stream: stream, Version: head.Version + int64(i) + 1, Entry: e, PrevHash: prev}
		hash, err := Hash(r)
		if err != nil {
			return nil, err
		}
		r.Hash, prev = hash, hash
		records[i] = r
	}
	return records, nil
}

// Verify checks that records are a stream, or the part of it that follows head: no gap, no fork, correct hashes. The error is Corrupt and
// names the first invalid record.
func Verify(stream string, head event.Head, records []event.Record) error {
	prev, version := PrevHash(stream, head), head.Version
	for _, r := range records {
		version++
		switch {
		case r.Stream != stream:
			return fault.New(fault.Corrupt, "version %d belongs to stream %s, not %s", r.Version, r.Stream, stream)
		case r.Version != version:
			return fault.New(fault.Corrupt, "stream %s has version %d where %d was expected", stream, r.Version, version)
		case r.PrevHash != prev:
			return fault.New(fault.Corrupt, "version %d of stream %s does not follow the previous record", version, stream)
		}
		hash, err := Hash(r)
		if err != nil {
			return fault.Wrap(err, fault.Corrupt, "verify version %d of stream %s", version, stream)
		}
		if hash != r.Hash {
			return fault.New(fault.Corrupt, "version %d of stream %s has a wrong hash", version, stream)
		}
		prev = r.Hash
	}
	return nil
}

// FormatTime returns t in the format of the canonical envelope and of messages.
func FormatTime(t time.Time) string {
	return t.UTC().Truncate(event.TimeResolution).Format(canonicalTime)
}
