package runtime_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/runtime"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// run runs a command of a binary with flows, and returns its exit code and what it prints.
func run(t *testing.T, args []string, flows ...runtime.Flow) (code int, out, complaints string) {
	t.Helper()
	read := func(file **os.File) func() string {
		before := *file
		r, w, err := os.Pipe()
		require.NoError(t, err)
		*file = w
		text := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(r)
			text <- string(all)
		}()
		return func() string {
			*file = before
			require.NoError(t, w.Close())
			defer r.Close()
			return <-text
		}
	}
	before := os.Args
	os.Args = append([]string{"hotel"}, args...)
	stdout, stderr := read(&os.Stdout), read(&os.Stderr)
	code = runtime.Run(t.Context(), flows...)
	os.Args = before
	return code, stdout(), stderr()
}

// hotel is the flow of the example, with schemas.
func hotel() runtime.Flow {
	flow, files := bookings, make(fstest.MapFS)
	for _, kind := range []string{"booking_requested", "accepted", "held", "full", "released", "confirmed"} {
		files["hotel."+kind+"/1.json"] = &fstest.MapFile{Data: []byte(`{"type": "object"}`)}
	}
	flow.Schemas = files
	return runtime.Add(&flow, func(runtime.Env) (*Hotel, error) { return &Hotel{}, nil })
}

func TestExampleFlowIsRegistered(t *testing.T) {
	code, out, complaints := run(t, []string{"flows"}, hotel())
	require.Zero(t, code, complaints)
	require.Contains(t, out, "order  (streams and workflow IDs order-<id>")
	require.Contains(t, out, "booking  (streams and workflow IDs hotel-<id>, workflow type booking)")
	require.Contains(t, out, "start: hotel.booking_requested")
	code, out, _ = run(t, []string{"flows", "--mermaid", "booking"}, hotel())
	require.Zero(t, code)
	require.Contains(t, out, "s_hold --> s_decide")
	require.NotContains(t, out, "### order")
}

func TestInvalidFlowIsRefused(t *testing.T) {
	for want, flow := range map[string]runtime.Flow{
		"there are no schemas hotel.booking_requested/1.json": runtime.Add(&bookings, func(runtime.Env) (*Hotel, error) { return &Hotel{}, nil }),
		"Participants is missing":                             runtime.Add(&bookings, nil),
	} {
		code, out, complaints := run(t, []string{"flows"}, flow)
		require.Equal(t, 1, code)
		require.Empty(t, out)
		require.Contains(t, complaints, want)
	}
	t.Setenv("HOTEL_HOLD_DEADLINE", "soon")
	code, _, complaints := run(t, []string{"flows"}, hotel())
	require.Equal(t, 1, code)
	require.Contains(t, complaints, `HOTEL_HOLD_DEADLINE: "soon" must be a duration greater than zero`)
}

func TestInvalidFlowsAreNamed(t *testing.T) {
	code, _, complaints := run(t, []string{"flows", "nothing"}, hotel())
	require.Equal(t, 1, code)
	require.Contains(t, complaints, `flow "nothing" does not exist`)
}

// TestHistoriesOfAddedFlowsReplay: a gate before an upgrade covers the flows that a team has added.
func TestHistoriesOfAddedFlowsReplay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"events": [
		{"eventId": 1, "eventType": "WorkflowExecutionStarted", "eventTime": "2026-01-01T00:00:00Z",
			"workflowExecutionStartedEventAttributes": {"workflowType": {"name": "booking"}, "workflowId": "hotel-b1", "taskQueue": {"name": "orders"},
			"input": {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "eyJpZCI6ImIxIn0="}]}}},
		{"eventId": 2, "eventType": "WorkflowTaskScheduled", "workflowTaskScheduledEventAttributes": {}},
		{"eventId": 3, "eventType": "WorkflowTaskStarted", "workflowTaskStartedEventAttributes": {"scheduledEventId": 2}},
		{"eventId": 4, "eventType": "WorkflowTaskCompleted", "workflowTaskCompletedEventAttributes": {"scheduledEventId": 2, "startedEventId": 3}},
		{"eventId": 5, "eventType": "TimerStarted", "timerStartedEventAttributes": {"timerId": "5", "workflowTaskCompletedEventId": 4}}
	]}`), 0o600))
	code, out, _ := run(t, []string{"replay", "--json", file}, hotel())
	require.Equal(t, 1, code)
	require.Contains(t, out, `"flow": "booking",
      "id": "b1"`)
	require.Contains(t, out, `"event": 5`)
	code, out, _ = run(t, []string{"replay", "--json", file})
	require.Equal(t, 1, code)
	require.Contains(t, out, "this binary has no workflow")
}
