package audittest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/audit"
)

// Store returns records as they are stored, each at the place that its version names.
func Store(records []event.Record) []audit.Stored {
	stored := make([]audit.Stored, len(records))
	for i, r := range records {
		stored[i] = audit.Stored{Record: r}
	}
	return stored
}

// LeavesOf returns leaves of some records and of the last one.
func LeavesOf(r *rand.Rand, records []event.Record) []audit.Leaf {
	var leaves []audit.Leaf
	for i, one := range records {
		if i == len(records)-1 || r.IntN(3) == 0 {
			leaves = append(leaves, audit.Leaf{Stream: one.Stream, Version: one.Version, Hash: one.Hash})
		}
	}
	return leaves
}

// Log is a log with checkpoints.
type Log struct {
	Signer  audit.Signer
	Key     string
	Streams map[string][]event.Record
	Leaves  []audit.Leaf
	Notes   []string
	tree    *audit.Tree
}

// NewLog returns a log of random streams with a new key.
func NewLog(r *rand.Rand, origin string, streams, checkpoints int) *Log {
	private, _, err := audit.NewKey(origin)
	if err != nil {
		panic(err)
	}
	signer, err := audit.ParseSigner(private)
	if err != nil {
		panic(err)
	}
	return NewLogWith(r, signer, streams, checkpoints)
}

// NewLogWith is NewLog with a signer.
func NewLogWith(r *rand.Rand, signer audit.Signer, streams, checkpoints int) *Log {
	l := &Log{Signer: signer, Key: strings.Join(signer.Public(), "\n"), Streams: make(map[string][]event.Record)}
	for i := range streams {
		name := fmt.Sprintf("order-%03d", i)
		n := 2 + r.IntN(9)
		if i == 0 {
			n = max(n, checkpoints) // it grows before each checkpoint
		}
		l.Streams[name] = Records(name, n)
	}
	head := make(map[string]int)
	for n := 1; n <= checkpoints; n++ {
		for i, name := range slices.Sorted(maps.Keys(l.Streams)) {
			records := l.Streams[name]
			next := min(len(records), head[name]+r.IntN(len(records)))
			if i == 0 {
				next = n
			}
			if n == checkpoints {
				next = len(records)
			}
			if next > head[name] {
				last := records[next-1]
				l.Leaves = append(l.Leaves, audit.Leaf{Stream: name, Version: last.Version, Hash: last.Hash})
				head[name] = next
			}
		}
		l.sign(int64(n))
	}
	return l
}

func (l *Log) sign(n int64) {
	var err error
	if l.tree, err = audit.Grow(0, nil, l.Leaves); err != nil {
		panic(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Hour)
	signed, err := l.Signer.Sign(audit.Checkpoint{N: n, Origin: l.Signer.Origin(), Tree: l.tree.Tree, Time: at})
	if err != nil {
		panic(err)
	}
	l.Notes = append(l.Notes, signed)
}

// Pick returns a stream with at least n records.
func (l *Log) Pick(r *rand.Rand, n int) string {
	for {
		names := slices.Sorted(maps.Keys(l.Streams))
		if name := names[r.IntN(len(names))]; len(l.Streams[name]) >= n {
			return name
		}
	}
}

// LeavesOf returns the leaves of a stream.
func (l *Log) LeavesOf(stream string) []audit.Leaf {
	return slices.DeleteFunc(slices.Clone(l.Leaves), func(leaf audit.Leaf) bool { return leaf.Stream != stream })
}

// Export writes an export, with some streams replaced.
func (l *Log) Export(dir string, replaced map[string][]audit.Stored) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	w, err := audit.NewWriter(dir)
	if err != nil {
		return err
	}
	for i, signed := range l.Notes {
		w.Note(int64(i)+1, signed)
	}
	for _, leaf := range l.Leaves {
		w.Leaf(leaf)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Streams)) {
		stored, is := replaced[name]
		if !is {
			stored = Store(l.Streams[name])
		}
		for _, s := range stored {
			w.Record(s.Record)
		}
	}
	return w.Close()
}

// Prove returns the proof of a stream.
func (l *Log) Prove(stream string) (audit.Proof, error) {
	last := len(l.Leaves) - 1
	for l.Leaves[last].Stream != stream {
		last--
	}
	path, err := tlog.ProveRecord(l.tree.N, int64(last), l.tree)
	if err != nil {
		return audit.Proof{}, err
	}
	return audit.NewProof(l.Leaves[last], int64(last), path, l.Notes[len(l.Notes)-1], l.Streams[stream][:l.Leaves[last].Version])
}

// Consistency proves that the newest checkpoint continues checkpoint n.
func (l *Log) Consistency(n int) (audit.Consistency, error) {
	newest := l.Notes[len(l.Notes)-1]
	older, err := audit.NoteCheckpoint(l.Notes[n-1])
	if err != nil {
		return audit.Consistency{}, err
	}
	proof, err := tlog.ProveTree(l.tree.N, older.Tree.N, l.tree)
	return audit.Consistency{Format: audit.ConsistencyFormat, Older: l.Notes[n-1], Checkpoint: newest, Proof: proof}, err
}

// NewWitness returns the public key of a new witness, and a function that adds its cosignature to a signed note.
func NewWitness(name string) (key string, cosign func(signed string) string) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	typed := append([]byte{4}, public...)
	sum := sha256.Sum256(slices.Concat([]byte(name+"\n"), typed))
	id := binary.BigEndian.Uint32(sum[:])
	return fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(typed)), func(signed string) string {
		const at = 1_700_000_000
		text, _, _ := strings.Cut(signed, "\n\n")
		sig := ed25519.Sign(private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", at, text))
		blob := append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, id), at), sig...)
		return signed + "— " + name + " " + base64.StdEncoding.EncodeToString(blob) + "\n"
	}
}

// CheckpointDamage damages the checkpoints or leaves of an export with four checkpoints.
type CheckpointDamage struct {
	Name string
	Kind audit.Kind
	// Checkpoint is the first one that is damaged.
	Checkpoint int64
	Apply      func(dir string) error
}

// CheckpointDamages are all of them. TheLast needs a note that was kept.
var CheckpointDamages = []CheckpointDamage{
	{"a note is missing", audit.Missing, 2, func(dir string) error { return os.Remove(filepath.Join(dir, "checkpoints", "2")) }},
	{"a note is changed", audit.Changed, 3, edit("checkpoints/3", func(text string) string { return strings.Replace(text, "T", "U", 1) })},
	{"a note is not signed", audit.Changed, 1, edit("checkpoints/1", func(text string) string { return text[:strings.Index(text, "\n\n")+2] })},
	{"two notes are swapped", audit.Reordered, 2, func(dir string) error {
		a, b, c := filepath.Join(dir, "checkpoints", "2"), filepath.Join(dir, "checkpoints", "3"), filepath.Join(dir, "swap")
		for _, move := range [][2]string{{a, c}, {b, a}, {c, b}} {
			if err := os.Rename(move[0], move[1]); err != nil {
				return err
			}
		}
		return nil
	}},
	{"the last note is gone", audit.Inserted, 3, func(dir string) error { return os.Remove(filepath.Join(dir, "checkpoints", "4")) }},
	{"the last checkpoint is gone, with its leaves", audit.Truncated, 4, TheLast},
	{"a leaf is changed", audit.Changed, 1, edit("leaves.ndjson", func(text string) string { return strings.Replace(text, `"version":1}`, `"version":2}`, 1) })},
	{"a leaf is missing", audit.Changed, 1, edit("leaves.ndjson", func(text string) string { return text[strings.Index(text, "\n")+1:] })},
	{"the last leaf is missing", audit.Missing, 4, edit("leaves.ndjson", func(text string) string { return text[:strings.LastIndex(text[:len(text)-1], "\n")+1] })},
	{"a leaf is added", audit.Inserted, 4, edit("leaves.ndjson", func(text string) string { return text + text[:strings.Index(text, "\n")+1] })},
	{"all leaves are gone", audit.Missing, 1, func(dir string) error { return os.Remove(filepath.Join(dir, "leaves.ndjson")) }},
}

// TheLast removes the fourth checkpoint and its leaves.
func TheLast(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "checkpoints", "3"))
	if err != nil {
		return err
	}
	var size int
	if _, err := fmt.Sscan(strings.Split(string(text), "\n")[1], &size); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, "checkpoints", "4")); err != nil {
		return err
	}
	return edit("leaves.ndjson", func(text string) string { return strings.Join(strings.SplitAfter(text, "\n")[:size], "") })(dir)
}

func edit(name string, change func(text string) string) func(dir string) error {
	return func(dir string) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed := change(string(text))
		if changed == string(text) {
			return fmt.Errorf("%s is not changed", name)
		}
		const mode = 0o600
		return os.WriteFile(path, []byte(changed), mode)
	}
}
