// Package shortage is the saga of a SKU of which a count found fewer are on hand than reserved: it asks the orders that hold it to give
// way, the newest first.
package shortage

import (
	"context"
	"errors"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// maxAsked bounds how many orders are asked in one go; the next ones follow when these have decided.
const maxAsked = 20

// Stock is the part of the stock ledger that knows of shortages.
type Stock interface {
	// Shortfall returns how many more of the SKU are reserved than are on hand, and the orders that hold them, newest first.
	Shortfall(ctx context.Context, sku string) (int64, []stock.Holder, error)
}

// Orders notifies the saga of an order that stock which it holds is missing.
type Orders interface {
	StockLost(ctx context.Context, orderID, sku string) error
}

// Activities are the activities of the shortage saga.
type Activities struct {
	Log    activities.Log
	Stock  Stock
	Orders Orders
}

// AskInput is a SKU of which more is reserved than is on hand.
type AskInput struct {
	SKU string `json:"sku"`
}

// AskResult says how far its shortage is settled.
type AskResult struct {
	// Shortfall is how many are missing now.
	Shortfall int64 `json:"shortfall"`
	// Undecided counts the orders that were asked and have not given their stock back, or decided to keep it; 0 when nothing
	// is missing, or when every order that holds the SKU keeps it. Oldest is the version of the reservation of the last one.
	Undecided int   `json:"undecided"`
	Oldest    int64 `json:"oldest,omitempty"`
}

// Progress reports whether something has changed since an earlier result.
func (r AskResult) Progress(before AskResult) bool { return r != before }

// Ask asks the newest orders that hold the SKU to give way, as many as are needed, unless they have been decided. An order
// that goes forward, or that has ended, keeps what it holds: an older one is asked instead. It may be asked any number of times.
func (s *Activities) Ask(ctx context.Context, in AskInput) (AskResult, error) {
	shortfall, holders, err := s.Stock.Shortfall(ctx, in.SKU)
	if err != nil {
		return AskResult{}, activities.ToTemporal(err)
	}
	result := AskResult{Shortfall: shortfall}
	for _, holder := range holders {
		if shortfall <= 0 || result.Undecided == maxAsked {
			break
		}
		gives, err := s.ask(ctx, holder.OrderID, in.SKU)
		if err != nil {
			return AskResult{}, activities.ToTemporal(err)
		}
		if gives {
			shortfall -= holder.Quantity
			result.Undecided, result.Oldest = result.Undecided+1, holder.Version
		}
	}
	return result, nil
}

// ask asks one order. It reports whether the order may still give its stock back.
func (s *Activities) ask(ctx context.Context, orderID, sku string) (bool, error) {
	records, err := s.Log.Read(ctx, event.OrderStream(orderID), 0, 0)
	var state order.State
	if err == nil {
		state, err = order.Fold(records)
	}
	switch {
	case errors.Is(err, fault.Corrupt), errors.Is(err, fault.Malformed):
		// What a damaged stream says is found by the check; the others are asked meanwhile.
		return false, nil
	case err != nil:
		return false, err
	case !state.Opened(), !state.ReleasesStock():
		return false, nil
	case state.Decision == order.Back:
		return true, nil
	}
	err = s.Orders.StockLost(ctx, orderID, sku)
	if errors.Is(err, fault.OrderUnknown) {
		return false, nil
	}
	return err == nil, err
}

// Workflow is the workflow type, and its function.
func (*Activities) Workflow() (name string, run any) { return Workflow, Run }

// Activities are the activities by their registered names.
func (s *Activities) Activities() map[string]any { return map[string]any{NameAsk: s.Ask} }

// Check reports what is wrong with the flow: nothing, it has no table.
func (*Activities) Check() error { return nil }
