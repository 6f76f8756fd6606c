package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/audit"
	"github.com/ordersaga/ordersaga/internal/audit/audittest"
)

// second runs the verifier of examples/audit-verifier.
func second(t *testing.T, args ...string) ([]audit.Finding, error) {
	t.Helper()
	script := filepath.Join("..", "..", "examples", "audit-verifier", "verify.mjs")
	command := exec.CommandContext(t.Context(), "node", append([]string{script, "--json"}, args...)...)
	var out, problem bytes.Buffer
	command.Stdout, command.Stderr = &out, &problem
	var exit *exec.ExitError
	if err := command.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, errors.New(problem.String())
	}
	var report audit.Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &report))
	return report.Findings, nil
}

func withoutDetails(findings []audit.Finding) []audit.Finding {
	plain := []audit.Finding{}
	for _, f := range findings {
		f.Detail = ""
		plain = append(plain, f)
	}
	return plain
}

// TestSecondVerifierAgrees compares the verifier of examples/audit-verifier, which is written from the format alone.
func TestSecondVerifierAgrees(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		require.Empty(t, os.Getenv("ORDERSAGA_REQUIRE_NODE"), "node is missing")
		t.Skip("node is missing: install Node.js 18 or later")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's seed
	agree := func(name, dir string, log *audittest.Log) []audit.Finding {
		kept := filepath.Join(t.TempDir(), "kept")
		require.NoError(t, os.WriteFile(kept, []byte(log.Notes[3]), 0o600))
		report, err := audit.VerifyExport(t.Context(), dir, audit.Options{Keys: keysOf(t, log.Key), Kept: []string{log.Notes[3]}})
		require.NoError(t, err)
		theirs, err := second(t, "--key", log.Key, "--checkpoint", kept, dir)
		require.NoError(t, err)
		assert.Equal(t, withoutDetails(report.Findings), withoutDetails(theirs), name)
		return theirs
	}

	// One export has many damaged streams.
	log := audittest.NewLog(r, "log.example", 1000, 4)
	dir := filepath.Join(t.TempDir(), "export")
	replaced, want := make(map[string][]audit.Stored), 0
	for stream, records := range log.Streams {
		if d := audittest.Damages[r.IntN(len(audittest.Damages))]; len(records) >= d.Least && r.IntN(10) > 0 {
			out, _ := d.Apply(r, records, log.LeavesOf(stream))
			replaced[stream] = audittest.Store(out)
			want++
		}
	}
	require.NoError(t, log.Export(dir, replaced))
	require.Len(t, agree("random damage", dir, log), want)

	log = audittest.NewLog(r, "log.example", 30, 4)
	for _, d := range audittest.CheckpointDamages {
		require.NoError(t, log.Export(dir, nil))
		require.NoError(t, d.Apply(dir))
		agree(d.Name, dir, log)
	}
	// Bytes and lines are changed anywhere.
	for range 10 {
		require.NoError(t, log.Export(dir, nil))
		path := filepath.Join(dir, "events", "00001.ndjson")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for range 3 {
			text[r.IntN(len(text))] = byte(' ' + r.IntN('~'-' '))
		}
		if r.IntN(2) == 0 {
			lines := bytes.SplitAfter(text, []byte("\n"))
			r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			text = bytes.Join(lines, nil)
		}
		half := len(text) / 2
		require.NoError(t, os.WriteFile(path, text[:half], 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "events", "00002.ndjson"), text[half:], 0o600))
		require.NotEmpty(t, agree("random bytes", dir, log))
	}

	// Proofs, with the key of the log alone, and with a witness.
	witness, cosign := audittest.NewWitness("witness.example")
	kept := filepath.Join(t.TempDir(), "kept")
	path := filepath.Join(t.TempDir(), "proof.json")
	agreeOn := func(name string, proof any, sound bool, key, note string) {
		text, err := json.MarshalIndent(proof, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		o, args := audit.Options{Keys: keysOf(t, key)}, []string{"--key", key, path}
		if note != "" {
			require.NoError(t, os.WriteFile(kept, []byte(note), 0o600))
			o.Kept, args = []string{note}, append(args, "--checkpoint", kept)
		}
		ours, err := audit.VerifyProof(text, o)
		theirs, theirErr := second(t, args...)
		assert.Equal(t, err == nil, theirErr == nil, "%s: %v, %v", name, err, theirErr)
		if err == nil && theirErr == nil {
			assert.Equal(t, withoutDetails(ours.Findings), withoutDetails(theirs), name)
		}
		assert.Equal(t, sound, err == nil && len(ours.Findings) == 0, name)
	}
	proof, err := log.Prove(log.Pick(r, 3))
	require.NoError(t, err)
	for name, change := range map[string]func(p *audit.Proof){
		"sound":           func(*audit.Proof) {},
		"shorter":         func(p *audit.Proof) { p.Events = p.Events[:len(p.Events)-1] },
		"another leaf":    func(p *audit.Proof) { p.LeafIndex-- },
		"another version": func(p *audit.Proof) { p.Leaf.Version++ },
	} {
		changed := proof
		change(&changed)
		agreeOn(name, changed, name == "sound", log.Key, "")
	}
	cosigned := proof
	cosigned.Checkpoint = cosign(cosigned.Checkpoint)
	agreeOn("not cosigned", proof, false, log.Key+"\n"+witness, "")
	agreeOn("cosigned", cosigned, true, log.Key+"\n"+witness, "")
	cosigned.Checkpoint = proof.Checkpoint + strings.TrimPrefix(cosign(log.Notes[0]), log.Notes[0])
	agreeOn("a cosignature of another note", cosigned, false, log.Key+"\n"+witness, "")
	for n := 1; n <= len(log.Notes); n++ {
		c, err := log.Consistency(n)
		require.NoError(t, err)
		agreeOn("consistent", c, true, log.Key, log.Notes[n-1])
		agreeOn("the older one is cosigned", c, true, log.Key+"\n"+witness, cosign(log.Notes[n-1]))
		agreeOn("another one was kept", c, n%4+1 == len(log.Notes), log.Key, log.Notes[n%4])
		c.Older = log.Notes[n%4]
		agreeOn("another older one", c, false, log.Key, "")
	}
	require.NoError(t, log.Export(dir, nil))
	for _, note := range []string{"", cosign(log.Notes[1])} {
		if note != "" {
			require.NoError(t, os.WriteFile(kept, []byte(note), 0o600))
		}
		args, o := []string{"--key", log.Key, "--key", witness, dir}, audit.Options{Keys: keysOf(t, log.Key+"\n"+witness)}
		if note != "" {
			args, o.Kept = append(args, "--checkpoint", kept), []string{note}
		}
		ours, err := audit.VerifyExport(t.Context(), dir, o)
		require.NoError(t, err)
		theirs, err := second(t, args...)
		require.NoError(t, err)
		assert.Equal(t, withoutDetails(ours.Findings), withoutDetails(theirs))
		assert.Equal(t, note != "", len(theirs) == 0)
	}
}
