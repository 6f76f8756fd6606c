package audit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/audit"
)

// paidLate is an order that failed, whose payer paid when it had, and the outcome of that.
func paidLate() (order, money, late []fact) {
	of := func(more map[string]any) map[string]any {
		more["orderId"] = "42"
		return more
	}
	order = []fact{
		{"accept", "order.accepted", of(map[string]any{"totalAmount": 500})}, {"decide", "order.compensating", of(map[string]any{})},
		{"undo/authorize", "payment.voided", of(map[string]any{})}, {"end", "order.failed", of(map[string]any{})},
	}
	money = []fact{
		{"authorize/pending", "charge.pending", of(map[string]any{"amount": 500})}, {"authorize", "charge.fenced", of(map[string]any{"amount": 500})},
		{"arrive", "charge.arrived", of(map[string]any{"amount": 500})}, {"refund/r", "charge.refunded", of(map[string]any{"amount": 500})},
	}
	late = []fact{
		{"e1", "event.late", of(map[string]any{"type": "payment.succeeded", "status": "failed"})},
		{"judge/e1", "payment.arrived_late", of(map[string]any{"amount": 500})},
		{"refund/e1", "payment.refunded", of(map[string]any{"amount": 500})},
	}
	return order, money, late
}

func TestLateEvents(t *testing.T) {
	skip := fact{"refund/e1", "order.step_skipped", map[string]any{"note": "kept"}}
	goods := fact{"e2", "event.late", map[string]any{"type": "shipment.lost", "status": "failed"}}
	for name, c := range map[string]struct {
		plant      func(order, money, late []fact) (o, m, l []fact)
		violation  string
		exceptions int
		open       []string
	}{
		"given back":      {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { return o, m, l }},
		"not judged yet":  {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { return o, m[:3], l[:1] }, open: []string{"money"}},
		"on its way back": {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { return o, m[:3], l[:2] }, open: []string{"money"}},
		"goods that left": {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { return o, m, append(l, goods) }, open: []string{"goods"}},
		"goods looked for": {plant: func(o, m, l []fact) ([]fact, []fact, []fact) {
			return o, m, append(l, goods, fact{"goods", skip.kind, skip.data})
		}},
		"decided by hand": {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { return o, m[:3], append(l[:2], skip) }, exceptions: 1},
		"without a note": {plant: func(o, m, l []fact) ([]fact, []fact, []fact) {
			return o, m[:3], append(l[:2], fact{skip.key, skip.kind, map[string]any{}})
		}, violation: "was charged 500 instead of 0"},
		"only said so":     {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { return o, m[:3], l }, violation: "was charged 500 instead of 0"},
		"not noticed":      {plant: func(o, m, _ []fact) ([]fact, []fact, []fact) { return o, m[:3], nil }, violation: "was charged 500 instead of 0"},
		"less than came":   {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { l[2].data["amount"] = 300; return o, m, l }, violation: "gives back 300 of 500"},
		"of an open order": {plant: func(o, m, l []fact) ([]fact, []fact, []fact) { return o[:3], m, l }, violation: "something came late for order 42"},
		"of no order":      {plant: func(_, _, l []fact) ([]fact, []fact, []fact) { return nil, nil, l }, violation: "something came late for order 42"},
	} {
		t.Run(name, func(t *testing.T) {
			order, money, late := c.plant(paidLate())
			var all []audit.Document
			for stream, facts := range map[string][]fact{"order-42": order, "payment-42": money, "late-42": late} {
				if len(facts) > 0 {
					all = append(all, documents(t, stream, facts...)...)
				}
			}
			report := audit.Examine(all)
			if c.violation == "" {
				require.Empty(t, report.Violations)
			}
			require.Contains(t, strings.Join(report.Violations, "; "), c.violation)
			require.Len(t, report.Exceptions, c.exceptions)
			require.Equal(t, c.open, report.Late["42"])
		})
	}
}
