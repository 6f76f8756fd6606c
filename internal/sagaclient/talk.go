package sagaclient

import (
	"context"
	"strconv"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Late is returned for a signal to an order that has ended.
type Late struct {
	// State is the order as it ended.
	State order.State
}

// Signal sends a fact to a saga. Errors: OrderUnknown when the order is not known yet; Unavailable. Late is not nil when the
// order has ended: the fact came too late, and no run was told. A cancellation that the log answers already is no signal.
func (c *Client) Signal(ctx context.Context, orderID, name string, payload any) (*Late, error) {
	if request, ok := payload.(order.Cancellation); ok && name == workflows.SignalCancel {
		if answered, err := c.answered(ctx, orderID, request); answered || err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.temporal.SignalWorkflow(ctx, workflows.OrderWorkflowID(orderID), "", name, payload)
		if err == nil {
			return nil, nil
		}
		if !isNotFound(err) {
			return nil, fault.Wrap(err, fault.Unavailable, "signal order %s", orderID)
		}
		state, err := c.fold(ctx, orderID)
		switch {
		case err != nil:
			return nil, err
		case state.Ended:
			return &Late{State: state}, nil
		}
		switch err := c.resume(ctx, orderID, state); {
		case err != nil:
			return nil, err
		case attempt == askAttempts:
			return nil, fault.New(fault.Unavailable, "the saga of order %s closes as soon as it runs", orderID)
		}
	}
}

// answered reports whether the log answers a cancellation that came as an event: the order is being cancelled, or an earlier
// cancellation was refused.
func (c *Client) answered(ctx context.Context, orderID string, request order.Cancellation) (bool, error) {
	s, err := c.state(ctx, orderID)
	if err != nil || !s.CancelRefused && !s.Cancelling() || s.Ended && !s.CancelRefused {
		return false, err
	}
	if s.CancelRefused {
		c.refused(ctx, orderID, request.ID, s.WhyNotCancellable())
	}
	c.lookAfter(ctx, s)
	return true, nil
}

// SettleLate has a saga of its own settle what came after the order had ended. What came is in the log already. Errors:
// Unavailable.
func (c *Client) SettleLate(ctx context.Context, o order.Order) error {
	_, err := c.temporal.SignalWithStartWorkflow(ctx, workflows.LateWorkflowID(o.ID), workflows.SignalLate, nil, client.StartWorkflowOptions{
		TaskQueue: workflows.QueueOrders,
		// A saga that has settled everything closes; the next event that is late starts another.
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            saga.Summary(workflows.LateSummary(o.ID)),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.CustomerID.ValueSet(o.CustomerID), workflows.NeedsAttention.ValueSet(false),
		),
	}, workflows.NameLate, workflows.LateInput{OrderID: o.ID})
	return fault.Wrap(err, fault.Unavailable, "settle what came late for order %s", o.ID)
}

// ResumeLate is SettleLate for somebody who knows the order's id alone. Errors: NotFound for an order without events,
// Unavailable.
func (c *Client) ResumeLate(ctx context.Context, orderID string) error {
	state, err := c.state(ctx, orderID)
	switch {
	case err != nil:
		return err
	case !state.Opened():
		return fault.New(fault.NotFound, "there is no order %s", orderID)
	}
	return c.SettleLate(ctx, state.Order)
}

// SettleShortage has a saga ask the orders that hold more of a SKU than is on hand. Errors: Unavailable.
func (c *Client) SettleShortage(ctx context.Context, sku string) error {
	_, err := c.temporal.SignalWithStartWorkflow(ctx, workflows.ShortageWorkflowID(sku), workflows.SignalShortage, nil, client.StartWorkflowOptions{
		TaskQueue: workflows.QueueOrders,
		// A saga with no order left to ask closes; the next count starts another.
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            saga.Summary(workflows.ShortageSummary(sku)),
	}, workflows.NameShortage, workflows.ShortageInput{SKU: sku})
	return fault.Wrap(err, fault.Unavailable, "settle the shortage of sku %s", sku)
}

// StockLost tells the saga of an order that stock which it holds is not there. An open order whose workflow is gone gets a new
// run first. It does nothing for an order that has ended. Errors: OrderUnknown, Unavailable.
func (c *Client) StockLost(ctx context.Context, orderID, sku string) error {
	_, err := c.Signal(ctx, orderID, workflows.SignalStockLost, workflows.StockLost{SKU: sku})
	return err
}

// Found is an order's workflow as Temporal has it.
type Found struct {
	Input workflows.OrderInput
	// Running tells that the workflow has not closed.
	Running bool
	// StartedAt is when its newest run started.
	StartedAt time.Time
}

// Find asks Temporal about an order that the log does not know yet. The error is NotFound when Temporal does
// not know it either.
func (c *Client) Find(ctx context.Context, orderID string) (Found, error) {
	id := workflows.OrderWorkflowID(orderID)
	described, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return Found{}, notFoundOr(err, orderID)
	}
	info := described.GetWorkflowExecutionInfo()
	found := Found{
		Running:   info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		StartedAt: info.GetStartTime().AsTime(),
	}
	history := c.temporal.GetWorkflowHistory(ctx, id, info.GetExecution().GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !history.HasNext() {
		return Found{}, fault.New(fault.NotFound, "order %s has no history", orderID)
	}
	first, err := history.Next()
	if err != nil {
		return Found{}, notFoundOr(err, orderID)
	}
	input := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
	if err := converter.GetDefaultDataConverter().FromPayloads(input, &found.Input); err != nil {
		return Found{}, fault.Wrap(err, fault.Corrupt, "read the input of order %s", orderID)
	}
	return found, nil
}

func notFoundOr(err error, orderID string) error {
	if isNotFound(err) {
		return fault.New(fault.NotFound, "there is no order %s", orderID)
	}
	return fault.Wrap(err, fault.Unavailable, "find the saga of order %s", orderID)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
