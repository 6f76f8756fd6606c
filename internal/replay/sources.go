package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
)

// OpenWorkflows is the visibility query for all open workflows of a namespace.
const OpenWorkflows = "ExecutionStatus = 'Running'"

// ErrQuery means that Temporal does not accept a visibility query.
var ErrQuery = errors.New("the query is refused")

const (
	// concurrency is the number of histories that are in memory at a time.
	concurrency = 4
	// MaxFindings is the maximum number of findings in a report. Further ones are only counted.
	MaxFindings = 1000
	// progressEvery is the number of histories between two calls of the progress function.
	progressEvery = 1000
	// page is the number of workflows that Temporal lists at a time.
	page = 500
)

// Report is the result of a check.
type Report struct {
	// Checked is the number of histories: those that replay (OK), Broken and Unreadable ones.
	Checked    int `json:"checked"`
	OK         int `json:"ok"`
	Broken     int `json:"broken"`
	Unreadable int `json:"unreadable"`
	// Other is the number of live workflows that belong to other services: their type and task queue are not those of this binary. They are
	// not checked.
	Other int `json:"other"`
	// Findings are sorted by flow and ID, at most MaxFindings.
	Findings []Finding `json:"findings"`
}

// source is a history to check: where it is, and how it is read. A nil history has nothing to check.
type source struct {
	file string
	info Finding
	read func(ctx context.Context) (*historypb.History, error)
}

// Files checks files, and the files *.json of folders. The file "-" is stdin. A file that cannot be read is a finding. progress may be nil.
func (c *Checker) Files(ctx context.Context, paths []string, stdin io.Reader, progress func(checked int)) (Report, error) {
	return c.all(ctx, func(yield func(source, error) bool) {
		for _, path := range paths {
			if path == "-" {
				if !yield(source{file: path, read: func(context.Context) (*historypb.History, error) { return Read(stdin) }}, nil) {
					return
				}
				continue
			}
			more := true
			err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, failed error) error {
				if failed == nil && (entry.IsDir() || file != path && filepath.Ext(file) != ".json") {
					return nil
				}
				// What WalkDir cannot read, readFile cannot read either, and says why.
				more = yield(source{file: file, read: func(context.Context) (*historypb.History, error) { return readFile(file) }}, nil)
				if !more {
					return fs.SkipAll
				}
				return nil
			})
			if !more || err != nil && !yield(source{}, err) {
				return
			}
		}
	}, progress)
}

func readFile(file string) (*historypb.History, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f)
}

// Live checks the workflows that a visibility query selects, with their histories so far. Visibility follows with a delay: workflows that started
// a moment ago may be missing. progress may be nil. Errors: ErrQuery.
func (c *Checker) Live(ctx context.Context, temporal client.Client, query string, progress func(checked int)) (Report, error) {
	other := 0
	report, err := c.all(ctx, func(yield func(source, error) bool) {
		request := &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: page}
		for {
			listed, err := temporal.ListWorkflow(ctx, request)
			var invalid *serviceerror.InvalidArgument
			if errors.As(err, &invalid) {
				err = fmt.Errorf("%w: %w", ErrQuery, err)
			}
			if err != nil {
				yield(source{}, fmt.Errorf("list workflows: %w", err))
				return
			}
			for _, w := range listed.GetExecutions() {
				if c.Workflows[w.GetType().GetName()] == nil && !slices.Contains(c.Queues, w.GetTaskQueue()) {
					other++
					continue
				}
				if !yield(c.live(temporal, w), nil) {
					return
				}
			}
			if request.NextPageToken = listed.GetNextPageToken(); len(request.NextPageToken) == 0 {
				return
			}
		}
	}, progress)
	report.Other = other
	return report, err
}

// live is the history of a workflow in Temporal.
func (c *Checker) live(temporal client.Client, w *workflowpb.WorkflowExecutionInfo) source {
	f := Finding{
		WorkflowID: w.GetExecution().GetWorkflowId(), RunID: w.GetExecution().GetRunId(), Type: w.GetType().GetName(),
		Open: w.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}
	if c.Workflows[f.Type] != nil {
		f.Flow, f.ID = c.Name(f.Type, f.WorkflowID)
	}
	return source{info: f, read: func(ctx context.Context) (*historypb.History, error) {
		events := temporal.GetWorkflowHistory(ctx, f.WorkflowID, f.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		var history historypb.History
		for events.HasNext() {
			e, err := events.Next()
			var gone *serviceerror.NotFound
			switch {
			case errors.As(err, &gone):
				return nil, nil // It ended, and its retention is over.
			case err != nil:
				return nil, err
			}
			history.Events = append(history.Events, e)
		}
		return &history, nil
	}}
}

// all checks all sources, a few at a time.
func (c *Checker) all(ctx context.Context, sources iter.Seq2[source, error], progress func(checked int)) (Report, error) {
	var mu sync.Mutex
	var report Report
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(concurrency)
	var failed error
	for s, err := range sources {
		if err != nil {
			failed = err
			break
		}
		if failed = working.Err(); failed != nil {
			break
		}
		work.Go(func() error {
			history, err := s.read(working)
			var found *Finding
			switch {
			case err != nil && working.Err() != nil:
				return working.Err()
			case err != nil:
				found = unreadable(s.file, s.info, err)
			case history == nil:
				return nil
			default:
				if found = c.Check(history); found != nil {
					found.File = s.file
				}
			}
			mu.Lock()
			defer mu.Unlock()
			report.add(found)
			if progress != nil && report.Checked%progressEvery == 0 {
				progress(report.Checked)
			}
			return nil
		})
	}
	if err := work.Wait(); failed == nil {
		failed = err
	}
	report.sort()
	return report, failed
}
