package inventory_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// An order that has held its goods for long is asked, too: otherwise the shortfall would be reported for good.
func TestShortfallFindsTheOldestHolder(t *testing.T) {
	ledger, err := inventory.New(inventory.Config{Log: memlog.New(), Registry: new(inventory.MemoryRegistry)})
	require.NoError(t, err)
	defer ledger.Close()
	_, err = ledger.Receive(t.Context(), "tea", 5, "first")
	require.NoError(t, err)
	held, err := ledger.Reserve(t.Context(), "old", "tea", 5)
	require.NoError(t, err)
	require.Equal(t, stock.Done, held.Effect)
	for n := range 10_001 {
		_, err := ledger.Receive(t.Context(), "tea", 1, strconv.Itoa(n))
		require.NoError(t, err)
	}
	_, err = ledger.Count(t.Context(), "tea", 3, "count", inventory.Remark{By: "ada"})
	require.NoError(t, err)
	shortfall, holders, err := ledger.Shortfall(t.Context(), "tea")
	require.NoError(t, err)
	require.EqualValues(t, 2, shortfall)
	require.Len(t, holders, 1)
	require.Equal(t, "old", holders[0].OrderID)
}
