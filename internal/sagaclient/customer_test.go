package sagaclient_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// office is a Temporal client that knows one workflow.
type office struct {
	client.Client
	status enumspb.WorkflowExecutionStatus
	result saga.Result
	err    error

	started  []client.StartWorkflowOptions
	noticed  []saga.Input
	onboards []saga.Input
}

func (o *office) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	if o.status == enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: o.status},
	}, nil
}

func (o *office) GetWorkflow(context.Context, string, string) client.WorkflowRun { return ended{o: o} }

// ended is a run that came to its end.
type ended struct {
	client.WorkflowRun
	o *office
}

func (e ended) Get(_ context.Context, into any) error {
	*into.(*saga.Result) = e.o.result
	return nil
}

func (o *office) SignalWithStartWorkflow(
	_ context.Context, id, name string, payload any, options client.StartWorkflowOptions, workflow any, args ...any,
) (client.WorkflowRun, error) {
	if id != "customer-c-7" || name != onboarding.Signal || payload != nil || workflow != onboarding.Workflow {
		panic("another workflow")
	}
	o.started, o.onboards = append(o.started, options), append(o.onboards, args[0].(saga.Input))
	return nil, o.err
}

func (o *office) ExecuteWorkflow(_ context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	if workflow != notification.Workflow {
		panic("another workflow")
	}
	o.started, o.noticed = append(o.started, options), append(o.noticed, args[0].(saga.Input))
	return nil, o.err
}

func at(o *office) *sagaclient.Client {
	return sagaclient.New(sagaclient.Config{Temporal: o, Logger: slog.New(slog.DiscardHandler)})
}

// TestACustomersNextRunKnowsWhatIsPublished, when the one before came to its end, and else nothing.
func TestACustomersNextRunKnowsWhatIsPublished(t *testing.T) {
	for status, want := range map[enumspb.WorkflowExecutionStatus]int64{
		enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED: 3, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED: 0,
		enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING: 0, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED: 0,
	} {
		o := &office{status: status, result: saga.Result{ID: "c-7", Version: 3}}
		require.NoError(t, at(o).Onboard(t.Context(), "c-7", true))
		require.Equal(t, []saga.Input{{ID: "c-7", Resume: &saga.Resume{Published: want}}}, o.onboards)
		require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, o.started[0].WorkflowIDReusePolicy)
	}
	o := &office{status: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, result: saga.Result{Version: 3}}
	require.NoError(t, at(o).Onboard(t.Context(), "c-7", false))
	require.Nil(t, o.onboards[0].Resume, "nobody is asked about a customer who is new")
	o.err = errors.New("no server")
	require.ErrorIs(t, at(o).Onboard(t.Context(), "c-7", true), fault.Unavailable)
}

func TestAMessageIsStartedOnce(t *testing.T) {
	o, s := &office{}, notification.Subject{Kind: notification.Completed, OrderID: "42", CustomerID: "c-7"}
	require.NoError(t, at(o).Notify(t.Context(), s))
	require.Equal(t, "notice-completed-42", o.started[0].ID)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, o.started[0].WorkflowIDReusePolicy)
	require.Equal(t, saga.Input{ID: s.ID()}, o.noticed[0])
	o.err = serviceerror.NewWorkflowExecutionAlreadyStarted("it is there", "", "")
	require.NoError(t, at(o).Notify(t.Context(), s), "an event that comes again")
	o.err = errors.New("no server")
	require.ErrorIs(t, at(o).Notify(t.Context(), s), fault.Unavailable)
}

func TestAMessageWhoseSagaIsGoneGetsAnother(t *testing.T) {
	o := &office{}
	require.NoError(t, at(o).ResumeNotice(t.Context(), "welcome-c-7"))
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, o.started[0].WorkflowIDReusePolicy)
	require.Equal(t, saga.Input{ID: "welcome-c-7"}, o.noticed[0])
	require.ErrorIs(t, at(o).ResumeNotice(t.Context(), "something"), fault.NotFound)
}
