// Package sagaclient starts, signals, cancels and finds order sagas. It is what the REST API and the event
// consumer have in common: both know orders, neither knows Temporal.
//
// flowClient has what is the same for the sagas of every flow; Client adds what is for orders, and for the sagas about
// them.
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
// as a request or an event concerns it: the new run starts from the log.
package sagaclient

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// Log is the part of the event log that is needed here.
type Log interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// Config is what a Client needs. All fields are mandatory but Converter, Eager, Late and OnRefusal.
type Config struct {
	Temporal client.Client
	Log      Log
	Logger   *slog.Logger
	// Converter reads histories; the SDK's default by default.
	Converter converter.DataConverter
	// Eager reports that a worker for orders runs in this process: the first workflow task is handed to it in the
	// answer to the start.
	Eager bool
	// Late are the sagas that handle what comes after the end of the client's sagas; nil where there are none.
	Late Sagas
	// OnRefusal is called for each cancellation that is refused without an event, for a metric.
	OnRefusal func()
}

// Client starts, signals, cancels and finds order sagas.
type Client struct {
	*flowClient[order.State, *order.Participants]
}

var _ activities.Predecessors = (*Client)(nil)

// New returns a Client. It does no I/O.
func New(c Config) *Client {
	return &Client{newFlowClient(c, &order.Flow, startOrder)}
}

// Placement is a request to place an order.
type Placement struct {
	// Order is valid, normalized and has its id.
	Order order.Order
	// CorrelationID and CausationID are for the order's first event.
	CorrelationID string
	CausationID   string
	// Fresh reports that the ID was made for this request: it cannot have been used before, so the log is not read.
	Fresh bool
	// CallerID reports that the caller chose the ID: cancellations of the order may have arrived before it.
	CallerID bool
}

// Place starts the order's saga. Replayed is true when the order was there already, with the same content; the
// error is Conflict when it was there with other content, and Invalid for a new one that breaks a rule for new orders.
// An order that has ended stays as it is; an open one whose workflow is gone gets a new run.
func (c *Client) Place(ctx context.Context, p Placement) (replayed bool, err error) {
	in := c.input(p.Order.ID, &order.State{Order: p.Order})
	in.CorrelationID, in.CausationID, in.CallerID = p.CorrelationID, p.CausationID, p.CallerID
	return c.start(ctx, in, p.Fresh, p.Order.ValidateNew)
}

// Late is returned for a signal to an order that has ended.
type Late = LateSignal[order.State]

// Found is an order's workflow as Temporal has it.
type Found struct {
	Input saga.Input
	// Order is the one that the input starts.
	Order order.Order
	// Running reports that the workflow has not closed.
	Running bool
	// StartedAt is when its newest run started.
	StartedAt time.Time
}

// Find asks Temporal about an order that the log does not know yet. The error is NotFound when Temporal does
// not know it either.
func (c *Client) Find(ctx context.Context, orderID string) (Found, error) {
	f, err := c.find(ctx, orderID)
	return Found{Input: f.input, Order: f.state.Order, Running: f.running, StartedAt: f.startedAt}, err
}

// SettleShortage starts the saga that notifies the orders that hold more of a SKU than is on hand. Errors: Unavailable.
func (c *Client) SettleShortage(ctx context.Context, sku string) error {
	err := wake(ctx, c.temporal, shortage.WorkflowID(sku), shortage.Signal, shortage.Summary(sku), nil, shortage.Workflow, shortage.Input{SKU: sku})
	return fault.Wrap(err, fault.Unavailable, "start the shortage saga of sku %s", sku)
}

// InspectShortage describes the newest run of a SKU's shortage saga. Errors: Unavailable.
func (c *Client) InspectShortage(ctx context.Context, sku string) (reconcile.Run, error) {
	return inspect(ctx, c.temporal, shortage.WorkflowID(sku), "sku "+sku)
}

// StockLost notifies the saga of an order that stock which it holds is missing. An open order whose workflow is gone gets a new
// run first. It does nothing for an order that has ended. Errors: OrderUnknown, Unavailable.
func (c *Client) StockLost(ctx context.Context, orderID, sku string) error {
	_, err := c.Signal(ctx, orderID, order.SignalStockLost, order.StockLost{SKU: sku})
	return err
}

// Start implements Sagas: orders are placed.
func (c *Client) Start(context.Context, Request) (saga.View, bool, error) {
	return saga.View{}, false, fault.New(fault.Invalid, "an order is placed with POST /v1/orders")
}

// SendFact implements Sagas: what an event says about an order is a signal.
func (c *Client) SendFact(context.Context, string, Fact) error {
	return fault.New(fault.Internal, "orders are told something by events")
}

// startOrder says how an order starts.
var startOrder = startRule[order.State]{
	Data: func(s *order.State) any { return s.Order },
	State: func(data json.RawMessage) (s order.State, err error) {
		err = json.Unmarshal(data, &s.Order)
		return s, err
	},
	Summary: summary, Details: details,
	Attributes: func(s *order.State) []temporal.SearchAttributeUpdate {
		return []temporal.SearchAttributeUpdate{saga.CustomerID.ValueSet(s.Order.CustomerID)}
	},
	LogKey: "order_id",
}

// details is the order as markdown, for the Temporal Web UI.
func details(s *order.State) string {
	o := s.Order
	var b strings.Builder
	b.WriteString("| sku | quantity | unit amount |\n|---|---|---|\n")
	for _, l := range o.Lines {
		sku := markdown(l.SKU)
		if !l.IsStocked() {
			sku += " (not stocked)"
		}
		fmt.Fprintf(&b, "| %s | %d | %d |\n", sku, l.Quantity, l.UnitAmount)
	}
	paid := "paid with " + markdown(o.Payment.Method)
	if o.TotalAmount == 0 {
		paid = "nothing to pay"
	}
	fmt.Fprintf(&b, "\nTotal %d %s in minor units, %s, by customer %s.\n\nEvents: stream `%s`, or `/v1/orders/%s/events`.\n",
		o.TotalAmount, o.Currency, paid, markdown(o.CustomerID), event.OrderStream(o.ID), url.PathEscape(o.ID))
	return b.String()
}

// markdown returns an ID as markdown shows it as it is.
func markdown(id string) string {
	if event.ValidToken(id) {
		return id
	}
	var b strings.Builder
	for _, r := range id {
		if r < utf8.RuneSelf && unicode.In(r, unicode.P, unicode.S) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// summary is the order in one line, for the Temporal Web UI.
func summary(s *order.State) string {
	o := s.Order
	first := o.Lines[0]
	text := itoa(first.Quantity) + " × " + first.SKU
	if len(o.Lines) > 1 {
		text += " and " + itoa(int64(len(o.Lines)-1)) + " more"
	}
	return text + ", " + itoa(o.TotalAmount) + " " + o.Currency + " (minor units), " + string(o.Fulfillment)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
