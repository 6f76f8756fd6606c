package reconcile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/reconcile"
)

// A wrong clock of the process does not change whether an order is stalled: workflow time counts.
func TestLocalClockDoesNotAffectResult(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"slow": -30 * 24 * time.Hour, "fast": 30 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			right := w.at
			w.at = right.Add(wrong)
			require.Empty(t, w.check(reconcile.Options{Now: right}).Findings)
			w.run("open", func(r *reconcile.Run) { r.TaskAttempts, r.TaskSince = 1, now })
			report := w.check(reconcile.Options{Now: right.Add(time.Hour)})
			require.Len(t, report.Findings, 1)
			require.Equal(t, reconcile.OrderStalled, report.Findings[0].Kind)
		})
	}
}
