package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/replay"
)

// golden are the recorded histories of every path.
var golden = filepath.Join("..", "..", "workflows", "testdata", "histories")

// replays runs ordersaga replay and returns its exit code and its report.
func replays(t *testing.T, stdin string, args ...string) (code int, r replay.Report) {
	t.Helper()
	cmd := root("test")
	var out, errs bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(append([]string{"replay", "--json"}, args...))
	code = exitCode(cmd.ExecuteContext(t.Context()))
	if code != 2 {
		require.NoError(t, json.Unmarshal(out.Bytes(), &r), "%s%s", &out, &errs)
		require.Equal(t, r.Checked, r.OK+r.Broken+r.Unreadable)
		require.Len(t, r.Findings, r.Broken+r.Unreadable)
	}
	return code, r
}

// recorded is a history as JSON.
type recorded struct {
	Events []map[string]any `json:"events"`
}

// read reads a golden history.
func read(t *testing.T, name string) recorded {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(golden, name))
	require.NoError(t, err)
	var h recorded
	require.NoError(t, json.Unmarshal(raw, &h))
	return h
}

func (h recorded) json(t *testing.T) string {
	t.Helper()
	raw, err := json.Marshal(h)
	require.NoError(t, err)
	return string(raw)
}

// until returns the events before and including a number.
func (h recorded) until(n int) recorded { return recorded{h.Events[:n]} }

// field is a field of an event.
func field(v map[string]any, names ...string) map[string]any {
	for _, name := range names {
		v, _ = v[name].(map[string]any)
	}
	return v
}

func TestGoldenHistoriesPass(t *testing.T) {
	code, r := replays(t, "", golden)
	require.Zero(t, code, "%+v", r.Findings)
	files, err := filepath.Glob(filepath.Join(golden, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, r.OK)
}

// TestSagasInFlightPass: histories end after any workflow task, or in the middle of one.
func TestSagasInFlightPass(t *testing.T) {
	dir, cuts := t.TempDir(), 0
	for _, name := range []string{"shipment.json", "gateway-down.json", "never-paid.json", "two-parcels.json", "notice.welcome.json"} {
		h := read(t, name)
		for i, e := range h.Events {
			if i > 0 && slices.Contains([]any{"EVENT_TYPE_WORKFLOW_TASK_SCHEDULED", "EVENT_TYPE_WORKFLOW_TASK_STARTED", "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"}, e["eventType"]) {
				require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.json", name, i)), []byte(h.until(i).json(t)), 0o600))
				cuts++
			}
		}
	}
	code, r := replays(t, "", dir)
	require.Zero(t, code, "%+v", r.Findings)
	require.Equal(t, cuts, r.OK)
}

func TestChangedHistoriesBreak(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		change func(h recorded) recorded
		want   replay.Finding
	}{
		"another local activity": {"shipment.json", func(h recorded) recorded {
			payload := field(h.Events[16], "markerRecordedEventAttributes", "details", "data")["payloads"].([]any)[0].(map[string]any)
			raw, _ := base64.StdEncoding.DecodeString(payload["data"].(string))
			payload["data"] = base64.StdEncoding.EncodeToString(bytes.Replace(raw, []byte("payment.Capture"), []byte("payment.Charge"), 1))
			return h
		}, replay.Finding{
			Event: 17, EventType: "MarkerRecorded", Step: "capture the payment",
			Detail: "the history has local activity payment.Charge, this binary runs payment.Capture",
		}},
		"another activity": {"gateway-down.json", func(h recorded) recorded {
			field(h.Events[7], "activityTaskScheduledEventAttributes", "activityType")["name"] = "payment.Reserve"
			return h.until(8)
		}, replay.Finding{
			Open: true, Event: 8, EventType: "ActivityTaskScheduled", Step: "authorize the payment",
			Detail: "the history has ActivityTaskScheduled payment.Reserve, this binary does ScheduleActivityTask payment.Authorize",
		}},
		"no timer": {"shipment.json", func(h recorded) recorded {
			h = h.until(9)
			h.Events[8] = maps.Clone(h.Events[7])
			h.Events[8]["eventId"] = "9"
			return h
		}, replay.Finding{
			Open: true, Event: 8, EventType: "UpsertWorkflowSearchAttributes", Step: "after authorize the payment",
			Detail: "the history has UpsertWorkflowSearchAttributes, this binary does StartTimer",
		}},
		"another workflow": {"shipment.json", func(h recorded) recorded {
			field(h.Events[0], "workflowExecutionStartedEventAttributes", "workflowType")["name"] = "ExchangeSaga"
			return h
		}, replay.Finding{Event: 1, EventType: "WorkflowExecutionStarted", Detail: `this binary has no workflow "ExchangeSaga"`}},
	} {
		t.Run(name, func(t *testing.T) {
			h := read(t, c.file)
			start := field(h.Events[0], "workflowExecutionStartedEventAttributes")
			code, r := replays(t, c.change(h).json(t), "-")
			require.Equal(t, 1, code)
			require.Equal(t, 1, r.Broken)
			c.want.Kind, c.want.File, c.want.Type = replay.Broken, "-", field(start, "workflowType")["name"].(string)
			c.want.WorkflowID, c.want.RunID = start["workflowId"].(string), start["originalExecutionRunId"].(string)
			if c.want.Type == "OrderSaga" {
				c.want.Flow, c.want.ID = "order", strings.TrimPrefix(c.want.WorkflowID, "order-")
			}
			require.Equal(t, c.want, r.Findings[0])
		})
	}
}

func TestUnreadableHistoriesAreNamed(t *testing.T) {
	h := read(t, "shipment.json")
	whole := h.json(t)
	gap := recorded{slices.Delete(slices.Clone(h.Events), 10, 11)}
	for name, c := range map[string]struct{ input, want string }{
		"truncated":    {whole[:len(whole)/2], "not a history"},
		"empty":        {"", "not a history"},
		"no events":    {"{}", "it has no events"},
		"no start":     {recorded{h.Events[1:]}.json(t), "does not begin with WorkflowExecutionStarted"},
		"lost event":   {gap.json(t), "has no event 11"},
		"another JSON": {`{"events": "none"}`, "not a history"},
	} {
		t.Run(name, func(t *testing.T) {
			code, r := replays(t, c.input, "-")
			require.Equal(t, 1, code)
			require.Equal(t, 1, r.Unreadable)
			require.Contains(t, r.Findings[0].Detail, c.want)
		})
	}
	code, r := replays(t, whole, "-", filepath.Join(t.TempDir(), "nothing.json"))
	require.Equal(t, 1, code)
	require.Equal(t, 1, r.OK)
	require.Contains(t, r.Findings[0].Detail, "no such file")
}

func TestReplayReportsUsageErrors(t *testing.T) {
	for _, args := range [][]string{{}, {"--from-temporal", "a", "b"}, {"--unknown"}} {
		code, _ := replays(t, "", args...)
		require.Equal(t, 2, code, args)
	}
}

func TestReplayPrintsTheStep(t *testing.T) {
	h := read(t, "gateway-down.json").until(8)
	field(h.Events[7], "activityTaskScheduledEventAttributes", "activityType")["name"] = "payment.Reserve"
	cmd := root("test")
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(h.json(t)))
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"replay", "-"})
	require.ErrorIs(t, cmd.Execute(), errBroken)
	require.Regexp(t, `broken +order +\S+ +\S+ +open +8 ActivityTaskScheduled +authorize the payment +-: the history has`, out.String())
	require.Contains(t, out.String(), "1 checked: 0 ok, 1 broken, 0 unreadable\n")
}
