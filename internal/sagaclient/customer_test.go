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

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// UpdateWorkflow finds no workflow.
func (o *office) UpdateWorkflow(context.Context, client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	return nil, serviceerror.NewNotFound("no such workflow")
}

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

// ended is a completed run.
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

func (o *office) config() sagaclient.Config {
	return sagaclient.Config{Temporal: o, Log: memlog.New(), Logger: slog.New(slog.DiscardHandler)}
}

// onboard runs the remaining steps of the saga of a customer.
func (o *office) onboard(t *testing.T, known bool) error {
	c := sagaclient.NewTableClient(o.config(), &onboarding.Flow, nil, nil)
	return c.Wake(t.Context(), onboarding.State{Saga: saga.Saga{ID: "c-7"}}, !known)
}

// messages are the sagas of messages.
func (o *office) messages(log sagaclient.Log) *sagaclient.TableClient[notification.State, *notification.Participants] {
	c := o.config()
	c.Log = log
	return sagaclient.NewTableClient(c, &notification.Flow, nil, nil)
}

// TestNextCustomerRunKnowsPublishedVersion: only if the previous run completed.
func TestNextCustomerRunKnowsPublishedVersion(t *testing.T) {
	for status, want := range map[enumspb.WorkflowExecutionStatus]int64{
		enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED: 3, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED: 0,
		enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING: 0, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED: 0,
	} {
		o := &office{status: status, result: saga.Result{ID: "c-7", Version: 3}}
		require.NoError(t, o.onboard(t, true))
		require.Equal(t, []saga.Input{{ID: "c-7", Resume: &saga.Resume{Published: want}}}, o.onboards)
		require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, o.started[0].WorkflowIDReusePolicy)
	}
	o := &office{status: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, result: saga.Result{Version: 3}}
	require.NoError(t, o.onboard(t, false))
	require.Nil(t, o.onboards[0].Resume, "there is no look-up for a new customer")
	o.err = errors.New("no server")
	require.ErrorIs(t, o.onboard(t, true), fault.Unavailable)
}

func TestMessageIsStartedOnce(t *testing.T) {
	o, s := &office{}, notification.Subject{Kind: notification.Completed, OrderID: "42", CustomerID: "c-7"}
	notify := func() error { return o.messages(memlog.New()).Wake(t.Context(), notification.About(s), true) }
	require.NoError(t, notify())
	require.Equal(t, "notice-completed-42", o.started[0].ID)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, o.started[0].WorkflowIDReusePolicy)
	require.Equal(t, saga.Input{ID: s.ID()}, o.noticed[0])
	o.err = serviceerror.NewWorkflowExecutionAlreadyStarted("it is there", "", "")
	require.NoError(t, notify(), "an event that comes again")
	o.err = errors.New("no server")
	require.ErrorIs(t, notify(), fault.Unavailable)
}

func TestMessageWithLostSagaIsRestarted(t *testing.T) {
	o, log := &office{}, memlog.New()
	require.ErrorIs(t, o.messages(log).StartRun(t.Context(), "welcome-c-7"), fault.OrderUnknown)
	s := notification.Subject{Kind: notification.Welcome, CustomerID: "c-7"}
	_, _, err := log.Append(t.Context(), event.NoticeStream(s.ID()), event.Head{}, []event.Entry{s.Request("corr", "cause", now, now)})
	require.NoError(t, err)
	require.NoError(t, o.messages(log).StartRun(t.Context(), s.ID()))
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, o.started[0].WorkflowIDReusePolicy)
	require.Equal(t, saga.Input{ID: "welcome-c-7"}, o.noticed[0])
}

// Sagas without an end cannot be cancelled, and neither can a saga that does not exist.
func TestMessageCannotBeCancelled(t *testing.T) {
	o, log := &office{}, memlog.New()
	_, err := o.messages(log).Cancel(t.Context(), "welcome-c-7", saga.Cancellation{ID: "r-1"})
	require.ErrorIs(t, err, fault.NotFound)
	_, err = o.messages(log).View(t.Context(), "welcome-c-7")
	require.ErrorIs(t, err, fault.NotFound)
	_, _, err = o.messages(log).Resolve(t.Context(), "welcome-c-7", saga.Resolution{Action: saga.Retry}, "")
	require.ErrorIs(t, err, fault.NotFound)
	s := notification.Subject{Kind: notification.Welcome, CustomerID: "c-7"}
	_, _, err = log.Append(t.Context(), event.NoticeStream(s.ID()), event.Head{}, []event.Entry{s.Request("corr", "cause", now, now)})
	require.NoError(t, err)
	answer, err := o.messages(log).Cancel(t.Context(), "welcome-c-7", saga.Cancellation{ID: "r-1"})
	require.NoError(t, err)
	require.Equal(t, saga.CancelAnswer{Status: saga.Accepted, Detail: "sagas of the flow notification cannot be cancelled"}, answer)
	_, resolved, err := o.messages(log).Resolve(t.Context(), "welcome-c-7", saga.Resolution{Action: saga.Retry}, "")
	require.NoError(t, err)
	require.False(t, resolved.Accepted)
	require.Contains(t, resolved.Detail, "nothing is stuck")
}
