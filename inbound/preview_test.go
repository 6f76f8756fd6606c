package inbound_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// temporalDouble is a Temporal server that counts its calls. Orders that are open in the log have a running workflow.
type temporalDouble struct {
	client.Client
	log             *memlog.Log
	starts, signals int
	late            int
}

func (c *temporalDouble) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	c.starts++
	return nil, nil
}

func (c *temporalDouble) SignalWorkflow(ctx context.Context, id, _, _ string, _ any) error {
	records, err := c.log.Read(ctx, id, 0, 0)
	if err != nil {
		return err
	}
	if s, err := order.Fold(records); err != nil || !s.Opened() || s.Ended {
		return serviceerror.NewNotFound("no such workflow")
	}
	c.signals++
	return nil
}

func (c *temporalDouble) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return nil, serviceerror.NewNotFound("no such workflow")
}

func (c *temporalDouble) SignalWithStartWorkflow(context.Context, string, string, any, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	c.late++
	return nil, nil
}

// previewWorld is an executor and a previewer over the same log and ledger.
type previewWorld struct {
	t        *testing.T
	log      *memlog.Log
	ledger   *inventory.Ledger
	temporal *temporalDouble
	executor *inbound.Executor
	preview  *inbound.Previewer
}

type realReceiver struct{ ledger *inventory.Ledger }

func (r realReceiver) Receive(ctx context.Context, sku string, quantity int64, id string) error {
	_, err := r.ledger.Receive(ctx, sku, quantity, id)
	return err
}

func newPreviewWorld(t *testing.T) *previewWorld {
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: new(inventory.MemoryRegistry), Temporary: order.Temporary, Clock: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	logger := slog.New(slog.DiscardHandler)
	w := &previewWorld{t: t, log: log, ledger: ledger, temporal: &temporalDouble{log: log}}
	clock := func() time.Time { return now }
	w.executor = &inbound.Executor{
		Sagas:   sagaclient.New(sagaclient.Config{Temporal: w.temporal, Log: log, Logger: logger}),
		Onboard: w.onboard, Stock: realReceiver{ledger}, Log: log, Clock: clock, Logger: logger,
	}
	w.preview = &inbound.Previewer{Log: log, Receipts: ledger, Timing: order.DefaultTiming(), Clock: clock}
	return w
}

// onboard runs the remaining steps of the saga of a customer.
func (w *previewWorld) onboard(ctx context.Context, customerID string, known bool) error {
	c := sagaclient.NewTableClient(sagaclient.Config{Temporal: w.temporal, Log: w.log}, &onboarding.Flow, w.log, nil)
	return c.Wake(ctx, onboarding.State{Saga: saga.Saga{ID: customerID}}, !known)
}

// open writes the stream of order 42 up to a status.
func (w *previewWorld) open(status order.Status) order.State {
	w.t.Helper()
	var o order.Order
	require.NoError(w.t, json.Unmarshal([]byte(placeable), &o))
	o.ID = "42"
	s := write(w.t, w.log, order.State{}, order.Accept(o.Normalize(), "corr", "cause", now))
	data := order.PaymentData{OrderID: "42", PaymentID: "pay-1", Amount: s.Order.TotalAmount, Currency: "EUR"}
	steps := []struct {
		status     order.Status
		slot, kind string
		data       any
	}{
		{order.StatusReserved, order.SlotReserve, event.InventoryReserved, order.Items{OrderID: "42"}},
		{order.StatusAwaitingPayment, order.SlotAuthorize + "/pending", event.PaymentPending, data},
		{order.StatusAuthorized, order.SlotAuthorize, event.PaymentAuthorized, data},
		{order.StatusAwaitingShipment, order.SlotConfirm, event.OrderConfirmed, order.Items{OrderID: "42"}},
		{order.StatusShipped, order.SlotShip, event.OrderShipped, order.Dispatch{OrderID: "42"}},
		{order.StatusShipped, order.SlotDecide, event.OrderSettling, order.Ref{OrderID: "42"}},
		{order.StatusShipped, order.SlotCapture, event.PaymentCaptured, data},
		{order.StatusShipped, order.SlotCommit, event.InventoryCommitted, order.Items{OrderID: "42"}},
	}
	for _, step := range steps {
		if s.Status == status && (status != order.StatusShipped || s.Committed) {
			break
		}
		s = write(w.t, w.log, s, event.New(event.OrderStream("42"), step.slot, step.kind, "42", now, step.data).CausedBy("corr", s.LastEventID))
	}
	require.Equal(w.t, status, s.Status)
	return s
}

// streams is everything that is in the log.
func (w *previewWorld) streams() map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	for _, name := range w.log.Names() {
		records, err := w.log.Read(w.t.Context(), name, 0, 0)
		require.NoError(w.t, err)
		counts[name] = len(records)
	}
	return counts
}

// did is the effect of a message.
type did struct{ starts, signals, late, written int }

const ref = `{"orderId":"42"}`

// TestPreviewMatchesHandle: the executor does what the preview reported, and the preview has no effect.
func TestPreviewMatchesHandle(t *testing.T) {
	is := func(status order.Status) func(*previewWorld) {
		return func(w *previewWorld) { w.open(status) }
	}
	ended := func(w *previewWorld) { cancelled(t, w.log, "somebody") }
	other := strings.Replace(placeable, "450", "451", 2)
	for name, c := range map[string]struct {
		before          func(*previewWorld)
		eventType, data string
		outcome, says   string
		did             did
		code            fault.Code
	}{
		"a new order": {nil, event.OrderCreated, placeable, "start", "would start order 42", did{starts: 1}, ""},
		"the same order again, ended": {func(w *previewWorld) {
			s := w.open(order.StatusShipped)
			write(t, w.log, s, order.Decisions(s, order.FactsOf("42", order.ShipmentSignal{
				Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "d"},
			}), now, order.DefaultTiming())...)
		}, event.OrderCreated, placeable, "nothing", "order 42 exists with the same content: nothing would happen", did{}, ""},
		"another order of that id": {is(order.StatusReserved), event.OrderCreated, other, "refuse",
			"would be refused again because of conflict: order 42 exists with different content", did{}, fault.Conflict},
		"an order that breaks a rule": {nil, event.OrderCreated, `{"orderId":"42"}`, "refuse", "would be refused again because of invalid: event is invalid", did{}, fault.Invalid},
		"a currency that is unknown":  {nil, event.OrderCreated, strings.Replace(placeable, "EUR", "XYZ", 1), "refuse", "/data/currency: is not a currency of ISO 4217", did{}, fault.Invalid},
		"an unknown field":            {nil, event.OrderCreated, `{"orderId":"42","email":"a"}`, "refuse", "/data/email: is not a known field", did{}, fault.Invalid},

		"a cancellation in time":             {is(order.StatusAwaitingPayment), event.OrderCancellationRequested, ref, "move", "would move order 42 from awaiting_payment to compensating", did{signals: 1}, ""},
		"a cancellation too late":            {is(order.StatusShipped), event.OrderCancellationRequested, ref, "refuse", "order 42 is shipped: the cancellation would be refused", did{signals: 1}, ""},
		"a cancellation of an unknown order": {nil, event.OrderCancellationRequested, ref, "wait", "would wait for order 42, which does not exist yet; the cancellation would be kept for it", did{written: 1}, fault.OrderUnknown},
		"a payment of an unknown order":      {nil, event.PaymentSucceeded, ref, "wait", "would wait for order 42, which does not exist yet", did{}, fault.OrderUnknown},
		"a cancellation after the end":       {ended, event.OrderCancellationRequested, ref, "late", "order 42 has ended as cancelled: the event would be recorded as a late event", did{written: 1}, ""},
		"a cancellation with a long reason": {is(order.StatusReserved), event.OrderCancellationRequested, `{"orderId":"42","reason":"` + strings.Repeat("x", 501) + `"}`,
			"move", "would move order 42 from reserved to compensating", did{signals: 1}, ""},
		"the cancellation that ended it": {func(w *previewWorld) { cancelled(t, w.log, "evt-1") }, event.OrderCancellationRequested, ref,
			"nothing", "order 42 received this event before it ended as cancelled: nothing would happen", did{}, ""},

		"a payer who has paid":          {is(order.StatusAwaitingPayment), event.PaymentSucceeded, ref, "ask", "would ask the payment gateway about order 42", did{signals: 1}, ""},
		"a payment that failed":         {is(order.StatusAwaitingPayment), event.PaymentFailed, ref, "ask", "would ask the payment gateway about order 42", did{signals: 1}, ""},
		"a payer who paid too late":     {ended, event.PaymentSucceeded, ref, "late", "and its consequences would be handled", did{late: 1, written: 1}, ""},
		"a payment that is settled":     {is(order.StatusAwaitingShipment), event.PaymentSucceeded, ref, "nothing", "order 42 is awaiting_shipment: nothing would happen now", did{signals: 1}, ""},
		"dispatched":                    {is(order.StatusAwaitingShipment), event.ShipmentDispatched, ref, "move", "would move order 42 from awaiting_shipment to shipped", did{signals: 1}, ""},
		"delivered without a dispatch":  {is(order.StatusAwaitingShipment), event.ShipmentDelivered, ref, "move", "would move order 42 from awaiting_shipment to shipped", did{signals: 1}, ""},
		"delivered":                     {is(order.StatusShipped), event.ShipmentDelivered, ref, "move", "would move order 42 from shipped to completed", did{signals: 1}, ""},
		"lost":                          {is(order.StatusShipped), event.ShipmentLost, ref, "move", "would move order 42 from shipped to needs_attention", did{signals: 1}, ""},
		"dispatched too early":          {is(order.StatusReserved), event.ShipmentDispatched, ref, "nothing", "order 42 is reserved: nothing would happen now", did{signals: 1}, ""},
		"dispatched although cancelled": {ended, event.ShipmentDispatched, ref, "late", "order 42 has ended as cancelled: the event would be recorded as a late event, and its consequences", did{late: 1, written: 1}, ""},

		"goods":                       {nil, event.StockReceived, `{"sku":"42","quantity":12}`, "book", "would book 12 of 42", did{written: 1}, ""},
		"goods that are no number":    {nil, event.StockReceived, `{"sku":"42","quantity":-1}`, "refuse", "would be refused again because of invalid", did{}, fault.Invalid},
		"goods that are booked":       {booked(12), event.StockReceived, `{"sku":"42","quantity":12}`, "nothing", "12 of 42 are already booked: nothing would happen", did{}, ""},
		"goods of an id that is used": {booked(11), event.StockReceived, `{"sku":"42","quantity":12}`, "refuse", "would be refused again because of conflict: the ID was already used with quantity 11", did{}, fault.Conflict},
		"one of our own":              {nil, event.OrderCompleted, ref, "refuse", "would be refused again because of unknown_type", did{}, fault.UnknownType},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPreviewWorld(t)
			if c.before != nil {
				c.before(w)
			}
			message := wire.Message{ContentType: "application/cloudevents+json"}
			var err error
			message.Body, err = json.Marshal(map[string]any{"specversion": "1.0", "id": "evt-1", "source": "/shop", "type": c.eventType,
				"subject": "42", "time": now, "data": json.RawMessage(c.data)})
			require.NoError(t, err)
			before := w.streams()
			f, err := w.preview.Preview(t.Context(), message)
			require.NoError(t, err)
			require.Equal(t, c.outcome, f.Outcome, f.Sentence)
			require.Contains(t, f.Sentence, c.says)
			require.Equal(t, before, w.streams(), "a preview writes nothing")
			require.Zero(t, w.temporal.starts+w.temporal.signals+w.temporal.late)

			e, err := wire.Decode(message)
			require.NoError(t, err)
			require.Equal(t, c.code, fault.CodeOf(w.executor.Handle(t.Context(), e)))
			written := 0
			for stream, n := range w.streams() {
				written += n - before[stream]
			}
			got := did{w.temporal.starts, w.temporal.signals, w.temporal.late, written}
			require.Equal(t, c.did, got)
			if c.outcome == "wait" {
				again, err := w.preview.Preview(t.Context(), message)
				require.NoError(t, err)
				require.Equal(t, c.did.written > 0, strings.Contains(again.Sentence, "; the cancellation is already kept for it"), again.Sentence)
			}
			if c.outcome == "late" || c.outcome == "book" {
				again, err := w.preview.Preview(t.Context(), message)
				require.NoError(t, err)
				require.Equal(t, "nothing", again.Outcome, again.Sentence)
			}
		})
	}
}

// booked books a receipt under the id of the tests' event.
func booked(quantity int64) func(*previewWorld) {
	return func(w *previewWorld) {
		_, err := w.ledger.Receive(w.t.Context(), "42", quantity, event.DerivedID("/shop", "evt-1"))
		require.NoError(w.t, err)
	}
}

func TestPreviewOfUnreadableMessage(t *testing.T) {
	w := newPreviewWorld(t)
	f, err := w.preview.Preview(t.Context(), wire.Message{Body: []byte("no")})
	require.NoError(t, err)
	require.Equal(t, "refuse", f.Outcome)
	require.Contains(t, f.Sentence, "would be refused again because of malformed")
	f, err = w.preview.Preview(t.Context(), wire.Message{Body: make([]byte, wire.MaxBody+1)})
	require.NoError(t, err)
	require.Contains(t, f.Sentence, "because of too_large")
}

// brokenLog does not answer.
type brokenLog struct{}

func (brokenLog) Read(context.Context, string, int64, int) ([]event.Record, error) {
	return nil, fault.New(fault.Unavailable, "away")
}

func TestPreviewWithoutLog(t *testing.T) {
	p := &inbound.Previewer{Log: brokenLog{}, Clock: func() time.Time { return now }}
	_, err := p.Preview(t.Context(), wire.Message{RoutingKey: "order.cancellation_requested", Body: []byte(ref)})
	require.ErrorIs(t, err, fault.Unavailable)
}
