package inventory_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
)

// slowLog takes its time for each head.
type slowLog struct {
	*memlog.Log
	each time.Duration
}

func (l slowLog) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	time.Sleep(l.each)
	return l.Log.Head(ctx, stream)
}

// TestSlowServerReturnsShorterPage: it takes about a second, and the pages together have every SKU once.
func TestSlowServerReturnsShorterPage(t *testing.T) {
	const skus = 450
	for _, each := range []time.Duration{0, 7 * time.Millisecond, 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			log := slowLog{Log: memlog.New()}
			registry := new(inventory.MemoryRegistry)
			ledger, err := inventory.New(inventory.Config{Log: log, Registry: registry})
			require.NoError(t, err)
			var want []string
			for i := range skus {
				sku := fmt.Sprintf("sku-%03d", i)
				want = append(want, sku)
				_, err := ledger.Receive(t.Context(), sku, 1, "first")
				require.NoError(t, err)
			}
			ledger.Close()
			log.each = each
			ledger, err = inventory.New(inventory.Config{Log: log, Registry: registry})
			require.NoError(t, err)
			defer ledger.Close()
			var got []string
			pages := 0
			for after := ""; ; pages++ {
				began := time.Now()
				page, next, err := ledger.List(t.Context(), after, 500)
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(began), time.Second+100*each)
				for _, b := range page {
					got = append(got, b.SKU)
				}
				if after = next; next == "" {
					break
				}
				require.NotEmpty(t, page)
			}
			require.Equal(t, want, got)
			require.Equal(t, each > 0, pages > 0)
		})
	}
}
