package audit

import (
	"fmt"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// Kind is a kind of damage.
type Kind string

// The kinds of damage.
const (
	// Changed: the content of a record is not what its hash, the next record or a checkpoint says.
	Changed Kind = "changed"
	// Missing: a record is missing, and later ones exist.
	Missing Kind = "missing"
	// Inserted: a record is not part of the chain.
	Inserted Kind = "inserted"
	// Reordered: records have changed their places.
	Reordered Kind = "reordered"
	// Truncated: the last records are missing. Only a checkpoint reveals it.
	Truncated Kind = "truncated"
	// Forked: a consistent chain that is not the one that was signed. Only a checkpoint reveals it.
	Forked Kind = "forked"
	// StreamGone: no record of a stream is left. Only a checkpoint reveals it.
	StreamGone Kind = "stream gone"
)

// Finding is damage of a stream or a checkpoint.
type Finding struct {
	Kind Kind `json:"kind"`
	// Stream and Version name the first damaged record; they are empty for a checkpoint.
	Stream  string `json:"stream,omitempty"`
	Version int64  `json:"version,omitempty"`
	// Checkpoint is the number of the damaged checkpoint, or 0.
	Checkpoint int64  `json:"checkpoint,omitempty"`
	Detail     string `json:"detail"`
}

// Stored is a record as it is stored. Record.Version is the place where it is stored.
type Stored struct {
	event.Record
	// Damaged is set if it is not stored in the form in which the service writes it, such as a version that contradicts its place.
	Damaged bool
}

// VerifyStream verifies the records of a stream, in stored order, against its chain and its leaves, oldest first. It returns the first damage.
func VerifyStream(stream string, stored []Stored, leaves []Leaf) (Finding, bool) {
	v := verification{stream: stream, records: stored, leaves: make(map[int64]string, len(leaves))}
	for _, l := range leaves {
		v.last = max(v.last, l.Version)
		if signed, twice := v.leaves[l.Version]; twice && signed != l.Hash {
			return v.found(Forked, l.Version, "two checkpoints have different hashes")
		}
		v.leaves[l.Version] = l.Hash
	}
	if len(stored) == 0 {
		if v.last == 0 {
			return Finding{}, false
		}
		return v.found(StreamGone, 1, "no record is left; a checkpoint has version %d", v.last)
	}
	disorder := v.sort()
	if f, bad := v.walk(); bad {
		return f, true
	}
	if n := int64(len(v.records)); n < v.last {
		return v.found(Truncated, n+1, "the stream ends at version %d; a checkpoint has version %d", n, v.last)
	}
	if disorder > 0 {
		return v.found(Reordered, disorder, "the record is stored after a later one")
	}
	return Finding{}, false
}

// verification is the verification of one stream.
type verification struct {
	stream  string
	records []Stored
	// leaves are the signed hashes by version, and last is the greatest version.
	leaves map[int64]string
	last   int64
	// good is the greatest version with a leaf that agrees.
	good int64
}

func (v *verification) found(k Kind, version int64, format string, args ...any) (Finding, bool) {
	return Finding{Kind: k, Stream: v.stream, Version: version, Detail: fmt.Sprintf(format, args...)}, true
}

// sort sorts the records by version, and returns the version of the first one that was after a later one.
func (v *verification) sort() (disorder int64) {
	for i := 1; i < len(v.records); i++ {
		if v.records[i].Version < v.records[i-1].Version {
			disorder = v.records[i].Version
			v.records = slices.Clone(v.records)
			slices.SortStableFunc(v.records, func(a, b Stored) int { return int(a.Version - b.Version) })
			break
		}
	}
	return disorder
}

func (v *verification) walk() (Finding, bool) {
	prev := eventlog.Genesis(v.stream)
	for i, r := range v.records {
		version := int64(i) + 1
		switch {
		case r.Version < version:
			return v.found(Inserted, r.Version, "the version is stored twice")
		case r.Version > version:
			return v.found(Missing, version, "version %d is stored where version %d is expected", r.Version, version)
		case r.Damaged || !v.isAt(r, version):
			return v.misplaced(i)
		case r.PrevHash != prev:
			return v.unchained(i)
		}
		if signed, ok := v.leaves[version]; ok {
			if signed != r.Hash {
				return v.unsigned(i)
			}
			v.good = version
		}
		prev = r.Hash
	}
	return Finding{}, false
}

// isAt reports whether the hash of a record is right if it is a version of the stream.
func (v *verification) isAt(r Stored, version int64) bool {
	r.Version, r.Stream = version, v.stream
	hash, err := eventlog.Hash(r.Record)
	return err == nil && hash == r.Hash
}

// origin is the version that a record was written with; 0 if its hash is wrong for every version.
func (v *verification) origin(r Stored) int64 {
	if r.Hash == "" {
		return 0
	}
	newest := max(v.last, v.records[len(v.records)-1].Version, int64(len(v.records)))
	for version := int64(1); version <= newest; version++ {
		if v.isAt(r, version) {
			return version
		}
	}
	return 0
}

// shifted reports whether the record after i was written with the version of i: a record was inserted, and the later ones were renumbered.
func (v *verification) shifted(i int) bool {
	return i+1 < len(v.records) && v.isAt(v.records[i+1], int64(i)+1)
}

// misplaced classifies a record whose hash is wrong at its place.
func (v *verification) misplaced(i int) (Finding, bool) {
	version := int64(i) + 1
	origin := v.origin(v.records[i])
	switch {
	case (origin == 0 || origin == version) && v.shifted(i):
		return v.found(Inserted, version, "the later records were renumbered")
	case origin == 0 || origin == version:
		return v.found(Changed, version, "the record does not have its hash")
	case origin < version:
		return v.found(Inserted, origin, "the later records were renumbered")
	}
	for _, r := range v.records[i+1:] {
		if v.isAt(r, version) {
			return v.found(Reordered, version, "version %d is stored in its place", origin)
		}
	}
	return v.found(Missing, version, "version %d was renumbered", origin)
}

// unchained classifies a record with its own hash that does not follow the one before it.
func (v *verification) unchained(i int) (Finding, bool) {
	version := int64(i) + 1
	signed, isSigned := v.leaves[version]
	vouched := isSigned && signed == v.records[i].Hash
	if !isSigned && i+1 < len(v.records) {
		vouched = v.isAt(v.records[i+1], version+1) && v.records[i+1].PrevHash == v.records[i].Hash
	}
	switch {
	case v.shifted(i):
		return v.found(Inserted, version, "the later records were renumbered")
	case version > 1 && v.good < version-1 && vouched:
		return v.found(Changed, version-1, "the next record follows another one")
	case i+1 == len(v.records) && !isSigned:
		return v.found(Inserted, version, "the record does not follow the one before it")
	}
	return v.found(Changed, version, "the record does not follow the one before it")
}

// unsigned classifies a record that follows the one before it and is not the one that was signed.
func (v *verification) unsigned(i int) (Finding, bool) {
	version := int64(i) + 1
	switch {
	case v.shifted(i):
		return v.found(Inserted, version, "the later records were renumbered")
	case i+1 < len(v.records) && v.isAt(v.records[i+1], version+1) && v.records[i+1].PrevHash != v.records[i].Hash:
		return v.found(Changed, version, "the next record follows another one")
	}
	return v.found(Forked, v.good+1, "version %d has another hash than in a checkpoint", version)
}
