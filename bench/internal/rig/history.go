package rig

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

var errRuns = errors.New("it still runs")

// closing bounds how long a workflow may take to close after its order has ended: it publishes the rest, which takes long
// if the broker or the machine does not respond for a while.
const closing = 3 * time.Minute

// HistoryEvents returns how many events the history of a workflow has when it has closed.
func HistoryEvents(ctx context.Context, c client.Client, workflowID string) (events int64, err error) {
	err = until(ctx, closing, "workflow "+workflowID+" does not close", func(ctx context.Context) error {
		described, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
		if err != nil {
			return err
		}
		info := described.GetWorkflowExecutionInfo()
		if info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return errRuns
		}
		events = info.GetHistoryLength()
		return nil
	})
	return events, err
}

var errOpen = errors.New("workflows still run")

// Quiet waits until no workflow runs in a namespace.
func Quiet(ctx context.Context, c client.Client, namespace string) error {
	return until(ctx, closing, "namespace "+namespace+" does not come to rest", func(ctx context.Context) error {
		open, err := c.ListOpenWorkflow(ctx, &workflowservice.ListOpenWorkflowExecutionsRequest{Namespace: namespace, MaximumPageSize: 1})
		if err == nil && len(open.GetExecutions()) > 0 {
			err = errOpen
		}
		return err
	})
}
