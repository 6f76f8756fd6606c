package workflows

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
)

func TestFindingsAreShownAsTable(t *testing.T) {
	require.Equal(t, "**0 violations**, 0 of them repaired, 0 notes; 7 orders, 20 streams, 3 SKUs, 6 payments in 12 ms\n",
		reconciled(activities.ReconcileResult{Orders: 7, Streams: 20, SKUs: 3, Payments: 6, TookMillis: 12}))
	require.Equal(t, `**4 violations**, 1 of them repaired, 1 notes; 7 orders, 0 streams, 0 SKUs, 0 payments in 0 ms

| kind | subject | detail | repair |
|---|---|---|---|
| stock_balance | tea | a / b c | recorded |

and 4 more: `+"`ordersaga reconcile`"+` lists all of them.
`, reconciled(activities.ReconcileResult{Violations: 4, Repaired: 1, Notes: 1, Orders: 7, Findings: []activities.ReconcileFinding{
		{Kind: "stock_balance", Subject: "tea", Detail: "a | b\nc", Repair: "recorded"},
	}}))
}
