package workers_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestEagerStartsIgnoreWorkerVersions: an eager start runs on the worker of its process although another version is the current one. Therefore the
// service starts nothing eagerly with worker versioning. When this test fails, it may do so again.
func TestEagerStartsIgnoreWorkerVersions(t *testing.T) {
	address := testenv.Temporal(t)
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Timeout)
	defer cancel()
	name := testenv.Unique("eager")
	connect := func(build string) client.Client {
		c, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
		require.NoError(t, err)
		t.Cleanup(c.Close)
		w := worker.New(c, name, worker.Options{DeploymentOptions: worker.DeploymentOptions{
			UseVersioning: true, Version: worker.WorkerDeploymentVersion{DeploymentName: name, BuildID: build},
			DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
		}})
		w.RegisterWorkflowWithOptions(func(workflow.Context) error { return nil }, workflow.RegisterOptions{Name: "nothing"})
		require.NoError(t, w.Start())
		t.Cleanup(w.Stop)
		return c
	}
	current := connect("current")
	require.Eventually(t, func() bool {
		_, err := current.WorkerDeploymentClient().GetHandle(name).SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: "current"})
		return err == nil
	}, testenv.Timeout, 100*time.Millisecond)
	next := connect("next")
	ran := func(eager bool) string {
		run, err := next.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: name, EnableEagerStart: eager}, "nothing")
		require.NoError(t, err)
		require.NoError(t, run.Get(ctx, nil))
		events := next.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			require.NoError(t, err)
			if task := e.GetWorkflowTaskCompletedEventAttributes(); task != nil {
				return task.GetDeploymentVersion().GetBuildId()
			}
		}
		return ""
	}
	require.Equal(t, "current", ran(false))
	require.Equal(t, "next", ran(true))
}
