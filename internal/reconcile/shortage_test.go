package reconcile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/reconcile"
)

// A shortage is a violation only while an order could release its stock and no saga notifies it.
func TestShortageIsFoundAndRepaired(t *testing.T) {
	t.Run("no saga", func(t *testing.T) {
		w := newWorld(t)
		w.counted("sku-open", 1)
		report := w.check(reconcile.Options{Repair: true})
		require.Len(t, report.Findings, 1)
		require.Equal(t, reconcile.ShortageUnsettled, report.Findings[0].Kind)
		require.Equal(t, 1, report.Repaired)
		require.Equal(t, []string{"shortage-open"}, w.settled)
	})
	t.Run("a saga runs", func(t *testing.T) {
		w := newWorld(t)
		w.counted("sku-open", 1)
		w.others["shortage-open"] = reconcile.Run{Found: true, Running: true, Status: "running"}
		require.Empty(t, w.check(reconcile.Options{}).Findings)
	})
	t.Run("nothing is missing", func(t *testing.T) {
		w := newWorld(t)
		w.counted("sku-open", 2)
		require.Empty(t, w.check(reconcile.Options{}).Findings)
	})
	t.Run("the order goes through", func(t *testing.T) {
		// It needs attention when its stock cannot leave.
		w := newWorld(t)
		w.counted("sku-desk", 1)
		require.Empty(t, w.check(reconcile.Options{}).Findings)
	})
}
