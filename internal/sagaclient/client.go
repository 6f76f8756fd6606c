// Package sagaclient starts, signals, cancels and finds order sagas. It is what the REST API and the event
// consumer have in common: both know orders, neither knows Temporal.
//
// It may import workflows, the Temporal SDK and internal/{order,event,fault}; it reads the event log through
// the small interface Log.
//
// # Contract
//
// Threads: a Client may be used by any number of goroutines. Idempotency: every method may be called again
// with the same ids. Errors: fault codes; Unavailable when Temporal or the log does not answer.
//
// Any open order whose workflow is gone (terminated, deleted, lost with its namespace) gets a new run as soon
// as somebody mentions it here: the new run starts from the log.
package sagaclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Log is the part of the event log that is needed here.
type Log interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// Config is what a Client needs. All fields are mandatory but Eager and OnRefusal.
type Config struct {
	Temporal client.Client
	Log      Log
	Logger   *slog.Logger
	// Eager tells that a worker for orders runs in this process: the first workflow task is handed to it in the
	// answer to the start.
	Eager bool
	// OnRefusal is called for each cancellation that is refused without an event, for a metric.
	OnRefusal func()
}

// Client starts, signals, cancels and finds order sagas.
type Client struct {
	temporal client.Client
	log      Log
	logger   *slog.Logger
	eager    bool
	// onRefusal may be nil.
	onRefusal func()
	// gate bounds the Updates in flight, by workflow id; looked are the orders whose run was looked after.
	gate   gate
	looked recently
	// folds are shared by callers who ask about the same order.
	folds *groupcommit.Group[*folding]
}

// New returns a Client. It does no I/O.
func New(c Config) *Client {
	client := &Client{temporal: c.Temporal, log: c.Log, logger: c.Logger, eager: c.Eager, onRefusal: c.OnRefusal}
	client.folds = newFolds(client)
	return client
}

// Placement is a request to place an order.
type Placement struct {
	// Order is valid, normalized and has its id.
	Order order.Order
	// CorrelationID and CausationID are for the order's first event.
	CorrelationID string
	CausationID   string
	// Fresh tells that the id was made for this request: nobody can have used it before, so the log is not asked.
	Fresh bool
	// CallerID reports that somebody else chose the id: cancellations of the order may have come before it.
	CallerID bool
}

// Place starts the order's saga. Replayed is true when the order was there already, with the same content; the
// error is Conflict when it was there with other content, and Invalid for a new one that breaks a rule for new orders.
// An order that has ended stays as it is; an open one whose workflow is gone gets a new run.
func (c *Client) Place(ctx context.Context, p Placement) (replayed bool, err error) {
	reuse := enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	if !p.Fresh {
		state, err := c.placed(ctx, p.Order.ID)
		switch {
		case err != nil:
			return false, err
		case state.Opened() && !reflect.DeepEqual(state.Order, p.Order):
			return false, conflict(p.Order.ID)
		case state.Ended:
			return true, nil
		case state.Opened():
			// Running, most likely; else the new run finishes it.
			replayed, reuse = true, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
		}
	}
	if !replayed {
		if err := c.checkNew(ctx, p); err != nil {
			return false, err
		}
	}
	in := workflows.OrderInput{Order: p.Order, CorrelationID: p.CorrelationID, CausationID: p.CausationID, CallerID: p.CallerID}
	err = c.start(ctx, in, reuse)
	if !errors.Is(err, fault.Conflict) {
		return replayed, err
	}
	if replayed {
		return true, nil
	}
	return true, c.sameOrder(ctx, in)
}

// checkNew holds an order that the log does not have to the rules for new orders, unless Temporal has it. The error is
// Invalid, or Unavailable when Temporal cannot be asked.
func (c *Client) checkNew(ctx context.Context, p Placement) error {
	invalid := p.Order.ValidateNew()
	if invalid == nil || p.Fresh {
		return invalid
	}
	_, err := c.Find(ctx, p.Order.ID)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.NotFound):
		return invalid
	}
	return err
}

// sameOrder is called when a workflow of the order's id is there, or was. It compares the contents, and starts
// a new run when the workflow is closed and the order is not.
func (c *Client) sameOrder(ctx context.Context, in workflows.OrderInput) error {
	standing, err := c.Find(ctx, in.Order.ID)
	if err != nil {
		// It was there a moment ago: whatever this is, asking again will tell.
		return fault.Wrap(err, fault.Unavailable, "compare order %s", in.Order.ID)
	}
	if !reflect.DeepEqual(standing.Input.Order, in.Order) {
		return conflict(in.Order.ID)
	}
	if standing.Running {
		return nil
	}
	state, err := c.state(ctx, in.Order.ID)
	if err != nil || state.Ended {
		return err
	}
	return ignoreConflict(c.start(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE))
}

// Resume starts a new run of an open order whose workflow is gone. It does nothing to an order that runs. It
// returns the order's state, which is zero for an order whose workflow ended before its first event; the error is
// OrderUnknown when neither the log nor Temporal has ever heard of it.
func (c *Client) Resume(ctx context.Context, orderID string) (order.State, error) {
	state, err := c.state(ctx, orderID)
	if err != nil || state.Ended {
		return state, err
	}
	return state, c.resume(ctx, orderID, state)
}

// resume is Resume for an order whose state is known: it has not ended.
func (c *Client) resume(ctx context.Context, orderID string, state order.State) error {
	// Who chose the id is not known any more, nor whether the run before looked for early cancellations.
	in := workflows.OrderInput{Order: state.Order, CorrelationID: state.CorrelationID, CallerID: true}
	if !state.Opened() {
		// It may have been accepted all the same: its workflow was terminated before it had done anything.
		found, err := c.Find(ctx, orderID)
		switch {
		case errors.Is(err, fault.NotFound):
			return fault.New(fault.OrderUnknown, "order %s is not known", orderID)
		case err != nil:
			return err
		}
		in = found.Input
		in.Resume = nil
	}
	err := c.start(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	if err == nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "an open order had no workflow: a new run goes on with it",
			slog.String("order_id", orderID), slog.Int64("version", state.Head.Version))
	}
	return ignoreConflict(err)
}

// start starts a run. The error is Conflict when a run of that id is there, or was and the policy minds.
func (c *Client) start(ctx context.Context, in workflows.OrderInput, reuse enumspb.WorkflowIdReusePolicy) (err error) {
	if reuse == enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE {
		if in, err = c.inherit(ctx, in); err != nil {
			return err
		}
	}
	return c.execute(ctx, in, reuse)
}

// execute starts a run with just this input. Errors: as of start.
func (c *Client) execute(ctx context.Context, in workflows.OrderInput, reuse enumspb.WorkflowIdReusePolicy) error {
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.OrderWorkflowID(in.Order.ID),
		TaskQueue:                                workflows.QueueOrders,
		WorkflowIDReusePolicy:                    reuse,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         c.eager,
		StaticSummary:                            saga.Summary(summary(in.Order)),
		StaticDetails:                            saga.Details(details(in.Order)),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.OrderStatus.ValueSet(string(order.StatusAccepted)),
			workflows.CustomerID.ValueSet(in.Order.CustomerID),
			workflows.NeedsAttention.ValueSet(false),
		),
	}, workflows.NameOrder, in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return conflict(in.Order.ID)
	}
	return fault.Wrap(err, fault.Unavailable, "start the saga of order %s", in.Order.ID)
}

// state folds the order's stream; the zero State when there is none.
func (c *Client) state(ctx context.Context, orderID string) (order.State, error) {
	return c.fold(ctx, orderID)
}

// foldCode is the code of an error of a fold: Unavailable stays what it is, because a gap may be filled when the stream is read
// again; what is stored and cannot be folded is Corrupt.
func foldCode(err error) fault.Code {
	if errors.Is(err, fault.Unavailable) {
		return fault.Unavailable
	}
	return fault.Corrupt
}

// placed is state for an order that most likely is not there yet: that costs a look at one record.
func (c *Client) placed(ctx context.Context, orderID string) (order.State, error) {
	first, err := c.log.Read(ctx, event.OrderStream(orderID), 0, 1)
	if err != nil || len(first) == 0 {
		return order.State{}, err
	}
	return c.state(ctx, orderID)
}

func conflict(orderID string) error {
	return fault.New(fault.Conflict, "order %s exists with other content", orderID)
}

func ignoreConflict(err error) error {
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// details is the order as markdown, for the Temporal Web UI.
func details(o order.Order) string {
	var b strings.Builder
	b.WriteString("| sku | quantity | unit amount |\n|---|---|---|\n")
	for _, l := range o.Lines {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", l.SKU, l.Quantity, l.UnitAmount)
	}
	fmt.Fprintf(&b, "\nTotal %d %s in minor units, paid with %s, by customer %s.\n\nEvents: stream `%s`, or `/v1/orders/%s/events`.\n",
		o.TotalAmount, o.Currency, o.Payment.Method, o.CustomerID, event.OrderStream(o.ID), o.ID)
	return b.String()
}

// summary is the order in one line, for the Temporal Web UI.
func summary(o order.Order) string {
	first := o.Lines[0]
	text := itoa(first.Quantity) + " × " + first.SKU
	if len(o.Lines) > 1 {
		text += " and " + itoa(int64(len(o.Lines)-1)) + " more"
	}
	return text + ", " + itoa(o.TotalAmount) + " " + o.Currency + " (minor units), " + string(o.Fulfillment)
}
