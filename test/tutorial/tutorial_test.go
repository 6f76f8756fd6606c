// Package tutorial executes the commands of the tutorial for flows of other modules, as its reader does: in an empty folder outside the
// repository.
package tutorial

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testdoc"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

const path = "docs/tutorials/write-a-flow.md"

func TestMain(m *testing.M) { testenv.Main(m) }

// page returns the root of the repository and the blocks of the tutorial.
func page(t *testing.T) (root string, blocks []testdoc.Block) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	for _, p := range testdoc.Pages(t, root) {
		if p.Path == path {
			blocks, _ = p.Split()
		}
	}
	require.NotEmpty(t, blocks)
	return root, blocks
}

// start is the command that starts the service on a stack of its own. The test has a stack already.
const start = `"$ORDERSAGA/bin/devstack" up -- `

// TestTheTutorial executes the blocks that are marked `sh run`. A json or text block after such a block shows its output;
// … leaves some of it out.
func TestTheTutorial(t *testing.T) {
	testenv.Temporal(t)
	testenv.AMQP(t)
	_, database := testenv.MongoDB(t)
	root, blocks := page(t)
	addr, err := harness.FreeAddr()
	require.NoError(t, err)
	dir := t.TempDir()
	env := append(os.Environ(), "ORDERSAGA="+root, "HTTP_ADDR="+addr, "MONGODB_DATABASE="+database)
	// Temporal remembers the IDs of earlier runs of this test.
	run := strings.NewReplacer("http://127.0.0.1:8080", "http://"+addr, "topup-", strings.ReplaceAll(testenv.Unique("run"), "_", "-")+"-topup-")
	client := harness.Client{URL: "http://" + addr, Patient: true}

	var output, flow string
	sagas := make(map[string]string) // flows by ID
	for _, b := range blocks {
		text := run.Replace(b.Text)
		switch command, serves := strings.CutPrefix(text, start); {
		case b.Info == "sh run" && serves:
			binary, role, _ := strings.Cut(strings.TrimSpace(command), " ")
			service, err := harness.Start(t.Context(), harness.Options{
				Binary: filepath.Join(dir, binary), Role: role, Addr: addr, Env: []string{"MONGODB_DATABASE=" + database}, Output: t.Output(),
			})
			require.NoError(t, err)
			t.Cleanup(service.Kill)
			output = ""
		case b.Info == "sh run":
			cmd := exec.CommandContext(t.Context(), "sh", "-euc", text)
			cmd.Dir, cmd.Env = dir, env
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s:%d: %s", path, b.Line, out)
			output = string(out)
			if found := sagaURL.FindStringSubmatch(text); found != nil {
				flow = found[1]
			}
			for _, id := range sagaID.FindAllString(text, -1) {
				sagas[id] = flow
			}
		case (b.Info == "json" || b.Info == "text") && output != "":
			for part := range strings.SplitSeq(strings.TrimSpace(text), "…") {
				require.Contains(t, output, part, "%s:%d", path, b.Line)
			}
		}
	}
	require.Greater(t, len(sagas), 2, "sagas of the page")
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Timeout)
	defer cancel()
	for id, flow := range sagas {
		var answer harness.Response
		err := harness.Poll(ctx, 50*time.Millisecond, func() bool {
			answer, _ = client.Do(ctx, http.MethodGet, "/v1/sagas/"+flow+"/"+id, nil)
			return ended.Match(answer.Body)
		})
		require.NoError(t, err, "the page leaves saga %s open: %s", id, answer.Body)
	}
}

var (
	// sagaID matches the IDs of the page's sagas; the test gives them IDs of their own.
	sagaID  = regexp.MustCompile(`[a-z0-9-]*topup-\d+`)
	sagaURL = regexp.MustCompile(`/v1/sagas/([a-z-]+)`)
	ended   = regexp.MustCompile(`"status":"(completed|rejected)"`)
)

// TestTheTutorialShowsTheExample: the Go code of the page is that of an example. Indentation and line breaks may differ, and … leaves code out.
func TestTheTutorialShowsTheExample(t *testing.T) {
	root, blocks := page(t)
	var source string
	for _, pattern := range []string{"*/*.go", "*/cmd/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, "examples", filepath.FromSlash(pattern)))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			source += string(text)
		}
	}
	source = strings.Join(strings.Fields(source), " ")
	for _, b := range blocks {
		if b.Info != "go" {
			continue
		}
		for part := range strings.SplitSeq(b.Text, "…") {
			if part = strings.Join(strings.Fields(part), " "); !strings.Contains(source, part) {
				t.Errorf("%s:%d: no example contains %q", path, b.Line, part)
			}
		}
	}
}
