// Package inbound turns events of the bus into starts, signals and receipts, and says what would come of one.
//
// It may import workflows, activities and internal packages; Temporal, brokers and databases reach it through small interfaces.
package inbound

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	verdicts "github.com/ordersaga/ordersaga/internal/late"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows"
)

// Sagas starts and signals order sagas; see sagaclient.Client.
type Sagas interface {
	Place(ctx context.Context, p sagaclient.Placement) (replayed bool, err error)
	Signal(ctx context.Context, orderID, name string, payload any) (*sagaclient.Late, error)
	SettleLate(ctx context.Context, o order.Order) error
	Onboard(ctx context.Context, customerID string, known bool) error
}

// Receiver books goods that came in, once an id.
type Receiver interface {
	Receive(ctx context.Context, sku string, quantity int64, id string) error
}

// Router turns events of the bus into starts, signals and receipts. Everything that it does is idempotent by
// the event's id or the order's: a duplicate changes nothing.
type Router struct {
	Sagas Sagas
	Stock Receiver
	// Verdicts is the event log, for the verdicts on late events.
	Verdicts activities.VerdictLog
	// Log is the event log, and Sealer seals what must not stand there in the clear, for customers.
	Log    activities.Log
	Sealer Sealer
	Clock  func() time.Time
	Logger *slog.Logger
}

// route handles the events of one type.
type route func(r *Router, ctx context.Context, e event.Event) error

// routes is the routing table: a row for each inbound type.
var routes = map[string]route{
	event.OrderCreated:               (*Router).place,
	event.OrderCancellationRequested: (*Router).cancel,
	event.PaymentSucceeded:           (*Router).payment,
	event.PaymentFailed:              (*Router).payment,
	event.ShipmentDispatched:         shipment(workflows.ShipmentDispatched),
	event.ShipmentDelivered:          shipment(workflows.ShipmentDelivered),
	event.ShipmentLost:               shipment(workflows.ShipmentLost),
	event.StockReceived:              (*Router).receive,
	event.UserRegistered:             (*Router).register,
}

// Handle handles one event. The code of the error says what is to become of its message; see fault.Disposition.
func (r *Router) Handle(ctx context.Context, e event.Event) error {
	handle, ok := routes[e.Type]
	if !ok {
		return fault.New(fault.UnknownType, "nothing here listens to %q", e.Type)
	}
	err := handle(r, ctx, e)
	r.Logger.LogAttrs(ctx, slog.LevelDebug, "event handled", slog.String("event_id", e.ID), slog.String("type", e.Type),
		slog.String("order_id", e.Subject), slog.String("correlation_id", e.CorrelationID), slog.Any("error", err))
	return err
}

// place starts an order saga.
func (r *Router) place(ctx context.Context, e event.Event) error {
	o, err := decodeOrder(e)
	if err != nil {
		return err
	}
	_, err = r.Sagas.Place(ctx, sagaclient.Placement{
		Order: o, CorrelationID: correlation(e), CausationID: e.ID, CallerID: true,
	})
	return inData(err)
}

// inData moves the fields of an Invalid error about an order to where they are in an event. Other errors stay as they are.
func inData(err error) error {
	fields := slices.Clone(fault.FieldsOf(err))
	if !errors.Is(err, fault.Invalid) || len(fields) == 0 {
		return err
	}
	for i := range fields {
		fields[i].Pointer = "/data" + fields[i].Pointer
	}
	return fault.NewInvalid("event", fields)
}

// cancel passes on a request to cancel. One for an order that is not known is kept, and cancels the order when it comes.
func (r *Router) cancel(ctx context.Context, e event.Event) error {
	f, err := readFact(e)
	if err != nil {
		return err
	}
	c := order.Cancellation{ID: unique(e), Cause: e.ID, Reason: f.text("reason", maxText)}
	err = r.signal(ctx, e, workflows.SignalCancel, c)
	if !errors.Is(err, fault.OrderUnknown) {
		return err
	}
	kept, added, keepErr := activities.KeepEarly(ctx, r.Log, e.Subject, c, correlation(e), r.Clock())
	switch {
	case keepErr != nil:
		return keepErr
	case !kept:
		r.Logger.LogAttrs(ctx, slog.LevelWarn, "a cancellation of an unknown order is not kept: there are too many",
			slog.String("event_id", e.ID), slog.String("order_id", e.Subject), slog.Int("limit", order.MaxEarly))
		return err
	case added:
		// The order may have come meanwhile, and have looked before this was kept.
		err = r.signal(ctx, e, workflows.SignalCancel, c)
	}
	if errors.Is(err, fault.OrderUnknown) {
		return fault.New(fault.OrderUnknown, "order %s is not known; %s", e.Subject, deadletter.EarlyNote)
	}
	return err
}

// payment passes on a hint about a pending payment.
func (r *Router) payment(ctx context.Context, e event.Event) error {
	f, err := readFact(e)
	if err != nil {
		return err
	}
	hint := order.PaymentHint{ID: unique(e), Cause: e.ID, Succeeded: e.Type == event.PaymentSucceeded}
	if !hint.Succeeded {
		// The code of a refusal is kept by the gateway, which takes less than a text for people.
		hint.Code = f.text("code", maxCode)
	}
	return r.signal(ctx, e, workflows.SignalPayment, hint)
}

// shipment passes on what the warehouse or the carrier said.
func shipment(kind workflows.ShipmentKind) route {
	return func(r *Router, ctx context.Context, e event.Event) error {
		f, err := readFact(e)
		if err != nil {
			return err
		}
		return r.signal(ctx, e, workflows.SignalShipment, workflows.ShipmentSignal{
			Kind: kind,
			ShipmentFact: order.ShipmentFact{
				ID: unique(e), Cause: e.ID, Carrier: f.text("carrier", maxText),
				TrackingNumber: f.text("trackingNumber", maxText), Reason: f.text("reason", maxText),
			},
		})
	}
}

// receive books a receipt in the stock ledger.
func (r *Router) receive(ctx context.Context, e event.Event) error {
	var d struct {
		SKU      string `json:"sku"`
		Quantity *int64 `json:"quantity"`
	}
	if err := decode(e, &d); err != nil {
		return err
	}
	if !event.ValidID(e.Subject) {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/sku", "%s", event.IDRule)})
	}
	if d.Quantity == nil {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/quantity", fault.RuleMissing)})
	}
	if *d.Quantity < 1 || *d.Quantity > inventory.MaxQuantity {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/quantity", "%s", fault.RuleRange(1, inventory.MaxQuantity))})
	}
	return r.Stock.Receive(ctx, e.Subject, *d.Quantity, unique(e))
}

// signal tells the saga, or writes a verdict when the order has ended.
func (r *Router) signal(ctx context.Context, e event.Event, name string, payload any) error {
	if !event.ValidID(e.Subject) {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/orderId", "%s", event.IDRule)})
	}
	late, err := r.Sagas.Signal(ctx, e.Subject, name, payload)
	if err != nil || late == nil {
		return err
	}
	if workflows.Recorded(late.State, payload) {
		// It came in time once: this is a redelivery.
		r.Logger.LogAttrs(ctx, slog.LevelInfo, "an event has had its effect or its answer", slog.String("event_id", e.ID), slog.String("type", e.Type),
			slog.String("order_id", e.Subject), slog.String("status", string(late.State.Status)))
		return nil
	}
	r.Logger.LogAttrs(ctx, slog.LevelInfo, "an event came late", slog.String("event_id", e.ID), slog.String("type", e.Type),
		slog.String("order_id", e.Subject), slog.String("status", string(late.State.Status)))
	verdict := verdicts.Verdict{ID: unique(e), OrderID: e.Subject, EventID: e.ID, Type: e.Type,
		Identity: workflows.IdentityOf(e.Subject, payload), Status: late.State.Status, Handled: late.State.AtLarge}
	if err := activities.WriteVerdict(ctx, r.Verdicts, verdict, correlation(e), r.Clock()); err != nil || !verdict.Consequential() {
		return err
	}
	return r.Sagas.SettleLate(ctx, late.State.Order)
}

// unique joins the event's source and id: ids are unique for their source only. Slots are named by it. Senders use one id for
// several events, so where types or subjects meet, the whole identity is compared: see workflows.IdentityOf.
func unique(e event.Event) string { return event.DerivedID(e.Source, e.ID) }

// correlation is the event's correlation id; an event without one begins a correlation of its own.
func correlation(e event.Event) string {
	if e.CorrelationID != "" {
		return e.CorrelationID
	}
	return e.ID
}
