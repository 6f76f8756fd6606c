package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sort"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Kind is the kind of a finding.
type Kind string

// The kinds of findings.
const (
	// Broken histories do not replay: a run that is still open would fail its next workflow task.
	Broken Kind = "broken"
	// Unreadable is what could not be read, or is not a history.
	Unreadable Kind = "unreadable"
)

// Finding is a history that does not replay, or that could not be checked.
type Finding struct {
	Kind Kind `json:"kind"`
	// File is the file of the history; empty for live ones.
	File string `json:"file,omitempty"`
	// Flow and ID name the saga; they are empty if the history is unreadable or its workflow type is unknown.
	Flow       string `json:"flow,omitempty"`
	ID         string `json:"id,omitempty"`
	WorkflowID string `json:"workflowId,omitempty"`
	RunID      string `json:"runId,omitempty"`
	Type       string `json:"workflowType,omitempty"`
	// Open reports that the run has not ended.
	Open bool `json:"open"`
	// Event is the event at which the replay differs, EventType its type, Step what the run did there.
	Event     int64  `json:"event,omitempty"`
	EventType string `json:"eventType,omitempty"`
	Step      string `json:"step,omitempty"`
	Detail    string `json:"detail"`
}

// Config configures a Checker. Workflows and Name are required.
type Config struct {
	// Workflows are the workflow functions of this binary by workflow type.
	Workflows map[string]any
	// Queues are the task queues on which this binary runs workflows. Live workflows of an unknown type on another queue belong to other
	// services.
	Queues []string
	// Name returns the flow and the ID of the saga of a workflow.
	Name func(workflowType, workflowID string) (flow, id string)
	// Client has the data converter, the propagators and the interceptors that the workers have. Its logger is not used.
	Client client.Options
}

// Checker replays histories.
type Checker struct {
	Config

	interceptors []interceptor.WorkerInterceptor
	converter    converter.DataConverter
}

// New creates a Checker. It does no I/O.
func New(c Config) *Checker {
	all := &Checker{Config: c, converter: c.Client.DataConverter}
	if all.converter == nil {
		all.converter = converter.GetDefaultDataConverter()
	}
	// The converter of workflow tasks may panic over a payload that it cannot read; that of clients returns an error.
	if aware, ok := all.converter.(workflow.ContextAware); ok {
		all.converter = aware.WithContext(context.Background())
	}
	for _, i := range c.Client.Interceptors {
		if w, ok := i.(interceptor.WorkerInterceptor); ok {
			all.interceptors = append(all.interceptors, w)
		}
	}
	return all
}

// Check replays a history. It returns nil if the history replays.
func (c *Checker) Check(history *historypb.History) *Finding {
	events := history.GetEvents()
	started := started(events)
	if started == nil {
		return &Finding{Kind: Unreadable, Detail: "the history does not begin with WorkflowExecutionStarted"}
	}
	f := &Finding{
		Kind: Broken, Type: started.GetWorkflowType().GetName(), WorkflowID: started.GetWorkflowId(), RunID: started.GetOriginalExecutionRunId(),
		Open: !ended(events[len(events)-1]),
	}
	if c.Workflows[f.Type] == nil {
		f.Event, f.EventType = events[0].GetEventId(), events[0].GetEventType().String()
		f.Detail = fmt.Sprintf("this binary has no workflow %q", f.Type)
		return f
	}
	f.Flow, f.ID = c.Name(f.Type, f.WorkflowID)
	for i, e := range events {
		if next := int64(i) + 1; e.GetEventId() != next {
			f.Kind, f.Detail = Unreadable, fmt.Sprintf("the history has no event %d", next)
			return f
		}
	}
	tasks := completedTasks(events)
	if len(tasks) == 0 {
		return nil // Nothing was decided yet.
	}
	err := c.replay(f, events)
	if err == nil {
		return nil
	}
	// A replay stops at the first workflow task that differs, so all longer prefixes of the history fail, too.
	task := tasks[sort.Search(len(tasks)-1, func(i int) bool { return c.replay(f, events[:tasks[i].end]) != nil })]
	c.locate(f, events[task.completed], events[task.completed+1:task.end], err)
	return f
}

// replay replays events with a replayer of their own: replayers keep the results of all runs.
func (c *Checker) replay(f *Finding, events []*historypb.HistoryEvent) error {
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		DataConverter: c.Client.DataConverter, FailureConverter: c.Client.FailureConverter, ContextPropagators: c.Client.ContextPropagators,
		Interceptors: c.interceptors,
		// A busy machine may pause a process for longer than a second.
		DisableDeadlockDetection: true,
	})
	if err != nil {
		return err
	}
	replayer.RegisterWorkflowWithOptions(c.Workflows[f.Type], workflow.RegisterOptions{Name: f.Type})
	options := worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: f.WorkflowID, RunID: f.RunID}}
	return replayer.ReplayWorkflowHistoryWithOptions(quiet(), &historypb.History{Events: events}, options)
}

// started returns the attributes of the first event; nil if it does not start a workflow.
func started(events []*historypb.HistoryEvent) *historypb.WorkflowExecutionStartedEventAttributes {
	if len(events) == 0 {
		return nil
	}
	return events[0].GetWorkflowExecutionStartedEventAttributes()
}

// ended reports whether an event ends its run.
func ended(e *historypb.HistoryEvent) bool {
	return slices.Contains([]enumspb.EventType{
		enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
		enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
		enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
	}, e.GetEventType())
}

// task is a completed workflow task: the index of its completion, and the index after the last event that belongs to it.
type task struct{ completed, end int }

// completedTasks are the completed workflow tasks of a history, each up to the next one.
func completedTasks(events []*historypb.HistoryEvent) (tasks []task) {
	for i, e := range events {
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			tasks = append(tasks, task{i, len(events)})
			continue
		}
		if n := len(tasks) - 1; n >= 0 && tasks[n].end == len(events) && e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED {
			tasks[n].end = i
		}
	}
	return tasks
}

// quiet is a logger for replays: what they say is in their errors.
func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// maxHistory is the maximum size of a file in bytes. Temporal's default limit of a history is 50 MB, which is less than four times as long as JSON.
const maxHistory = 200 << 20

// Read reads a history as `temporal workflow show --output json` prints it, and as the Temporal Web UI downloads it.
func Read(r io.Reader) (*historypb.History, error) {
	limited := &io.LimitedReader{R: r, N: maxHistory + 1}
	history, err := client.HistoryFromJSON(limited, client.HistoryJSONOptions{})
	switch {
	case limited.N == 0:
		return nil, fmt.Errorf("larger than %d bytes", maxHistory)
	case err != nil:
		return nil, fmt.Errorf("not a history: %w", err)
	case len(history.GetEvents()) == 0:
		return nil, errors.New("not a history: it has no events")
	}
	return history, nil
}

// unreadable is the finding about a history that could not be read.
func unreadable(file string, f Finding, err error) *Finding {
	f.Kind, f.File, f.Detail = Unreadable, cmp.Or(file, f.File), err.Error()
	return &f
}
