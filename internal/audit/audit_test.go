package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/audit/audittest"
)

// naiveRoot is the Merkle tree hash as RFC 6962, section 2.1, defines it.
func naiveRoot(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := naiveRoot(leaves[:k]), naiveRoot(leaves[k:])
	return sha256.Sum256(bytes.Join([][]byte{{1}, left[:], right[:]}, nil))
}

// tiles keeps full and partial tiles, as a store does.
type tiles map[string][]byte

func (t tiles) Height() int { return 3 }
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, w := range wanted {
		if t[w.Path()] == nil {
			return nil, fmt.Errorf("tile %s is missing", w.Path())
		}
		found = append(found, t[w.Path()])
	}
	return found, nil
}
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func TestTreeGrowsLikeANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored := tiles{}
		var all [][]byte
		var tree tlog.Tree
		for step := range rapid.IntRange(1, 6).Draw(t, "steps") {
			var leaves []audit.Leaf
			for i := range rapid.IntRange(1, 40).Draw(t, "leaves") {
				l := audit.Leaf{Stream: fmt.Sprintf("s-%d-%d", step, i), Version: int64(i) + 1, Hash: fmt.Sprintf("%064x", i)}
				leaves, all = append(leaves, l), append(all, l.Bytes())
			}
			var before tlog.HashReader
			if tree.N > 0 {
				before = tlog.TileHashReader(tree, stored)
			}
			grown, err := audit.Grow(tree.N, before, leaves)
			require.NoError(t, err)
			for _, tile := range tlog.NewTiles(stored.Height(), tree.N, grown.N) {
				data, err := tlog.ReadTileData(tile, grown)
				require.NoError(t, err)
				stored[tile.Path()] = data
			}
			require.Equal(t, tlog.Hash(naiveRoot(all)), grown.Hash)
			if tree.N > 0 {
				proof, err := tlog.ProveTree(grown.N, tree.N, grown)
				require.NoError(t, err)
				require.NoError(t, tlog.CheckTree(proof, grown.N, grown.Hash, tree.N, tree.Hash))
			}
			tree = grown.Tree
			n := rapid.Int64Range(0, tree.N-1).Draw(t, "index")
			proof, err := tlog.ProveRecord(tree.N, n, tlog.TileHashReader(tree, stored))
			require.NoError(t, err)
			require.NoError(t, tlog.CheckRecord(proof, tree.N, tree.Hash, n, tlog.RecordHash(all[n])))
		}
	})
}

func TestLeafIsCanonical(t *testing.T) {
	l := audit.Leaf{Stream: "order-é\"", Version: 7, Hash: fmt.Sprintf("%064x", 1)}
	back, err := audit.ParseLeaf(l.Bytes())
	require.NoError(t, err)
	assert.Equal(t, l, back)
	for _, wrong := range []string{`{}`, `{"stream":"a","version":1,"hash":"00"}`, string(l.Bytes()) + " ", `{"hash":"` + l.Hash + `","stream":"a","version":0}`} {
		_, err := audit.ParseLeaf([]byte(wrong))
		assert.Error(t, err, wrong)
	}
}

func newSigner(t testing.TB, names ...string) (audit.Signer, string) {
	t.Helper()
	var private, public string
	for _, name := range names {
		one, verifier, err := audit.NewKey(name)
		require.NoError(t, err)
		private, public = private+one+"\n", public+verifier+"\n"
	}
	s, err := audit.ParseSigner(private)
	require.NoError(t, err)
	return s, public
}

func keysOf(t testing.TB, text string) audit.Keys {
	t.Helper()
	k, err := audit.ParseKeys(text)
	require.NoError(t, err)
	return k
}

func TestKeysRotateWithOverlap(t *testing.T) {
	old, oldKey := newSigner(t, "log.example")
	both, bothKeys := newSigner(t, "log.example", "log.example")
	_, foreign := newSigner(t, "log.example")
	c := audit.Checkpoint{N: 1, Origin: "log.example", Tree: tlog.Tree{N: 3, Hash: tlog.Hash{1}}, Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)}
	signed, err := both.Sign(c)
	require.NoError(t, err)
	for i, key := range both.Public() {
		o, err := keysOf(t, key).Open(signed)
		require.NoError(t, err, i)
		assert.Equal(t, c, o.Checkpoint)
	}
	o, err := keysOf(t, bothKeys).Open(signed)
	require.NoError(t, err)
	assert.Len(t, o.KeyIDs, 2)
	again, err := both.Sign(c)
	require.NoError(t, err)
	assert.Equal(t, signed, again)
	_, err = keysOf(t, foreign).Open(signed)
	assert.Error(t, err)
	before, err := old.Sign(c)
	require.NoError(t, err)
	_, err = keysOf(t, oldKey+bothKeys).Open(before)
	assert.NoError(t, err)
	_, err = audit.ParseSigner("PRIVATE+KEY+secret")
	assert.NotContains(t, err.Error(), "secret")
	_, _, err = audit.NewKey("bad name")
	assert.Error(t, err)
}

func TestWitnessesCosign(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // a test's seed
	log := audittest.NewLog(r, "log.example", 10, 3)
	witness, cosign := audittest.NewWitness("witness.example")
	known, both := keysOf(t, log.Key), keysOf(t, log.Key+"\n"+witness)
	cosigned := cosign(log.Notes[1])
	o, err := both.Open(cosigned)
	require.NoError(t, err)
	assert.Equal(t, []string{"witness.example"}, o.Witnesses)
	_, foreign := audittest.NewWitness("witness.example")
	_, err = both.Open(foreign(log.Notes[1]))
	require.NoError(t, err, "a signature of an unknown key is ignored")
	wrong := log.Notes[1] + strings.SplitAfter(cosign(log.Notes[0]), "\n\n")[1]
	wrong = wrong[:len(log.Notes[1])] + wrong[strings.LastIndex(wrong, "— witness"):]
	_, err = both.Open(wrong)
	require.ErrorAs(t, err, new(*note.InvalidSignatureError))
	_, err = known.Open(wrong)
	require.NoError(t, err, "unknown witnesses are ignored")

	h, err := audit.VerifyHistory(both, log.Notes, log.Leaves, true)
	require.NoError(t, err)
	require.Len(t, h.Findings, 1, "the newest note is not cosigned")
	assert.EqualValues(t, 3, h.Findings[0].Checkpoint)
	notes := []string{log.Notes[0], log.Notes[1], cosign(log.Notes[2])}
	for _, kept := range [][]string{nil, {cosigned}} {
		h, err = audit.VerifyHistory(both, notes, log.Leaves, true, kept...)
		require.NoError(t, err)
		assert.Empty(t, h.Findings)
		notes = log.Notes
	}
	_, err = audit.VerifyHistory(both, log.Notes, log.Leaves, true, log.Notes[1])
	assert.ErrorContains(t, err, "witness.example")
}

func TestCheckpointsAreConsistent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		r := rand.New(rand.NewPCG(seed, 9)) //nolint:gosec // a test's seed
		const n = 3
		log, other := audittest.NewLog(r, "log.example", 5, n), audittest.NewLog(r, "log.example", 5, n)
		keys := keysOf(t, log.Key)
		valid := func(c audit.Consistency, kept ...string) error {
			text, err := json.Marshal(c)
			require.NoError(rt, err)
			_, err = audit.VerifyProof(text, audit.Options{Keys: keys, Kept: kept})
			return err
		}
		for older := 1; older <= n; older++ {
			proof, err := log.Consistency(older)
			require.NoError(rt, err)
			require.NoError(rt, valid(proof))
			require.NoError(rt, valid(proof, log.Notes[older-1]))
			require.NoError(rt, valid(proof, log.Notes[n-1]))
			if older < n {
				require.Error(rt, valid(proof, log.Notes[older%(n-1)]), "another checkpoint was kept")
				proof.Older, proof.Checkpoint = proof.Checkpoint, proof.Older
				require.Error(rt, valid(proof), "swapped")
				proof.Older, proof.Checkpoint = log.Notes[older%(n-1)], log.Notes[n-1]
				require.Error(rt, valid(proof), "another older checkpoint")
			}
			foreign, err := other.Consistency(older)
			require.NoError(rt, err)
			require.Error(rt, valid(foreign), "of another log")
		}
	})
}

func TestStreamDamageIsNamed(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's seed
	for range 4000 {
		d := audittest.Damages[r.IntN(len(audittest.Damages))]
		records := audittest.Records("order-1", d.Least+r.IntN(12))
		leaves := audittest.LeavesOf(r, records)
		out, want := d.Apply(r, records, leaves)
		got, bad := audit.VerifyStream("order-1", audittest.Store(out), leaves)
		require.True(t, bad, "%s is not found", d.Name)
		got.Detail = ""
		require.Equal(t, want, got, "%s of %d records, leaves %v", d.Name, len(records), leaves)
		f, bad := audit.VerifyStream("order-1", audittest.Store(records), leaves)
		require.False(t, bad, "%v", f)
	}
}

func TestExportDamageIsNamed(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's seed
	log := audittest.NewLog(r, "log.example", 20, 3)
	keys := keysOf(t, log.Key)
	dir := filepath.Join(t.TempDir(), "sound")
	require.NoError(t, log.Export(dir, nil))
	report, err := audit.VerifyExport(t.Context(), dir, audit.Options{Keys: keys})
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	assert.EqualValues(t, 3, report.Checkpoint)
	for _, d := range audittest.Damages {
		stream := log.Pick(r, d.Least)
		out, want := d.Apply(r, log.Streams[stream], log.LeavesOf(stream))
		dir := filepath.Join(t.TempDir(), "damaged")
		require.NoError(t, log.Export(dir, map[string][]audit.Stored{stream: audittest.Store(out)}))
		report, err := audit.VerifyExport(t.Context(), dir, audit.Options{Keys: keys})
		require.NoError(t, err)
		require.Len(t, report.Findings, 1, d.Name)
		report.Findings[0].Detail = ""
		assert.Equal(t, want, report.Findings[0], d.Name)
	}
}

func TestCheckpointDamageIsNamed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's seed
	log := audittest.NewLog(r, "log.example", 10, 4)
	keys := keysOf(t, log.Key)
	for _, c := range audittest.CheckpointDamages {
		dir := filepath.Join(t.TempDir(), "export")
		require.NoError(t, log.Export(dir, nil))
		require.NoError(t, c.Apply(dir))
		report, err := audit.VerifyExport(t.Context(), dir, audit.Options{Keys: keys, Kept: []string{log.Notes[3]}})
		require.NoError(t, err)
		require.NotEmpty(t, report.Findings, c.Name)
		f := report.Findings[0]
		for _, other := range report.Findings {
			if other.Checkpoint > 0 && (f.Checkpoint == 0 || other.Checkpoint < f.Checkpoint) {
				f = other
			}
		}
		assert.Equal(t, c.Kind, f.Kind, "%s: %v", c.Name, report.Findings)
		assert.Equal(t, c.Checkpoint, f.Checkpoint, "%s: %v", c.Name, report.Findings)
	}
	dir := filepath.Join(t.TempDir(), "other")
	other := audittest.NewLogWith(r, log.Signer, 10, 4)
	require.NoError(t, other.Export(dir, nil))
	report, err := audit.VerifyExport(t.Context(), dir, audit.Options{Keys: keys, Kept: []string{log.Notes[1]}})
	require.NoError(t, err)
	require.Len(t, report.Findings, 1)
	assert.Equal(t, audit.Forked, report.Findings[0].Kind, "a log that was signed twice")
}

func TestVerificationResumes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's seed
	log := audittest.NewLog(r, "log.example", 200, 3)
	dir, state := filepath.Join(t.TempDir(), "export"), filepath.Join(t.TempDir(), "state")
	require.NoError(t, log.Export(dir, nil))
	o := audit.Options{Keys: keysOf(t, log.Key), State: state}
	first, err := audit.VerifyExport(t.Context(), dir, o)
	require.NoError(t, err)
	o.Progress = func(int64) { assert.Fail(t, "a part is verified again") }
	second, err := audit.VerifyExport(t.Context(), dir, o)
	require.NoError(t, err)
	assert.Equal(t, first.Counts, second.Counts)
	o.Since = 2
	o.Progress = nil
	since, err := audit.VerifyExport(t.Context(), dir, o)
	require.NoError(t, err)
	assert.Less(t, since.Streams, first.Streams)
}

func TestProofNeedsOnlyTheKey(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test's seed
	log := audittest.NewLog(r, "log.example", 10, 2)
	keys := keysOf(t, log.Key)
	proof, err := log.Prove(log.Pick(r, 3))
	require.NoError(t, err)
	text, err := json.Marshal(proof)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "proof.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	var read audit.Proof
	require.NoError(t, json.Unmarshal(text, &read))
	_, findings, err := read.Verify(keys)
	require.NoError(t, err)
	assert.Empty(t, findings)
	short := read
	short.Events = short.Events[:len(short.Events)-1]
	_, findings, err = short.Verify(keys)
	require.NoError(t, err)
	require.Len(t, findings, 1)
	assert.Equal(t, audit.Truncated, findings[0].Kind)
	moved := read
	moved.LeafIndex++
	_, _, err = moved.Verify(keys)
	assert.Error(t, err)
}
