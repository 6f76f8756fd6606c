package payloads_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"log/slog"

	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/internal/payloads"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// process is a client with a worker, as a process of the service has them.
type process struct {
	client.Client
	worker worker.Worker
}

func dial(t *testing.T, keys keyset.Set, interceptors ...grpc.UnaryClientInterceptor) client.Client {
	t.Helper()
	o := client.Options{HostPort: testenv.Temporal(t), Logger: tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))}
	o.ConnectionOptions.DialOptions = []grpc.DialOption{grpc.WithChainUnaryInterceptor(interceptors...)}
	payloads.Configure(&o, keys)
	c, err := client.DialContext(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// waiting is a workflow that has a result of everything that a history can have: an input, a summary, a failure, a version, an Update and a signal.
func waiting(ctx workflow.Context, in string) (string, error) {
	asked := ""
	err := workflow.SetUpdateHandler(ctx, "ask", func(_ workflow.Context, text string) (string, error) {
		asked = text
		return text, nil
	})
	if err != nil {
		return "", err
	}
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{ScheduleToCloseTimeout: testenv.Timeout})
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: testenv.Timeout, Summary: "for " + in, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	var local string
	if err := workflow.ExecuteLocalActivity(ctx, echo, in).Get(ctx, &local); err != nil {
		return "", err
	}
	failed := workflow.ExecuteActivity(ctx, refuse, in).Get(ctx, nil)
	version := workflow.GetVersion(ctx, "change", workflow.DefaultVersion, 1)
	var signal string
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &signal)
	result := local + " " + asked + " " + signal
	if failed != nil && version == 1 {
		result += " " + failed.Error()
	}
	return result, nil
}

func echo(_ context.Context, in string) (string, error) { return in, nil }

func refuse(_ context.Context, in string) error {
	return temporal.NewNonRetryableApplicationError("refused "+in, "refusal", nil, in)
}

// run starts a process that works on a task queue.
func run(t *testing.T, queue string, keys keyset.Set, interceptors ...grpc.UnaryClientInterceptor) process {
	t.Helper()
	p := process{Client: dial(t, keys, interceptors...)}
	p.worker = worker.New(p.Client, queue, worker.Options{DeadlockDetectionTimeout: testenv.Timeout})
	p.worker.RegisterWorkflow(waiting)
	p.worker.RegisterActivity(refuse)
	require.NoError(t, p.worker.Start())
	return p
}

// taskFailures is an interceptor that reports every workflow task that a process has failed and Temporal has taken note of. The history is no
// substitute: it has an event for the first attempt of a task alone, and that attempt is another one when Temporal had given the task to a worker
// that was stopping.
func taskFailures() (grpc.UnaryClientInterceptor, <-chan struct{}) {
	failures := make(chan struct{}, 1)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		if err == nil && method == workflowservice.WorkflowService_RespondWorkflowTaskFailed_FullMethodName {
			select {
			case failures <- struct{}{}:
			default:
			}
		}
		return err
	}, failures
}

// TestKeysAreReplacedUnderAnOpenWorkflow: key b takes over from key a while a workflow waits. A process that has key b alone fails the workflow's
// tasks, and not the workflow; one that has both ends it.
func TestKeysAreReplacedUnderAnOpenWorkflow(t *testing.T) {
	testenv.Temporal(t)
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Timeout)
	defer cancel()
	queue := testenv.Unique("payloads")
	first := run(t, queue, keysOf(t, "a"))
	_, err := first.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: queue, TaskQueue: queue, StaticSummary: marker, StaticDetails: marker, Memo: map[string]any{"memo": marker},
	}, waiting, marker)
	require.NoError(t, err)
	asked, err := first.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: queue, UpdateName: "ask", Args: []any{marker}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(t, err)
	require.NoError(t, asked.Get(ctx, nil))
	first.worker.Stop()

	newest := dial(t, keysOf(t, "b", "a"))
	require.NoError(t, newest.SignalWorkflow(ctx, queue, "", "go", marker))
	intercept, failures := taskFailures()
	without := run(t, queue, keysOf(t, "b"), intercept)
	select {
	case <-failures:
	case <-ctx.Done():
		require.FailNow(t, "no workflow task failed without the key")
	}
	without.worker.Stop()
	described, err := newest.DescribeWorkflowExecution(ctx, queue, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, described.GetWorkflowExecutionInfo().GetStatus())

	both := run(t, queue, keysOf(t, "b", "a"))
	defer both.worker.Stop()
	var result string
	require.NoError(t, both.GetWorkflow(ctx, queue, "").Get(ctx, &result))
	require.Contains(t, result, marker+" "+marker+" "+marker)
	require.Contains(t, result, "refused "+marker)

	require.Error(t, payloads.Guard(func() error { return first.GetWorkflow(ctx, queue, "").Get(ctx, &result) }))
	stored := ""
	for all := newest.GetWorkflowHistory(ctx, queue, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); all.HasNext(); {
		e, err := all.Next()
		require.NoError(t, err)
		raw, err := protojson.Marshal(e)
		require.NoError(t, err)
		stored += string(raw) + "\n"
	}
	require.NotContains(t, stored, marker)
	require.NotContains(t, stored, "json/plain", "everything is encrypted")
	described, err = newest.DescribeWorkflowExecution(ctx, queue, "")
	require.NoError(t, err)
	require.NotContains(t, described.String(), marker)
}
