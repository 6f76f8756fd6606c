package sagaclient

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/workflows"
)

// askAttempts bounds how often something is sent again after its run closed under it.
const askAttempts = 4

// Late is returned for a signal to an order that has ended.
type Late struct {
	// State is the order as it ended.
	State order.State
	// causes are the ids of what caused the order's events.
	causes map[string]bool
}

// Caused reports whether an event of that id has caused one of the order's: it is not late then, but a duplicate.
func (l Late) Caused(eventID string) bool { return l.causes[eventID] }

// Signal tells a saga a fact. Errors: OrderUnknown when nobody has heard of the order yet; Unavailable. Late is
// not nil when the order has ended: the fact came too late, and nobody was told.
func (c *Client) Signal(ctx context.Context, orderID, name string, payload any) (*Late, error) {
	for attempt := 1; ; attempt++ {
		err := c.temporal.SignalWorkflow(ctx, workflows.OrderWorkflowID(orderID), "", name, payload)
		if err == nil {
			return nil, nil
		}
		if !isNotFound(err) {
			return nil, fault.Wrap(err, fault.Unavailable, "signal order %s", orderID)
		}
		state, err := c.Resume(ctx, orderID)
		switch {
		case err != nil:
			return nil, err
		case state.Ended:
			return c.causes(ctx, state)
		case attempt == askAttempts:
			return nil, fault.New(fault.Unavailable, "the saga of order %s closes as soon as it runs", orderID)
		}
	}
}

// SettleLate has a saga of its own settle what came after the order had ended. What came is in the log already. Errors:
// Unavailable.
func (c *Client) SettleLate(ctx context.Context, o order.Order) error {
	_, err := c.temporal.SignalWithStartWorkflow(ctx, workflows.LateWorkflowID(o.ID), workflows.SignalLate, nil, client.StartWorkflowOptions{
		TaskQueue: workflows.QueueOrders,
		// A saga that has settled everything closes; the next event that is late starts another.
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            workflows.LateSummary(o.ID),
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
		StaticSummary:            workflows.ShortageSummary(sku),
	}, workflows.NameShortage, workflows.ShortageInput{SKU: sku})
	return fault.Wrap(err, fault.Unavailable, "settle the shortage of sku %s", sku)
}

// StockLost tells the saga of an order that stock which it holds is not there. An open order whose workflow is gone gets a new
// run first. It does nothing for an order that has ended. Errors: OrderUnknown, Unavailable.
func (c *Client) StockLost(ctx context.Context, orderID, sku string) error {
	_, err := c.Signal(ctx, orderID, workflows.SignalStockLost, workflows.StockLost{SKU: sku})
	return err
}

// causes reads what caused the events of an order that has ended.
func (c *Client) causes(ctx context.Context, s order.State) (*Late, error) {
	records, err := c.log.Read(ctx, event.OrderStream(s.Order.ID), 0, 0)
	if err != nil {
		return nil, err
	}
	return LateOf(s, records), nil
}

// LateOf is what a signal to an order that has ended is answered with; records are the order's stream.
func LateOf(s order.State, records []event.Record) *Late {
	l := &Late{State: s, causes: make(map[string]bool, len(records))}
	for _, r := range records {
		l.causes[r.CausationID] = true
	}
	return l
}

// Cancel asks to cancel an order and waits for the verdict, which is in the log then. Errors: NotFound;
// Unavailable when no worker answers in time: ask again with the same id.
func (c *Client) Cancel(ctx context.Context, orderID string, request order.Cancellation) (workflows.CancelVerdict, error) {
	q := question{workflows.OrderWorkflowID(orderID), workflows.UpdateCancel, request.ID, request}
	return ask(ctx, c, orderID, q, workflows.VerdictOf)
}

// question is an Update of a saga.
type question struct {
	workflowID, name, id string
	request              any
}

// ask sends a question and waits for the answer. Ended answers for an order that has ended.
func ask[V any](ctx context.Context, c *Client, orderID string, q question, ended func(order.State) V) (V, error) {
	var none V
	for attempt := 1; attempt <= askAttempts; attempt++ {
		verdict, err := update[V](ctx, c, q)
		if err == nil {
			return verdict, nil
		}
		if ctx.Err() != nil || !gone(err) {
			return none, fault.Wrap(err, fault.Unavailable, "%s order %s", q.name, orderID)
		}
		state, err := c.Resume(ctx, orderID)
		switch {
		case errors.Is(err, fault.OrderUnknown):
			return none, fault.New(fault.NotFound, "there is no order %s", orderID)
		case err != nil:
			return none, err
		case state.Ended:
			return ended(state), nil
		}
		c.logger.LogAttrs(ctx, slog.LevelInfo, "ask the saga again", slog.String("order_id", orderID),
			slog.String("update", q.name), slog.Int("attempt", attempt))
	}
	return none, fault.New(fault.Unavailable, "the saga of order %s does not answer", orderID)
}

// update sends a question once and waits for the answer.
func update[V any](ctx context.Context, c *Client, q question) (verdict V, err error) {
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: q.workflowID, UpdateID: q.id, UpdateName: q.name,
		WaitForStage: client.WorkflowUpdateStageCompleted, Args: []any{q.request},
	})
	if err != nil {
		return verdict, err
	}
	err = handle.Get(ctx, &verdict)
	return verdict, err
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

// isNotFound reports that no open run is there: never started, closed, or deleted.
func isNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

// isAborted reports that an Update was thrown away because its run closed or its workflow task failed.
func isAborted(err error) bool {
	var aborted *serviceerror.Aborted
	var notReady *serviceerror.WorkflowNotReady
	var failed *temporal.ApplicationError
	return errors.As(err, &aborted) || errors.As(err, &notReady) ||
		errors.As(err, &failed) && failed.Type() == "AcceptedUpdateCompletedWorkflow"
}

// gone reports that the run which was asked does not answer any more: another one may.
func gone(err error) bool { return isNotFound(err) || isAborted(err) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
