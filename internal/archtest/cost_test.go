package archtest

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outside are the packages that import a flow's folder, besides the registry (workflows) and the wiring (internal/service): what a new
// flow does not need. The order has resources, a list and checks of its own; what the others still have here is to become the kit's.
var outside = map[string][]string{
	// The routes of its events.
	"dispute":      {"inbound"},
	"latepayment":  {"inbound", "internal/reconcile"},
	"notification": {"inbound"},
	"onboarding":   {"inbound", "workflows/notification"},
	"order": {
		"api", "inbound", "internal/cli", "internal/config", "internal/mongo", "internal/notify/orders", "internal/readmodel",
		"internal/reconcile", "internal/sagaclient", "workflows/dispute", "workflows/refund", "workflows/returns", "workflows/shortage",
	},
	// The resources of refunds and returns, the routes of their events, and the checks against the ledgers. A return has a refund saga.
	"refund":   {"api", "inbound", "internal/reconcile", "workflows/returns"},
	"returns":  {"api", "inbound", "internal/reconcile"},
	"shortage": {"internal/sagaclient"},
}

// TestWhatAFlowCosts prints how many files and lines each flow has, and which files outside its folder name it. The list of packages may
// only become shorter.
func TestWhatAFlowCosts(t *testing.T) {
	const root = "../.."
	folders := make(map[string]bool)
	entries, err := os.ReadDir(filepath.Join(root, "workflows"))
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() && e.Name() != "saga" && e.Name() != "testdata" {
			folders[e.Name()] = true
		}
	}
	files, lines := make(map[string]int), make(map[string]int)
	named := make(map[string]map[string]int)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			switch d.Name() {
			case ".git", "bench", "devstack", "tools", "test", "examples", "bin", "testdata":
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		local, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		own, inFlow := strings.CutPrefix(local, "workflows/")
		if inFlow && folders[own] {
			files[own]++
			lines[own] += bytes.Count(source, []byte("\n"))
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			flow, ok := strings.CutPrefix(imported, module+"/workflows/")
			if !ok || !folders[flow] || local == "workflows" || local == "internal/service" || strings.HasSuffix(local, "test") {
				continue
			}
			if named[flow] == nil {
				named[flow] = make(map[string]int)
			}
			named[flow][local]++
		}
		return nil
	})
	require.NoError(t, err)
	for _, flow := range slices.Sorted(maps.Keys(folders)) {
		total := 0
		for _, n := range named[flow] {
			total += n
		}
		t.Logf("%-13s %2d files, %4d lines; named by %2d files outside: %v", flow, files[flow], lines[flow], total, named[flow])
		require.Equal(t, outside[flow], slices.Sorted(maps.Keys(named[flow])), "the packages that name flow %s", flow)
	}
}
