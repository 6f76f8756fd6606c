package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// TestTransientViolationIsNotReported: between the two looks, orders go on.
func TestTransientViolationIsNotReported(t *testing.T) {
	meanwhile := map[string]struct{ plant, repair func(w *world) }{
		"a run that started": {
			func(w *world) { delete(w.runs, "open") },
			func(w *world) { w.runs["open"] = reconcile.Run{Found: true, Running: true, StartedAt: now} },
		},
		"an entry that was written": {
			func(w *world) { w.entry("done", func(e *readmodel.Order) { e.Status = order.StatusFailed }) },
			func(w *world) { w.entry("done", func(e *readmodel.Order) { e.Status = order.StatusCompleted }) },
		},
		// Both checks find it outdated, but at different versions.
		"an order that goes on faster than its list": {
			func(w *world) { w.entry("open", func(e *readmodel.Order) { e.Status = order.StatusFailed }) },
			func(w *world) {
				w.add("order-open", "ship", event.OrderShipped, nil)
			},
		},
	}
	for name, m := range meanwhile {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m.plant(w)
			looks := 0
			w.seen = func(string) {
				// The first check has read all orders before the second one begins.
				if looks++; looks == 9 {
					m.repair(w)
				}
			}
			report := w.check(reconcile.Options{})
			require.GreaterOrEqual(t, looks, 10, "there was a second look")
			require.Empty(t, report.Findings)
		})
	}
}

func TestRepairMatchesItsReport(t *testing.T) {
	w := newWorld(t)
	w.runs["open"] = reconcile.Run{Found: true, Status: "terminated"}
	w.runs["early"] = reconcile.Run{Found: true, Status: "failed"}
	w.runs["sent"] = reconcile.Run{Found: true, Status: "terminated"}
	w.owes("late")
	w.lates["late"] = reconcile.Run{Found: true, Status: "terminated"}
	delete(w.list, "poor")
	w.entry("ghost", func(e *readmodel.Order) { e.ID, e.Version = "ghost", 1 })
	w.cut("payment-back", 1)
	w.alter("sku-done", 3, func(r *event.Record) { r.Data = changed(r.Data, with(map[string]any{"onHand": 9})) })
	w.damage("order-done", func(r []event.Record) []event.Record { r[1].Subject = "somebody"; return r })
	before := maps.Clone(w.streams)

	report := w.check(reconcile.Options{Repair: true})
	require.Equal(t, 9, report.Violations)
	require.Equal(t, 6, report.Repaired)
	require.Equal(t, 3, report.Left())
	slices.Sort(w.resumed)
	slices.Sort(w.mended)
	require.Equal(t, []string{"open"}, w.resumed)
	require.Equal(t, []string{"early"}, w.rerun)
	require.Equal(t, []string{"sent"}, w.republished)
	require.Equal(t, []string{"late"}, w.settled)
	require.Equal(t, []string{"ghost", "poor"}, w.mended)
	for _, f := range report.Findings {
		require.NotContains(t, f.Repair, "failed", f.Subject)
	}

	again := w.check(reconcile.Options{Repair: true})
	for stream, records := range before {
		require.Equal(t, records, w.streams[stream], "nothing is touched")
		delete(w.streams, stream)
	}
	require.Equal(t, []string{"reconcile-order-back", "reconcile-order-done", "reconcile-sku-done"}, slices.Sorted(maps.Keys(w.streams)))
	for stream, records := range w.streams {
		require.NoError(t, eventlog.Verify(stream, event.Head{}, records))
		require.Len(t, records, 1, "each violation is recorded once")
		eventtest.CheckRecords(t, records...)
		v, err := event.Decode[reconcile.Violation](records[0].Event)
		require.NoError(t, err)
		require.Equal(t, "reconcile-"+v.Stream, stream)
		require.NotEmpty(t, v.Detail)
	}
	require.Equal(t, 3, again.Left(), "they are violations until they are repaired")
}

func TestFailedRepairKeepsTheViolation(t *testing.T) {
	w := newWorld(t)
	w.damage("order-done", func(r []event.Record) []event.Record { r[1].Subject = "somebody"; return r })
	w.log = sealed{w.store}
	report := w.check(reconcile.Options{Repair: true})
	require.Len(t, report.Findings, 1)
	require.Contains(t, report.Findings[0].Repair, "failed: ")
	require.Equal(t, 1, report.Left())
}

// sealed is a log that refuses every append.
type sealed struct{ *store }

func (sealed) Append(context.Context, string, event.Head, []event.Entry) (event.Head, []event.Record, error) {
	return event.Head{}, nil, fault.New(fault.Unavailable, "no log")
}

// deaf is a gateway that does not answer.
type deaf struct{ payment.Gateway }

func (deaf) Traits() payment.Traits { return payment.Traits{} }

func (deaf) Lookup(context.Context, payment.Payment) (payment.Result, error) {
	return payment.Result{}, fault.New(fault.Unavailable, "the gateway is away")
}

func TestUnavailableServerFailsTheCheck(t *testing.T) {
	w := newWorld(t)
	w.gateway = deaf{w.gateway}
	r, err := reconcile.New(w.config())
	require.NoError(t, err)
	_, err = r.Run(t.Context(), reconcile.Options{Repair: true})
	require.ErrorIs(t, err, fault.Unavailable)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Run(ctx, reconcile.Options{})
	require.Error(t, err)
	_, err = reconcile.New(reconcile.Config{})
	require.ErrorIs(t, err, fault.Invalid)
}

func TestOldEndedOrdersAreSkipped(t *testing.T) {
	w := newWorld(t)
	w.runs["done"] = reconcile.Run{Found: true, Status: "terminated"}
	w.cut("payment-back", 1)
	w.damage("order-sent", func(r []event.Record) []event.Record { r[1].Subject = "somebody"; return r })
	w.at = now.Add(10 * time.Hour)
	kinds := func(o reconcile.Options) (kinds []string) {
		for _, f := range w.check(o).Findings {
			kinds = append(kinds, string(f.Kind))
		}
		slices.Sort(kinds)
		return kinds
	}
	o := reconcile.Options{Stale: 20 * time.Hour}
	require.Equal(t, []string{"authorization_stands", "end_unpublished", "stream_hash"}, kinds(o))
	o.Since = 9 * time.Hour
	require.Equal(t, []string{"stream_hash"}, kinds(o), "their streams are verified all the same")
	require.Equal(t, w.at.Add(-o.Since), w.completedSince)
	o.Since = 11 * time.Hour
	require.Equal(t, []string{"authorization_stands", "end_unpublished", "stream_hash"}, kinds(o))
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range reconcile.MaxFindings + 3 {
		id := fmt.Sprintf("ghost-%06d", i)
		w.list[id] = readmodel.Order{Order: order.Order{ID: id}, Version: 1}
	}
	report := w.check(reconcile.Options{})
	require.Len(t, report.Findings, reconcile.MaxFindings)
	require.Equal(t, 3, report.Unlisted)
	require.Equal(t, reconcile.MaxFindings+3, report.Left())
}

// TestDocumentedTableIsUpToDate: `make docs` writes the page again.
func TestDocumentedTableIsUpToDate(t *testing.T) {
	stored, err := os.ReadFile("../../docs/reference/findings.md")
	require.NoError(t, err)
	var page strings.Builder
	require.NoError(t, reconcile.WriteMarkdown(&page))
	require.Equal(t, page.String(), string(stored))
}

func TestKindsAreUnique(t *testing.T) {
	seen := map[reconcile.Kind]bool{}
	for _, k := range reconcile.Kinds {
		require.False(t, seen[k.Kind], k.Kind)
		seen[k.Kind] = true
	}
}

func TestSkippedKindsAreNotReported(t *testing.T) {
	w := newWorld(t)
	w.runs["early"] = reconcile.Run{Found: true, Completed: true, Status: "completed"}
	delete(w.list, "poor")
	report := w.check(reconcile.Options{Repair: true, Skip: map[reconcile.Kind]bool{reconcile.OrderUnrecorded: true}})
	require.Len(t, report.Findings, 1)
	require.Equal(t, reconcile.ListMissing, report.Findings[0].Kind)
	require.Empty(t, w.rerun)
	require.True(t, w.completedSince.IsZero())
}
