package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var update = flag.Bool("update", false, "write the golden files")

// flowsOutput is what the command flows prints.
func flowsOutput(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := root("test")
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"flows"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestFlowsCommand(t *testing.T) {
	for file, args := range map[string][]string{"flows.txt": {"order"}, "flows-mermaid.md": {"--mermaid", "order"}} {
		got, err := flowsOutput(t, args...)
		require.NoError(t, err)
		golden := filepath.Join("testdata", file)
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got, file)
	}
	all, err := flowsOutput(t)
	require.NoError(t, err)
	var each string
	for _, name := range []string{"order", "late-payment", "onboarding", "notification", "refund", "return", "dispute"} {
		one, err := flowsOutput(t, name)
		require.NoError(t, err)
		each += one
	}
	require.Equal(t, each, all, "every flow that has a table")
}

func TestFlowsCommandRefuses(t *testing.T) {
	_, err := flowsOutput(t, "order", "nothing")
	require.EqualError(t, err, `flow "nothing" does not exist`)
	_, err = flowsOutput(t, "--mermaid", "--markdown")
	require.Error(t, err)
}

// The page of the documentation is what the command prints: make docs.
func TestFlowsPageIsUpToDate(t *testing.T) {
	want, err := os.ReadFile("../../docs/reference/flows.md")
	require.NoError(t, err)
	got, err := flowsOutput(t, "--markdown")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestAddedFlowsAreListed(t *testing.T) {
	infos := []saga.Info{
		{Name: "first", Stream: "one", Workflow: "First", Steps: []saga.StepInfo{{Name: "decide", Kind: saga.Pivot}}},
		{
			Name: "second", Stream: "two", Workflow: "second", Inbound: []saga.Inbound{saga.Starts(event.Type{Name: "two.requested"})},
			Steps: []saga.StepInfo{
				{Name: "lock", Kind: saga.Compensable, Compensated: true, Conditional: true, Done: "two.locked", Undone: []string{"two.unlocked", "two.dropped"}, Deadline: "A", WaitDeadline: "B"},
				{Name: "decide", Kind: saga.Pivot},
			},
		},
	}
	var text, page bytes.Buffer
	require.NoError(t, printFlow(&text, infos[1]))
	require.Equal(t, `second  (streams and workflow IDs two-<id>, workflow type second)
  start: two.requested
  STEP         KIND         DONE        REFUSED  UNDONE                    WAITS FOR  SETTINGS
  lock (some)  compensable  two.locked           two.unlocked two.dropped             A B
  decide       pivot

`, trimmed(text.String()))
	require.NoError(t, writeFlows(&page, infos))
	require.Contains(t, page.String(), "## first\n\nStreams and workflow IDs are `one-<id>`, the workflow type is `First`.\n\n| step |")
	require.Contains(t, page.String(), "```\n\n## second\n")
	require.Contains(t, page.String(), "- start: `two.requested`\n\n| step |")
	require.Contains(t, page.String(), "| lock (some) | compensable | `two.locked` |  | `two.unlocked`, `two.dropped` |  | `A`, `B` |\n")
	require.Contains(t, page.String(), "s_lock -. unavailable or too late .-> u_lock")
}

// trimmed removes the spaces at the ends of lines.
func trimmed(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
