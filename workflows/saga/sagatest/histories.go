package sagatest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Histories replays every recorded history of the flow: the files <dir>/*.json whose workflow is the flow's. It fails where one does not replay,
// because a run that was started before a change of the flow would not go on after it, and where there is none. See Record.
func Histories[S, P any](t testing.TB, dir string, flow *saga.Flow[S, P]) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	found := 0
	for _, file := range files {
		history, err := readHistory(file)
		switch {
		case err != nil:
			t.Errorf("%v", err)
			continue
		case workflowOf(history) != flow.WorkflowType():
			continue
		}
		found++
		if err := replay(flow, history); err != nil {
			t.Errorf("%s does not replay: %v", file, err)
		}
	}
	if found == 0 {
		t.Errorf("%s has no history of the workflow %s: record one, see Record", dir, flow.WorkflowType())
	}
}

func readHistory(file string) (*historypb.History, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var history historypb.History
	if err := protojson.Unmarshal(raw, &history); err != nil {
		return nil, fmt.Errorf("%s is no history: %w", file, err)
	}
	return &history, nil
}

// workflowOf is the workflow type of a history.
func workflowOf(history *historypb.History) string {
	if len(history.Events) == 0 {
		return ""
	}
	return history.Events[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName()
}

func replay[S, P any](flow *saga.Flow[S, P], history *historypb.History) error {
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DisableDeadlockDetection: true})
	if err != nil {
		return err
	}
	replayer.RegisterWorkflowWithOptions(flow.Run, workflow.RegisterOptions{Name: flow.WorkflowType()})
	return replayer.ReplayWorkflowHistory(quiet{}, history)
}

// Environment variables of Record.
const (
	recordVariable    = "SAGATEST_RECORD"
	addressVariable   = "TEMPORAL_ADDRESS"
	namespaceVariable = "TEMPORAL_NAMESPACE"
)

// Record records the history of each journey, without a fault, as <dir>/<flow>-<journey>.json, when SAGATEST_RECORD is set; otherwise it does
// nothing. It needs a Temporal server at TEMPORAL_ADDRESS, with the namespace TEMPORAL_NAMESPACE, default "default", on which no other
// worker takes the flow's task queues. Everything else is in memory. Waits last as long as Settings say, in real time.
//
//	func TestHistories(t *testing.T) {
//		sagatest.Record(t, "testdata/histories", cells)
//		sagatest.Histories(t, "testdata/histories", &Flow)
//	}
//
// Recorded histories stay: a history of an earlier version shows that its runs continue.
func Record[S, P any](t testing.TB, dir string, c Cells[S, P]) {
	t.Helper()
	if os.Getenv(recordVariable) == "" {
		return
	}
	if err := c.check(); err != nil {
		t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	namespace := cmp.Or(os.Getenv(namespaceVariable), client.DefaultNamespace)
	temporal, err := client.DialContext(ctx, client.Options{HostPort: os.Getenv(addressVariable), Namespace: namespace, Logger: quiet{}})
	if err != nil {
		t.Fatalf("connect to Temporal at %s=%q: %v", addressVariable, os.Getenv(addressVariable), err)
	}
	defer temporal.Close()
	if err := attributes(ctx, temporal, namespace, c.Flow); err != nil {
		t.Fatalf("the search attributes of the flow: %v", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatalf("%v", err)
	}
	for i := range c.Journeys {
		j := &c.Journeys[i]
		r := &recording[S, P]{Cells: c, journey: j, client: temporal, world: c.NewWorld(t), Log: memlog.New()}
		if err := r.record(ctx, filepath.Join(dir, c.Flow.Stream+"-"+fileName(j.Name)+".json")); err != nil {
			t.Errorf("record the journey %s: %v", j.Name, err)
		}
	}
}

// fileName is the name of a journey without what does not belong into the name of a file.
func fileName(name string) string {
	runes := []rune(name)
	for i, r := range runes {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			runes[i] = '-'
		}
	}
	return string(runes)
}

// attributes makes sure that the namespace has the search attributes of the flow.
func attributes[S, P any](ctx context.Context, c client.Client, namespace string, flow *saga.Flow[S, P]) error {
	missing := map[string]enumspb.IndexedValueType{
		flow.StatusKey().GetName(): enumspb.INDEXED_VALUE_TYPE_KEYWORD, saga.NeedsAttentionAttribute.GetName(): enumspb.INDEXED_VALUE_TYPE_BOOL,
	}
	for {
		listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
		if err != nil {
			return err
		}
		for name := range listed.GetCustomAttributes() {
			delete(missing, name)
		}
		if len(missing) == 0 {
			return nil
		}
		_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
		if err != nil {
			return err
		}
	}
}

// recording is a journey on a Temporal server.
type recording[S, P any] struct {
	Cells[S, P]
	*memlog.Log
	journey *Journey
	client  client.Client
	world   World[S, P]

	mu sync.Mutex
	// came are the events that came.
	came map[int]bool
}

// record runs the journey, and writes its history.
func (r *recording[S, P]) record(ctx context.Context, file string) error {
	data, err := json.Marshal(r.journey.Data)
	if err != nil {
		return err
	}
	stop, err := r.work()
	if err != nil {
		return err
	}
	defer stop()
	id := r.Flow.WorkflowID(r.journey.ID)
	options := client.StartWorkflowOptions{ID: id, TaskQueue: r.Flow.Queue, WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING}
	run, err := r.client.ExecuteWorkflow(ctx, options, r.Flow.WorkflowType(), saga.Input{ID: r.journey.ID, Data: data, CorrelationID: "correlation", CausationID: "cause"})
	if err != nil {
		return err
	}
	var result saga.Result
	if err := run.Get(ctx, &result); err != nil {
		return err
	}
	if result.Status != r.journey.End {
		return fmt.Errorf("the saga is %s, and not %s", result.Status, r.journey.End)
	}
	var history historypb.History
	events := r.client.GetWorkflowHistory(ctx, id, run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return err
		}
		history.Events = append(history.Events, e)
	}
	raw, err := protojson.MarshalOptions{Multiline: true}.Marshal(&history)
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

// work starts a worker for each task queue of the flow.
func (r *recording[S, P]) work() (stop func(), err error) {
	flow := &activities.Flow[S, P]{
		Recorder: &activities.Recorder{Log: r, Publisher: confirming{}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)},
		Table:    r.Flow, Participants: r.world.Participants, Settings: r.Settings, Late: r.late,
	}
	queues := []string{r.Flow.Queue}
	for i := range r.Flow.Steps {
		for _, kind := range []saga.ActionKind{saga.Do, saga.Lookup, saga.Undo} {
			if o := r.Flow.Steps[i].Operation(kind); o != nil && o.Queue != "" && !slices.Contains(queues, o.Queue) {
				queues = append(queues, o.Queue)
			}
		}
	}
	var started []worker.Worker
	stop = func() {
		for _, w := range started {
			w.Stop()
		}
	}
	for _, queue := range queues {
		w := worker.New(r.client, queue, worker.Options{})
		w.RegisterWorkflowWithOptions(r.Flow.Run, workflow.RegisterOptions{Name: r.Flow.WorkflowType()})
		for name, run := range flow.Activities() {
			w.RegisterActivityWithOptions(run, activity.RegisterOptions{Name: name})
		}
		if err := w.Start(); err != nil {
			stop()
			return nil, err
		}
		started = append(started, w)
	}
	return stop, nil
}

func (r *recording[S, P]) late(ctx context.Context, in saga.LateInput) (saga.LateResult, error) {
	if r.Late == nil {
		return saga.LateResult{}, nil
	}
	return r.Late(ctx, in)
}

// Append implements activities.Log. Events of the journey come when the saga begins to wait.
func (r *recording[S, P]) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	newest, tail, err := r.Log.Append(ctx, stream, head, entries)
	if err != nil {
		return newest, tail, err
	}
	var none S
	records, err := r.Read(ctx, stream, 0, 0)
	if err != nil {
		return newest, tail, err
	}
	s, err := r.Flow.Fold(none, records)
	if err != nil {
		return newest, tail, err
	}
	if a := r.Flow.Decide(s, saga.Facts{}, time.Now(), r.Settings.Of); a.Kind == saga.Wait {
		r.arrive(ctx, a.Step)
	}
	return newest, tail, nil
}

// arrive sends the events for which a row waits, once. They come when the workflow task is over, however soon they are sent.
func (r *recording[S, P]) arrive(ctx context.Context, row string) {
	for i, a := range r.journey.Arrivals {
		r.mu.Lock()
		send := a.Row == row && !r.came[i]
		if r.came == nil {
			r.came = make(map[int]bool)
		}
		r.came[i] = r.came[i] || send
		r.mu.Unlock()
		if !send {
			continue
		}
		if r.world.Before != nil {
			r.world.Before(a)
		}
		_ = r.client.SignalWorkflow(ctx, r.Flow.WorkflowID(r.journey.ID), "", a.Signal, a.Payload)
	}
}

// confirming is a bus that confirms everything.
type confirming struct{}

// Publish implements activities.Publisher.
func (confirming) Publish(_ context.Context, records []event.Record) (int, error) {
	return len(records), nil
}
