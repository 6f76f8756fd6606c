package service

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/replay"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// Replay replays histories with the workflows of this binary: those of files, or those of the workflows in Temporal that a query selects.
type Replay struct {
	Files []string
	Stdin io.Reader
	// Query is used if there are no files.
	Query string
	// Progress is called from time to time with the number of checked histories.
	Progress func(checked int)
}

// Run connects to Temporal only if there are no files. It only reads.
func (r Replay) Run(ctx context.Context, cfg config.Config, logger *slog.Logger, flows ...Flow) (replay.Report, error) {
	s := &Service{cfg: cfg, logger: logger, added: flows}
	defer s.Close()
	options, err := s.temporalOptions()
	if err != nil {
		return replay.Report{}, err
	}
	checker := replay.New(s.replayConfig(options))
	if len(r.Files) > 0 {
		return checker.Files(ctx, r.Files, r.Stdin, r.Progress)
	}
	if err := s.dialTemporal(ctx, options); err != nil {
		return replay.Report{}, err
	}
	return checker.Live(ctx, s.temporal, r.Query, r.Progress)
}

// replayConfig has all workflows that the workers of this binary register.
func (s *Service) replayConfig(options client.Options) replay.Config {
	c := replay.Config{Workflows: maps.Clone(workflows.Types()), Queues: slices.Clone(workers.Queues), Client: options, Name: s.sagaOf}
	c.Workflows[workflows.NameReconcile] = workflows.Reconcile
	c.Workflows[workflows.NameCheckpoint] = workflows.Checkpoint
	for _, f := range s.added {
		name, run := f.workflow()
		c.Workflows[name] = run
		for _, queue := range f.Info().Queues {
			if !slices.Contains(c.Queues, queue) {
				c.Queues = append(c.Queues, queue)
			}
		}
	}
	return c
}

// sagaOf returns the flow and the ID of the saga of a workflow. The ID is the name in the workflow ID if that was truncated.
func (s *Service) sagaOf(workflowType, workflowID string) (flow, id string) {
	flow, prefix := strings.ToLower(workflowType), ""
	for _, f := range s.tables() {
		if info := f.Info(); info.Workflow == workflowType {
			flow, prefix = info.Name, strings.TrimSuffix(f.WorkflowID("x"), "x")
		}
	}
	if workflowType == shortage.Workflow {
		flow, prefix = "shortage", "shortage-"
	}
	name := strings.TrimPrefix(workflowID, prefix)
	if id, ok := event.Unescape(name); ok {
		return flow, id
	}
	return flow, name
}
