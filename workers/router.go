package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/event"
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
		Order: o, CorrelationID: correlation(e), CausationID: e.ID,
	})
	return err
}

// cancel passes on a request to cancel.
func (r *Router) cancel(ctx context.Context, e event.Event) error {
	var d struct {
		OrderID string `json:"orderId"`
		Reason  string `json:"reason"`
	}
	if err := decode(e, &d); err != nil {
		return err
	}
	if err := checkTexts(text{"reason", d.Reason, maxText}); err != nil {
		return err
	}
	return r.signal(ctx, e, workflows.SignalCancel, order.Cancellation{ID: unique(e), Cause: e.ID, Reason: d.Reason})
}

// payment passes on a hint about a pending payment.
func (r *Router) payment(ctx context.Context, e event.Event) error {
	var d struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId"`
		Code      string `json:"code"`
	}
	if err := decode(e, &d); err != nil {
		return err
	}
	hint := order.PaymentHint{ID: unique(e), Cause: e.ID, Succeeded: e.Type == event.PaymentSucceeded}
	if !hint.Succeeded {
		// The code of a refusal is kept by the gateway, which takes less than a text for people.
		if err := checkTexts(text{"code", d.Code, maxCode}); err != nil {
			return err
		}
		hint.Code = d.Code
	}
	return r.signal(ctx, e, workflows.SignalPayment, hint)
}

// shipment passes on what the warehouse or the carrier said.
func shipment(kind workflows.ShipmentKind) route {
	return func(r *Router, ctx context.Context, e event.Event) error {
		var d struct {
			OrderID        string `json:"orderId"`
			Carrier        string `json:"carrier"`
			TrackingNumber string `json:"trackingNumber"`
			Reason         string `json:"reason"`
		}
		if err := decode(e, &d); err != nil {
			return err
		}
		err := checkTexts(text{"carrier", d.Carrier, maxText}, text{"trackingNumber", d.TrackingNumber, maxText}, text{"reason", d.Reason, maxText})
		if err != nil {
			return err
		}
		return r.signal(ctx, e, workflows.SignalShipment, workflows.ShipmentSignal{
			Kind: kind,
			ShipmentFact: order.ShipmentFact{
				ID: unique(e), Cause: e.ID, Carrier: d.Carrier, TrackingNumber: d.TrackingNumber, Reason: d.Reason,
			},
		})
	}
}

// receive books a receipt in the stock ledger.
func (r *Router) receive(ctx context.Context, e event.Event) error {
	var d struct {
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity"`
	}
	if err := decode(e, &d); err != nil {
		return err
	}
	if !event.ValidID(e.Subject) {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/sku", "%s", event.IDRule)})
	}
	if d.Quantity < 1 || d.Quantity > inventory.MaxQuantity {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/quantity", "must be from 1 to %d", inventory.MaxQuantity)})
	}
	return r.Stock.Receive(ctx, e.Subject, d.Quantity, unique(e))
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
	if late.Caused(e.ID) {
		// It came in time once: this is a duplicate.
		return nil
	}
	r.Logger.LogAttrs(ctx, slog.LevelInfo, "an event came late", slog.String("event_id", e.ID), slog.String("type", e.Type),
		slog.String("order_id", e.Subject), slog.String("status", string(late.State.Status)))
	verdict := verdicts.Verdict{ID: unique(e), OrderID: e.Subject, EventID: e.ID, Type: e.Type, Status: late.State.Status, Handled: late.State.AtLarge}
	if err := activities.WriteVerdict(ctx, r.Verdicts, verdict, correlation(e), r.Clock()); err != nil || !verdict.Consequential() {
		return err
	}
	return r.Sagas.SettleLate(ctx, late.State.Order)
}

// unique is the id by which everything that an event causes is done once. Ids are unique for their source only.
func unique(e event.Event) string { return event.DerivedID(e.Source, e.ID) }

// correlation is the event's correlation id; an event without one begins a correlation of its own.
func correlation(e event.Event) string {
	if e.CorrelationID != "" {
		return e.CorrelationID
	}
	return e.ID
}
