package matrix

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// mutant is a version of the service with a mistake, and the tests that must fail. The mistake is made in a copy of the
// source, with which the tests are compiled (go test -overlay): the service itself has no switches for it.
type mutant struct {
	name  string
	edits []edit
	// dir is the package of the tests, run the tests: a pattern as -run takes it.
	dir, run string
	// worlds are parts of the matrix of which each must fail; none if any failed test is enough.
	worlds []string
	// always reports whether `make test` compiles it, and not only `make mutants`: one for each package of tests.
	always bool
}

// edit replaces text in a file. The text must be there exactly once: a mutant without a change proves nothing.
type edit struct{ file, from, to string }

// bothModes are the parts that find a mistake about unrecorded effects: if a local activity has recorded everything,
// no regular activity can miss it.
var bothModes = []string{"immediate", "immediate, regular"}

// Typical mistakes in orchestrators of this kind. The matrix must fail for each of them.
var mutants = []mutant{
	{
		name: "only recorded effects are compensated", dir: "test/matrix", always: true,
		edits: []edit{
			{"workflows/saga/decide.go", "	case row.Do == nil:\n		return n.k.Has(row.slot())\n", "	case row.Do == nil, !n.k.Has(row.slot()):\n		return n.k.Has(row.slot())\n"},
		},
		run: `TestMatrix/cell/^immediate(, regular)?$/^(reserve|authorize)$/^done$/(kill|pause)\+cancel`, worlds: bothModes,
	},
	{
		name: "the undo of what was never done writes no fence", dir: "test/matrix",
		edits: []edit{
			{"internal/inventory/ledger.go", "	if kind == event.StockReleased {\n		a, err := l.writeOnce(", "	if false {\n		a, err := l.writeOnce("},
			{
				"internal/simulator/moves.go", "	return s.write(keyAuthorize, event.ChargeFenced, charge), nil",
				"	return say(payment.Result{State: payment.Undone})",
			},
		},
		run: `TestMatrix/cell/^immediate(, regular)?$/^(reserve|authorize)$/before/pause\+cancel`, worlds: bothModes,
	},
	{
		name: "forward or back is not recorded before the capture", dir: "test/matrix",
		edits: []edit{{
			"workflows/saga/decide.go", "			return n.record(SlotDecide, kindSettling, \"\")\n", "			return n.forward()\n",
		}},
		run: `TestMatrix/cell/^immediate(, regular)?$/^(authorize|capture)$/(done|recorded)/(kill|cancel)$`, worlds: bothModes,
	},
}

func TestMutantsFailTheMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the tests anew for each mutant")
	}
	testenv.Temporal(t)
	runMutants(t, mutants)
}

// runMutants runs those of `make test`, or all.
func runMutants(t *testing.T, list []mutant) {
	t.Helper()
	for _, m := range list {
		if m.always || whole() {
			t.Run(m.name, m.mustBeNoticed)
		}
	}
}

// failed finds the tests in the output of go test that failed and have no failed test below them.
var failed = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// mustBeNoticed compiles the mutant with the tests and requires one of them to fail.
func (m mutant) mustBeNoticed(t *testing.T) {
	began := time.Now()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	// The race detector is not needed, and unchanged packages are not compiled again: the binaries are built without it, too.
	command := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=15m", "-overlay="+m.overlay(t, root), "-run="+m.run, "-v", "./"+m.dir)
	command.Dir, command.Env = root, append(command.Environ(), wholeMatrix+"=1", mutantVariable+"=1", "CGO_ENABLED=0")
	output, err := command.CombinedOutput()
	require.Error(t, err, "no test failed")

	var red []string
	for _, match := range failed.FindAllStringSubmatch(string(output), -1) {
		if name := match[1]; !strings.Contains(string(output), "--- FAIL: "+name+"/") {
			red = append(red, name)
		}
	}
	assert.NotEmpty(t, red, "no test failed, but the command did: %s", output)
	assert.NotContains(t, string(output), "panic: test timed out")
	for _, world := range m.worlds {
		part := "/cell/" + strings.ReplaceAll(world, " ", "_") + "/"
		assert.True(t, slices.ContainsFunc(red, func(name string) bool { return strings.Contains(name, part) }), "no test failed in %s", world)
	}
	t.Logf("red after %s:\n  %s", time.Since(began).Round(time.Second), strings.Join(red, "\n  "))
}

// overlay writes the mutated files and their list for go test.
func (m mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	mutated := map[string]string{}
	for _, e := range m.edits {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		if mutated[path] == "" {
			source, err := os.ReadFile(path)
			require.NoError(t, err)
			mutated[path] = string(source)
		}
		require.Equal(t, 1, strings.Count(mutated[path], e.from), "%s does not have once: %s", e.file, e.from)
		mutated[path] = strings.Replace(mutated[path], e.from, e.to, 1)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for path, source := range mutated {
		copied := filepath.Join(dir, filepath.Base(path))
		require.NotContains(t, replace, copied)
		require.NoError(t, os.WriteFile(copied, []byte(source), 0o600))
		replace[path] = copied
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, list, 0o600))
	return file
}
