package inventory_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/stock/stocktest"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// TestStockContract runs the suite of the order flow's stock with the ledger.
func TestStockContract(t *testing.T) {
	stocktest.Run(t, stocktest.Subject{
		CommitAbsent: fault.Unavailable,
		Open: func(t *testing.T, onHand map[string]int64) stocktest.Warehouse {
			ledger, err := inventory.New(inventory.Config{Log: memlog.New(), Registry: &inventory.MemoryRegistry{}})
			require.NoError(t, err)
			t.Cleanup(ledger.Close)
			for _, sku := range slices.Sorted(maps.Keys(onHand)) {
				_, err := ledger.Receive(t.Context(), sku, onHand[sku], "receipt")
				require.NoError(t, err)
			}
			return stocktest.Warehouse{Stock: order.PerSKU(ledger), Balance: func(sku string) (onHand, reserved int64) {
				balance, err := ledger.Balance(t.Context(), sku)
				if err != nil {
					require.ErrorIs(t, err, fault.NotFound)
				}
				return balance.OnHand, balance.Reserved
			}}
		},
	})
}
