package sagaclient

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Onboard makes a customer's saga do what is left according to the log: welcome and publish. Known reports that the customer is
// not new. Errors: Unavailable.
func (c *Client) Onboard(ctx context.Context, customerID string, known bool) error {
	in := saga.Input{ID: customerID}
	if known {
		published, err := c.published(ctx, customerID)
		if err != nil {
			return err
		}
		in.Resume = &saga.Resume{Published: published}
	}
	err := c.wake(ctx, onboarding.WorkflowID(customerID), onboarding.Signal, onboarding.Summary(customerID),
		[]temporal.SearchAttributeUpdate{saga.CustomerID.ValueSet(customerID)}, onboarding.Workflow, in)
	return fault.Wrap(err, fault.Unavailable, "onboard customer %s", customerID)
}

// published returns the version up to which the newest run of a customer's saga has published: 0 when it did not come to
// its end, or is forgotten. Then everything is published once more.
func (c *Client) published(ctx context.Context, customerID string) (int64, error) {
	id := onboarding.WorkflowID(customerID)
	described, err := describe(ctx, c.temporal, id, "customer "+customerID)
	if err != nil || described == nil {
		return 0, err
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		return 0, nil
	}
	var result saga.Result
	err = c.temporal.GetWorkflow(ctx, id, info.GetExecution().GetRunId()).Get(ctx, &result)
	if isNotFound(err) {
		return 0, nil
	}
	return result.Version, fault.Wrap(err, fault.Unavailable, "read the result of the saga of customer %s", customerID)
}

// Notify starts a message to a customer, once. Errors: Unavailable.
func (c *Client) Notify(ctx context.Context, s notification.Subject) error {
	return c.notify(ctx, s, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
}

// ResumeNotice starts a run of a message's saga that has none. The log keeps it from sending twice. Errors: NotFound for what
// is no id of a message, Unavailable.
func (c *Client) ResumeNotice(ctx context.Context, noticeID string) error {
	s, ok := notification.SubjectOf(noticeID)
	if !ok {
		return fault.New(fault.NotFound, "message %s does not exist", noticeID)
	}
	return c.notify(ctx, s, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
}

func (c *Client) notify(ctx context.Context, s notification.Subject, reuse enumspb.WorkflowIdReusePolicy) error {
	options := client.StartWorkflowOptions{
		ID: notification.WorkflowID(s.ID()), TaskQueue: saga.QueueOrders, WorkflowIDReusePolicy: reuse,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true, StaticSummary: saga.Summary(notification.Summary(s)),
	}
	if s.CustomerID != "" {
		options.TypedSearchAttributes = temporal.NewSearchAttributes(saga.CustomerID.ValueSet(s.CustomerID))
	}
	_, err := c.temporal.ExecuteWorkflow(ctx, options, notification.Workflow, saga.Input{ID: s.ID()})
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return nil
	}
	return fault.Wrap(err, fault.Unavailable, "notify %s", s.ID())
}

// InspectCustomer describes the newest run of a customer's saga. Errors: Unavailable.
func (c *Client) InspectCustomer(ctx context.Context, customerID string) (reconcile.Run, error) {
	return inspect(ctx, c.temporal, onboarding.WorkflowID(customerID), "customer "+customerID)
}

// InspectNotice describes the newest run of a message's saga. Errors: Unavailable.
func (c *Client) InspectNotice(ctx context.Context, noticeID string) (reconcile.Run, error) {
	return inspect(ctx, c.temporal, notification.WorkflowID(noticeID), "message "+noticeID)
}
