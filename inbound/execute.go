package inbound

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Sagas starts and signals sagas; see sagaclient.Client.
type Sagas interface {
	Place(ctx context.Context, p sagaclient.Placement) (replayed bool, err error)
	Signal(ctx context.Context, orderID, name string, payload any) (*sagaclient.Late, error)
	SettleLate(ctx context.Context, ended order.State) error
}

// Receiver books goods that came in, once an id.
type Receiver interface {
	Receive(ctx context.Context, sku string, quantity int64, id string) error
}

// Sealer seals personal data, and opens it; see sealed.Box.
type Sealer interface {
	Seal(ctx context.Context, customerID string, data []byte) (sealed.Sealed, error)
	Open(ctx context.Context, customerID string, s sealed.Sealed) ([]byte, error)
}

// Executor does what events ask for. All fields are mandatory but Routes and Flows.
type Executor struct {
	// Routes lead to flows that a team has added, Flows are their sagas by the flow's name.
	Routes Routes
	Flows  map[string]sagaclient.Sagas

	Sagas Sagas
	// Onboard has the saga of a customer do what the log says. Known reports that the customer is not new.
	Onboard func(ctx context.Context, customerID string, known bool) error
	Stock   Receiver
	Log     activities.Log
	Sealer  Sealer
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Handle handles an event. Errors: those of Parse and Execute.
func (x *Executor) Handle(ctx context.Context, e event.Event) error {
	command, err := x.Routes.Parse(e)
	if err == nil {
		err = x.Execute(ctx, command)
	}
	x.Logger.LogAttrs(ctx, slog.LevelDebug, "event handled", slog.String("event_id", e.ID), slog.String("type", e.Type),
		slog.String("order_id", e.Subject), slog.String("correlation_id", e.CorrelationID), slog.Any("error", err))
	return err
}

// Execute executes a command. Errors: those of the sagas, the ledger and the log; OrderUnknown for a command that waits for its order.
func (x *Executor) Execute(ctx context.Context, command Command) error {
	switch c := command.(type) {
	case StartOrder:
		_, err := x.Sagas.Place(ctx, sagaclient.Placement{
			Order: c.Order, CorrelationID: c.CorrelationID, CausationID: c.EventID, CallerID: true,
		})
		return inData(err)
	case CancelOrder:
		return x.cancel(ctx, c)
	case OrderFact:
		return x.signal(ctx, c.Origin, c.Signal, c.Payload)
	case ReceiveStock:
		return x.Stock.Receive(ctx, c.Subject, c.Quantity, c.Key)
	case RegisterCustomer:
		return x.register(ctx, c)
	case StartSaga:
		return x.startSaga(ctx, c)
	case SignalSaga:
		return x.signalSaga(ctx, c)
	}
	return fault.New(fault.Internal, "unknown command %T", command)
}

// cancel passes on a request to cancel. One for an order that is not known is kept, and cancels the order when it comes.
func (x *Executor) cancel(ctx context.Context, c CancelOrder) error {
	err := x.signal(ctx, c.Origin, saga.SignalCancel, c.Cancellation)
	if !errors.Is(err, fault.OrderUnknown) {
		return err
	}
	kept, added, keepErr := activities.KeepEarly(ctx, x.Log, &order.Flow, c.Subject, c.Cancellation, c.CorrelationID, x.Clock())
	switch {
	case keepErr != nil:
		return keepErr
	case !kept:
		x.Logger.LogAttrs(ctx, slog.LevelWarn, "a cancellation of an unknown order was not kept: the limit is reached",
			slog.String("event_id", c.EventID), slog.String("order_id", c.Subject), slog.Int("limit", saga.MaxEarly))
		return err
	case added:
		// The order may have come meanwhile, and have looked before this was kept.
		err = x.signal(ctx, c.Origin, saga.SignalCancel, c.Cancellation)
	}
	if errors.Is(err, fault.OrderUnknown) {
		return fault.New(fault.OrderUnknown, "order %s is not known; %s", c.Subject, deadletter.EarlyNote)
	}
	return err
}

// signal passes a fact on to the saga, or records a late event when the order has ended.
func (x *Executor) signal(ctx context.Context, o Origin, name string, payload any) error {
	ended, err := x.Sagas.Signal(ctx, o.Subject, name, payload)
	if err != nil || ended == nil {
		return err
	}
	redelivered := order.Recorded(ended.State, payload)
	message := "late event"
	if redelivered {
		message = "the event was handled before"
	}
	x.Logger.LogAttrs(ctx, slog.LevelInfo, message, slog.String("event_id", o.EventID), slog.String("type", o.Type),
		slog.String("order_id", o.Subject), slog.String("status", string(ended.State.Status)))
	if redelivered {
		return nil
	}
	late := lateRecordOf(o, payload, ended.State)
	if err := latepayment.WriteLateRecord(ctx, x.Log, late, o.CorrelationID, x.Clock()); err != nil || !late.Consequential() {
		return err
	}
	return x.Sagas.SettleLate(ctx, ended.State)
}

// lateRecordOf is the record of a late event, for an order that has ended.
func lateRecordOf(o Origin, payload any, ended order.State) latepayment.LateRecord {
	return latepayment.LateRecord{
		ID: o.Key, OrderID: o.Subject, EventID: o.EventID, Type: o.Type,
		Identity: order.IdentityOf(o.Subject, payload), Status: ended.Status, Handled: ended.DispatchedAfterCancel(),
	}
}
