package reconcile_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// inventoryService has the states of reservations, by order.
type inventoryService struct {
	states map[string]string
	err    error
}

func (s inventoryService) State(_ context.Context, orderID string) (string, error) {
	return s.states[orderID], s.err
}

// elsewhere makes a world whose stock an inventory service has: committed for completed orders, and not held for other ended ones.
func elsewhere(t *testing.T) (*world, inventoryService) {
	w := newWorld(t)
	maps.DeleteFunc(w.streams, func(stream string, _ []event.Record) bool { return strings.HasPrefix(stream, "sku-") })
	service := inventoryService{states: make(map[string]string)}
	for id, entry := range w.list {
		service.states[id] = "undone"
		if entry.Status == order.StatusCompleted {
			service.states[id] = "committed"
		}
	}
	service.states["none"], service.states["open"] = "refused", "reserved"
	return w, service
}

func findings(t *testing.T, w *world, service reconcile.Warehouse) (found []string, err error) {
	t.Helper()
	config := w.config()
	config.Warehouse = service
	r, err := reconcile.New(config)
	require.NoError(t, err)
	report, err := r.Run(t.Context(), reconcile.Options{})
	for _, f := range report.Findings {
		found = append(found, string(f.Kind)+" "+f.Subject)
	}
	return found, err
}

// TestReservationsOfAnInventoryServiceAreChecked: an ended order's goods have left, or are not held.
func TestReservationsOfAnInventoryServiceAreChecked(t *testing.T) {
	w, service := elsewhere(t)
	found, err := findings(t, w, service)
	require.NoError(t, err)
	require.Empty(t, found)
	for id, state := range map[string]string{"done": "reserved", "sent": "absent", "poor": "committed", "back": "reserved"} {
		w, service := elsewhere(t)
		service.states[id] = state
		found, err := findings(t, w, service)
		require.NoError(t, err)
		require.Equal(t, []string{string(reconcile.StockOutcome) + " " + id}, found, state)
	}
	service.err = fault.New(fault.Unavailable, "no answer")
	_, err = findings(t, w, service)
	require.ErrorIs(t, err, fault.Unavailable)
}

// TestReservationsOfTheLedgerAreCheckedThere: orders of the time before an inventory service are in the stock ledger.
func TestReservationsOfTheLedgerAreCheckedThere(t *testing.T) {
	found, err := findings(t, newWorld(t), inventoryService{err: fault.New(fault.Internal, "it was asked")})
	require.NoError(t, err)
	require.Empty(t, found)
}
