package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testdoc"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestTheDocumentedCommands executes the blocks of README and tutorials that are marked `sh run`, in order, on a service with demo
// stock. The tutorial for flows of other modules has a test of its own, test/tutorial. A json or text block right after such a block is its output. A command that tails the bus keeps running; the lines of the
// `text tail` blocks after it must appear in its output.
func TestTheDocumentedCommands(t *testing.T) {
	s := newStack(t)
	s.start("ATTENTION_AFTER=15s") // as the tutorial says
	for _, sku := range []string{"tea", "pot"} {
		require.NoError(t, s.client.Receive(s.ctx, sku, 100))
	}
	executed := 0
	for _, page := range testdoc.Pages(t, filepath.Join("..", "..")) {
		if page.Path == "README.md" || page.Path == "docs/tutorials/orders.md" {
			executed += s.follow(page)
		}
	}
	require.Greater(t, executed, 5)
	s.audit()
}

// follow executes the blocks of a page and returns their number.
func (s *stack) follow(page testdoc.Page) (executed int) {
	s.t.Helper()
	// Temporal remembers the IDs of earlier runs of this test.
	run := testenv.Unique("doc") + "-"
	commands := strings.NewReplacer("bin/ordersaga", binary, "http://127.0.0.1:8080", s.service.URL, "shop-", run+"shop-", "checkout-", run+"checkout-")
	env := []string{"MONGODB_DATABASE=" + s.database}
	var tail *program
	var output string // of the block before
	orders := make(map[string]bool)
	blocks, _ := page.Split()
	for _, b := range blocks {
		text := commands.Replace(b.Text)
		if b.Info == "sh run" {
			for _, id := range orderID.FindAllString(b.Text, -1) {
				orders[run+id] = true
			}
		}
		switch {
		case b.Info == "sh run" && strings.Contains(b.Text, "bin/ordersaga tail"):
			if tail != nil {
				require.Equal(s.t, 0, tail.stop())
			}
			tail, output = startProgram(s.t, env, "sh", "-c", "exec "+strings.TrimSpace(text)), ""
			tail.await("^listening to ")
			executed++
		case b.Info == "sh run":
			cmd := exec.CommandContext(s.ctx, "sh", "-euc", text)
			cmd.Env = append(environ(), env...)
			out, err := cmd.CombinedOutput()
			require.NoError(s.t, err, "%s:%d: %s", page.Path, b.Line, out)
			output = string(out)
			executed++
		case b.Info == "text tail":
			require.NotNil(s.t, tail, "%s:%d: nothing tails the bus", page.Path, b.Line)
			for line := range strings.Lines(text) {
				tail.await(documented(line))
			}
			output = ""
		default:
			if output != "" && (b.Info == "json" || b.Info == "text") {
				require.Regexp(s.t, documented(text), output, "%s:%d", page.Path, b.Line)
			}
			output = ""
		}
	}
	if tail != nil {
		require.Equal(s.t, 0, tail.stop())
	}
	for id := range orders {
		_, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(s.t, err, "%s leaves order %s open", page.Path, id)
	}
	return executed
}

// orderID is an order of a page, which gives it an ID of its own.
var orderID = regexp.MustCompile(`shop-\d+`)

// varying matches what differs between two executions: UUIDs, times, the width of columns, and omissions of the page.
var varying = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d\d:\d\d:\d\d\.\d{3}|\s+|…`)

// documented returns a pattern for output in a page.
func documented(text string) string {
	text = strings.TrimSpace(text)
	var pattern strings.Builder
	at := 0
	for _, found := range varying.FindAllStringIndex(text, -1) {
		pattern.WriteString(regexp.QuoteMeta(text[at:found[0]]))
		switch token := text[found[0]:found[1]]; {
		case token == "…":
			pattern.WriteString(".*")
		case strings.TrimSpace(token) == "":
			pattern.WriteString(`\s+`)
		case strings.Contains(token, ":"):
			pattern.WriteString(`\d\d:\d\d:\d\d\.\d{3}`)
		default:
			pattern.WriteString("[0-9a-f-]{36}")
		}
		at = found[1]
	}
	return "(?s)" + pattern.String() + regexp.QuoteMeta(text[at:])
}

func TestDocumentedOutputIsCompared(t *testing.T) {
	const line = "09:22:00.336  order.confirmed  shop-1  4  sim_18b224e4-200b-519d-a88a-7c435e110a21, 1 × pot"
	pattern := documented(line)
	require.Regexp(t, pattern, "10:00:00.000 order.confirmed     shop-1 4 sim_00000000-0000-0000-0000-000000000000, 1 × pot")
	require.NotRegexp(t, pattern, "10:00:00.000 order.confirmed     shop-1 5 sim_00000000-0000-0000-0000-000000000000, 1 × pot")
	require.Regexp(t, documented(`{"id":"…","status":"rejected",…}`), `{"id":"7","status":"rejected","version":6}`)
}
