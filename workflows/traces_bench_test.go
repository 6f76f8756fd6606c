package workflows_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// spansOfAnOrder is more than the spans that an order without problems has where traces are exported, commands of MongoDB included.
const spansOfAnOrder = 50

// BenchmarkOrderWithoutTraces is what places for spans cost an order when traces are not exported: the median as a share of the median of a
// whole order in memory, whose stores and participants take no time.
func BenchmarkOrderWithoutTraces(b *testing.B) {
	var orders, places []time.Duration
	for b.Loop() {
		began := time.Now()
		newWorld(b).run(tea(order.Immediate))
		ended := time.Now()
		ctx, request := trace.Begin(b.Context(), nil, "request", trace.Server, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		for range spansOfAnOrder {
			_, span := trace.Start(ctx, "step", trace.Client)
			if span.Recorded() {
				span.Set("ordersaga.step", "step")
			}
			span.End(nil)
		}
		request.End(nil)
		orders, places = append(orders, ended.Sub(began)), append(places, time.Since(ended))
	}
	slices.Sort(orders)
	slices.Sort(places)
	b.ReportMetric(100*float64(places[len(places)/2])/float64(orders[len(orders)/2]), "%")
}
