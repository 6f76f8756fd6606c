// Package audittest damages streams in every way that internal/audit names, for tests of verifiers. Only tests import it.
package audittest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// Records returns n records of a stream.
func Records(stream string, n int) []event.Record {
	var head event.Head
	var all []event.Record
	for len(all) < n {
		var entries []event.Entry
		for i := len(all); i < min(n, len(all)+eventlog.MaxBatch); i++ {
			entries = append(entries, entry(stream, fmt.Sprintf("slot/%d", i+1), i, "é<\u2028>\"\\"))
		}
		sealed := seal(stream, head, entries)
		all = append(all, sealed...)
		head = all[len(all)-1].HeadOf()
	}
	return all
}

func entry(stream, key string, i int, text string) event.Entry {
	at := time.Date(2026, 1, 2, 3, 4, 5, 120e6, time.UTC).Add(time.Duration(i) * time.Second)
	data := map[string]any{"amount": 100 + i, "text": text, "nested": map[string]any{"list": []any{1, true, nil, "x"}}}
	return event.New(stream, key, "test.happened", "subject-"+stream, at, data).CausedBy("correlation", "")
}

func seal(stream string, head event.Head, entries []event.Entry) []event.Record {
	records, err := eventlog.Seal(stream, head, entries)
	if err != nil {
		panic(err)
	}
	return records
}

// Damage is a way to damage a stream.
type Damage struct {
	Name string
	Kind audit.Kind
	// Least is the number of records that it needs.
	Least int
	// apply returns the damaged records in stored order, each with the place where it is stored as its version, and the version that a
	// verifier names.
	apply func(r *rand.Rand, in []event.Record, leaves []audit.Leaf) (out []event.Record, version int64)
	// InOrder is set if it only changes the order in which records are stored, which a database does not have.
	InOrder bool
}

// Apply returns damaged records in stored order, and the finding without its detail.
func (d Damage) Apply(r *rand.Rand, in []event.Record, leaves []audit.Leaf) ([]event.Record, audit.Finding) {
	copied := slices.Clone(in)
	for i := range copied {
		copied[i].Data = slices.Clone(copied[i].Data)
	}
	out, version := d.apply(r, copied, leaves)
	return out, audit.Finding{Kind: d.Kind, Stream: in[0].Stream, Version: version}
}

// places gives every record the place at which it is stored.
func places(records []event.Record) []event.Record {
	for i := range records {
		records[i].Version = int64(i) + 1
	}
	return records
}

func rehash(r event.Record) event.Record {
	hash, err := eventlog.Hash(r)
	if err != nil {
		panic(err)
	}
	r.Hash = hash
	return r
}

// changes change the content of a record.
var changes = []func(r *event.Record){
	func(r *event.Record) {
		r.Data = json.RawMessage(strings.Replace(string(r.Data), `"amount":1`, `"amount":9`, 1))
	},
	func(r *event.Record) { r.Subject += "x" },
	func(r *event.Record) { r.Time = r.Time.Add(time.Millisecond) },
	func(r *event.Record) { r.Type = "test.other" },
	func(r *event.Record) { r.Key += "x" },
	func(r *event.Record) { r.ID += "x" },
	func(r *event.Record) { r.CausationID = "x" },
	func(r *event.Record) { r.SchemaVersion++ },
	func(r *event.Record) { r.PrevHash = strings.Repeat("0", 64) },
	func(r *event.Record) { r.Hash = strings.Repeat("0", 64) },
}

// Damages are all of them.
var Damages = []Damage{
	{Name: "a record is changed", Kind: audit.Changed, Least: 1, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in))
		changes[r.IntN(len(changes))](&in[i])
		return in, int64(i) + 1
	}},
	{Name: "a record is changed, with its hash", Kind: audit.Changed, Least: 2, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in) - 1)
		changes[0](&in[i])
		in[i] = rehash(in[i])
		return in, int64(i) + 1
	}},
	{Name: "records are missing", Kind: audit.Missing, Least: 2, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		from, to := hole(r, len(in))
		return slices.Delete(in, from, to), int64(from) + 1
	}},
	{Name: "records are missing, and later ones are renumbered", Kind: audit.Missing, Least: 2, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		from, to := hole(r, len(in))
		return places(slices.Delete(in, from, to)), int64(from) + 1
	}},
	{Name: "a version exists twice", Kind: audit.Inserted, Least: 1, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in))
		return slices.Insert(in, i+1, rehash(another(in, i))), int64(i) + 1
	}},
	{Name: "a record is inserted, and later ones are renumbered", Kind: audit.Inserted, Least: 1, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in))
		return places(slices.Insert(in, i, rehash(another(in, i)))), int64(i) + 1
	}},
	{Name: "a record without a chain is inserted, and later ones are renumbered", Kind: audit.Inserted, Least: 1, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in))
		x := another(in, i)
		x.PrevHash = strings.Repeat("1", 64)
		return places(slices.Insert(in, i, rehash(x))), int64(i) + 1
	}},
	{Name: "a record without a hash is inserted, and later ones are renumbered", Kind: audit.Inserted, Least: 1, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in))
		return places(slices.Insert(in, i, another(in, i))), int64(i) + 1
	}},
	{Name: "a record without a chain is appended", Kind: audit.Inserted, Least: 1, apply: func(_ *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		x := another(in, len(in)-1)
		x.PrevHash, x.Version = strings.Repeat("1", 64), int64(len(in))+1
		return append(in, rehash(x)), x.Version
	}},
	{Name: "two records are swapped", Kind: audit.Reordered, Least: 2, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in) - 1)
		j := i + 1 + r.IntN(len(in)-i-1)
		in[i], in[j] = in[j], in[i]
		return places(in), int64(i) + 1
	}},
	{Name: "a record is moved", Kind: audit.Reordered, Least: 2, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in) - 1)
		j := i + 1 + r.IntN(len(in)-i-1)
		x := in[i]
		return places(slices.Insert(slices.Delete(in, i, i+1), j, x)), int64(i) + 1
	}},
	{Name: "records are stored in another order", Kind: audit.Reordered, Least: 2, InOrder: true, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in) - 1)
		in[i], in[i+1] = in[i+1], in[i]
		return in, int64(i) + 1
	}},
	{Name: "the end is missing", Kind: audit.Truncated, Least: 2, apply: func(r *rand.Rand, in []event.Record, _ []audit.Leaf) ([]event.Record, int64) {
		n := 1 + r.IntN(len(in)-1)
		return in[:n], int64(n) + 1
	}},
	{Name: "the stream is written again from a record on", Kind: audit.Forked, Least: 1, apply: func(r *rand.Rand, in []event.Record, leaves []audit.Leaf) ([]event.Record, int64) {
		i := r.IntN(len(in))
		for j := i; j < len(in); j++ {
			if j == i {
				changes[0](&in[j])
			} else {
				in[j].PrevHash = in[j-1].Hash
			}
			in[j] = rehash(in[j])
		}
		good := int64(0)
		for _, l := range leaves {
			if l.Version <= int64(i) {
				good = max(good, l.Version)
			}
		}
		return in, good + 1
	}},
	{Name: "the stream is gone", Kind: audit.StreamGone, Least: 1, apply: func(*rand.Rand, []event.Record, []audit.Leaf) ([]event.Record, int64) {
		return nil, 1
	}},
}

// hole returns a range of records that does not contain the last one.
func hole(r *rand.Rand, n int) (from, to int) {
	from = r.IntN(n - 1)
	return from, from + 1 + r.IntN(n-1-from)
}

// another is a record like the one at i, that follows the same one, with the hash of that one.
func another(in []event.Record, i int) event.Record {
	x := in[i]
	x.Key, x.ID, x.Data = x.Key+"/again", x.ID+"2", json.RawMessage(`{"amount":1}`)
	return x
}
