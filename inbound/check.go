package inbound

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// errReached is what nowhere answers: the router has read an event and would act now.
var errReached = errors.New("nothing is wrong with the event")

// Check tells what the router would say of an event's type and data, before it is sent: the same code reads it, and
// nothing happens. Whether its order exists, or has ended, is not looked at. Errors: UnknownType, Invalid, Malformed.
func Check(ctx context.Context, e event.Event) error {
	r := &Router{Sagas: nowhere{}, Stock: nowhere{}, Sealer: nowhere{}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)}
	if err := r.Handle(ctx, e); !errors.Is(err, errReached) {
		return err
	}
	return nil
}

// nowhere is where a checked event leads.
type nowhere struct{}

func (nowhere) Place(_ context.Context, p sagaclient.Placement) (bool, error) {
	if err := p.Order.ValidateNew(); err != nil {
		return false, err
	}
	return false, errReached
}

func (nowhere) Signal(context.Context, string, string, any) (*sagaclient.Late, error) {
	return nil, errReached
}

func (nowhere) SettleLate(context.Context, order.Order) error { return errReached }

func (nowhere) Onboard(context.Context, string, bool) error { return errReached }

func (nowhere) Seal(context.Context, string, []byte) (sealed.Sealed, error) {
	return sealed.Sealed{}, errReached
}

func (nowhere) Open(context.Context, string, sealed.Sealed) ([]byte, error) { return nil, errReached }

// Receive has the ledger's rule of what a receipt may say.
func (nowhere) Receive(_ context.Context, _ string, quantity int64, _ string) error {
	if quantity < 1 || quantity > inventory.MaxQuantity {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/quantity", "%s", fault.RuleRange(1, inventory.MaxQuantity))})
	}
	return errReached
}
