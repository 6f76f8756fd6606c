package reconcile_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// owes adds a late payment that has not been refunded yet.
func (w *world) owes(id string) {
	w.cut("payment-"+id, 1)
	w.cut("late-"+id, 1)
}

// left makes goods leave when an order had ended.
func (w *world) left(id string, status order.Status) {
	v := latepayment.LateRecord{ID: "evt-2", OrderID: id, EventID: "evt-2", Type: event.ShipmentDispatched, Status: status}.Entry("corr", now)
	w.edit("late-"+id, func(r []event.Record) []event.Record {
		return append(r, event.Record{Stream: "late-" + id, Version: int64(len(r) + 1), Entry: v})
	})
}

// raiseGoodsAttention adds an attention of the late saga of an order about dispatched goods.
func (w *world) raiseGoodsAttention(id string) {
	w.left(id, order.StatusCancelled)
	w.add("late-"+id, "attention/1", event.OrderNeedsAttention, func(data map[string]any) {
		clear(data)
		data["orderId"], data["step"], data["error"], data["attempts"] = id, order.StepDispatch, "the goods have left", 0
	})
}

func (w *world) works(id string) {
	w.lates[id] = reconcile.Run{Found: true, Running: true, Status: "running", StartedAt: now}
}

var latePlants = []plant{
	{name: "money to be given back by a saga that was terminated", kind: reconcile.LateUnsettled, subject: "late", why: temporalAlone,
		plant: func(w *world) {
			w.owes("late")
			w.lates["late"] = reconcile.Run{Found: true, Status: "terminated"}
		}},
	{name: "late goods without a saga", kind: reconcile.LateUnsettled, subject: "back", why: temporalAlone,
		plant: func(w *world) { w.left("back", order.StatusCancelled) }},
	{name: "a late saga whose workflow task fails", kind: reconcile.WorkflowFailing, subject: "late", why: temporalAlone,
		plant: func(w *world) {
			w.owes("late")
			w.lates["late"] = reconcile.Run{Found: true, Running: true, TaskAttempts: 7}
		}},
	{name: "a late saga that comes to nothing", kind: reconcile.OrderStalled, subject: "late", why: temporalAlone,
		plant: func(w *world) {
			w.owes("late")
			w.works("late")
			w.at = now.Add(time.Hour)
		}},
	{name: "late goods without a decision", kind: reconcile.AttentionForLong, subject: "back", why: temporalAlone,
		plant: func(w *world) {
			w.raiseGoodsAttention("back")
			w.works("back")
			w.at = now.Add(25 * time.Hour)
		}},
	{name: "late for an unknown order", kind: reconcile.LateUnfounded, subject: "ghost", audit: "something came late for order ghost",
		plant: func(w *world) {
			w.left("ghost", order.StatusCompleted)
		}},
	{name: "late for an order that is open", kind: reconcile.LateUnfounded, subject: "open", audit: "something came late for order open",
		plant: func(w *world) { w.left("open", order.StatusCompleted) }},
	{name: "a late stream that cannot be read", kind: reconcile.StreamFold, subject: "late-late", why: serviceAlone,
		plant: func(w *world) {
			w.alter("late-late", 2, func(r *event.Record) {
				r.Data = changed(r.Data, with(map[string]any{"amount": "much"}))
			})
		}},
	{name: "money that came late and is still there", kind: reconcile.MoneyWrong, subject: "late", audit: "was charged 500 instead of 0",
		plant: func(w *world) { w.cut("payment-late", 1) }},
	{name: "late money that is not recorded", kind: reconcile.MoneyWrong, subject: "late", audit: "was charged 500 instead of 0",
		plant: func(w *world) {
			w.cut("payment-late", 1)
			delete(w.streams, "late-late")
		}},
	{name: "money that came late and that an operator decided about", kind: reconcile.ExceptionOnRecord, subject: "late", audit: "was charged 500 instead of 0",
		plant: func(w *world) {
			w.cut("payment-late", 1)
			w.skip("late-late", event.PaymentRefunded, latepayment.StepRefund, false)
		}},
	{name: "money without an answer of the gateway, with an intervention", kind: reconcile.ExceptionOnRecord, subject: "late", audit: "was charged 500 instead of 0",
		plant: func(w *world) {
			w.owes("late")
			w.skip("late-late", event.PaymentArrivedLate, latepayment.StepJudge, false)
		}},
	{name: "more than came late was decided about", kind: reconcile.MoneyWrong, subject: "late", audit: "was charged 700 instead of 0",
		plant: func(w *world) {
			w.cut("payment-late", 1)
			w.edit("payment-late", func(r []event.Record) []event.Record {
				i := slices.IndexFunc(r, func(r event.Record) bool { return r.Type == event.ChargeArrived })
				r[i].Data = changed(r[i].Data, with(map[string]any{"amount": 700}))
				return r
			})
			w.skip("late-late", event.PaymentRefunded, latepayment.StepRefund, false)
		}},
}

// TestLateEventWithoutConsequenceIsNotListed: an order has ended, and a late cancellation of it changes nothing. Its stream has the record, and no
// saga runs that would list it. A late saga that has worked must be in the list.
func TestLateEventWithoutConsequenceIsNotListed(t *testing.T) {
	w := newWorld(t)
	v := latepayment.LateRecord{
		ID: "evt-9", OrderID: "done", EventID: "evt-9", Type: event.OrderCancellationRequested, Status: order.StatusCompleted,
	}.Entry("corr", now)
	w.edit("late-done", func([]event.Record) []event.Record {
		return []event.Record{{Stream: "late-done", Version: 1, Entry: v}}
	})
	w.at = w.at.Add(time.Hour)
	c := w.config()
	c.FlowList = unlisted{folded{w}}
	r, err := reconcile.New(c)
	require.NoError(t, err)
	report, err := r.Run(t.Context(), reconcile.Options{})
	require.NoError(t, err)
	var missing []string
	for _, f := range report.Findings {
		if f.Kind == reconcile.ListMissing {
			missing = append(missing, f.Subject)
		}
	}
	require.Equal(t, []string{"late"}, missing)
}

// unlisted is a list without late sagas.
type unlisted struct{ folded }

func (u unlisted) Get(ctx context.Context, stream string) (e readmodel.Order, there bool, err error) {
	if strings.HasPrefix(stream, event.LateStream("")) {
		return e, false, nil
	}
	return u.folded.Get(ctx, stream)
}

func (u unlisted) All(ctx context.Context) iter.Seq2[readmodel.Order, error] {
	return func(yield func(readmodel.Order, error) bool) {
		for e, err := range u.folded.All(ctx) {
			if !strings.HasPrefix(e.ID, event.LateStream("")) && !yield(e, err) {
				return
			}
		}
	}
}
