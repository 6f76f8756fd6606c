package workflows_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ordersaga/ordersaga/internal/tracing"
	"github.com/ordersaga/ordersaga/workers"
)

// histories are the golden histories, recorded by `make golden`: one of every path.
func histories(t *testing.T) map[string]*historypb.History {
	t.Helper()
	files, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	golden := map[string]*historypb.History{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var history historypb.History
		require.NoError(t, protojson.Unmarshal(raw, &history), file)
		golden[filepath.Base(file)] = &history
	}
	return golden
}

func replay(history *historypb.History, interceptors ...interceptor.WorkerInterceptor) error {
	// The SDK may report a deadlock if the machine is suspended for a second.
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		DisableDeadlockDetection: true, Interceptors: interceptors,
	})
	if err != nil {
		return err
	}
	workers.RegisterWorkflows(replayer)
	return replayer.ReplayWorkflowHistory(quiet{}, history)
}

// TestGoldenHistoriesReplay: workflows that were started by the code that recorded them go on with this code. The
// test environment never replays: this is where nondeterminism shows.
func TestGoldenHistoriesReplay(t *testing.T) {
	for name, history := range histories(t) {
		t.Run(name, func(t *testing.T) { require.NoError(t, replay(history)) })
	}
}

// TestGoldenHistoriesReplayTraced: a process that exports traces goes on with runs of one that does not.
func TestGoldenHistoriesReplayTraced(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	traces, err := tracing.To(t.Context(), exporter)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, traces.Stop(context.WithoutCancel(t.Context()))) })
	all, err := traces.Interceptors()
	require.NoError(t, err)
	var interceptors []interceptor.WorkerInterceptor
	for _, i := range all {
		interceptors = append(interceptors, i.(interceptor.WorkerInterceptor))
	}
	require.NotEmpty(t, interceptors)
	for name, history := range histories(t) {
		t.Run(name, func(t *testing.T) { require.NoError(t, replay(history, interceptors...)) })
	}
	require.NotEmpty(t, exporter.GetSpans())
}

// TestBadHistoriesDoNotReplay: a history in which an activity is not the one that this code would have started must
// fail, or the test above says nothing.
func TestBadHistoriesDoNotReplay(t *testing.T) {
	spoiled := 0
	for name, history := range histories(t) {
		for _, e := range history.Events {
			if e.GetEventType() != enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED && e.GetEventType() != enumspb.EVENT_TYPE_TIMER_STARTED {
				continue
			}
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
				a.ActivityType.Name = "other.Activity"
			} else {
				e.EventType = enumspb.EVENT_TYPE_MARKER_RECORDED
				e.Attributes = &historypb.HistoryEvent_MarkerRecordedEventAttributes{
					MarkerRecordedEventAttributes: &historypb.MarkerRecordedEventAttributes{MarkerName: "SideEffect"},
				}
			}
			require.Error(t, replay(history), name)
			spoiled++
			break
		}
	}
	require.GreaterOrEqual(t, spoiled, 5, "enough histories have something to spoil")
}

// TestFailedLocalActivityKeepsItsName: in the history, where the Temporal Web UI reads, a step that failed inside
// the workflow task is followed by a regular activity of the same type and summary, scheduled by that very task.
func TestFailedLocalActivityKeepsItsName(t *testing.T) {
	taken, through := 0, 0
	for name, history := range histories(t) {
		for n, e := range history.Events {
			marker := e.GetMarkerRecordedEventAttributes()
			if marker.GetFailure() == nil || string(e.GetUserMetadata().GetSummary().GetData()) == `"publish"` {
				continue
			}
			next := slices.IndexFunc(history.Events[n:], func(later *historypb.HistoryEvent) bool {
				return later.GetActivityTaskScheduledEventAttributes() != nil
			})
			require.Positive(t, next, "%s: nothing takes over after event %d", name, e.GetEventId())
			regular := history.Events[n+next]
			require.Equal(t, e.GetUserMetadata().GetSummary().GetData(), regular.GetUserMetadata().GetSummary().GetData(), name)
			scheduled := regular.GetActivityTaskScheduledEventAttributes()
			require.Equal(t, marker.GetWorkflowTaskCompletedEventId(), scheduled.GetWorkflowTaskCompletedEventId(), name)
			require.Contains(t, string(marker.GetDetails()["data"].GetPayloads()[0].GetData()), scheduled.GetActivityType().GetName(), name)
			taken++
			if slices.ContainsFunc(history.Events, func(end *historypb.HistoryEvent) bool {
				return end.GetActivityTaskCompletedEventAttributes().GetScheduledEventId() == regular.GetEventId()
			}) {
				through++
			}
		}
	}
	require.GreaterOrEqual(t, taken, 10, "enough histories in which a step goes regular")
	require.GreaterOrEqual(t, through, 5, "and comes through")
}
