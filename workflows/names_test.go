package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// names are those that are made of IDs, by what they name. A name has the namespace in which it must be unique before it.
type names map[string]string

// add adds a name; it fails when something else has it.
func (n names) add(t *rapid.T, what, namespace, name string) {
	name = namespace + " " + name
	other, taken := n[name]
	require.False(t, taken && other != what, "%q names %s and %s", name, what, other)
	n[name] = what
}

// drawID draws an ID that is hard to tell from others once it is part of a name.
func drawID(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"42", "late-42", "42/reserve", "42/undo/authorize", "gid://shopify/Order/123 ü", "gid%3A%2F%2Fshopify", "a@1", "completed-42", "-42"}),
		rapid.StringOfN(rapid.SampledFrom([]rune(`ab4.-_%/@~|: 2Fü`)), 1, 12, 200).Filter(event.ValidID),
	).Draw(t, label)
}

// drawFlow draws the stream of a flow of another module, as Register takes it.
func drawFlow(t *rapid.T, label string) string {
	ours := []string{"order", "sku", "payment", "refunds", "late", "early", "reconcile", "dead", "customer", "notice", "shortage"}
	return rapid.OneOf(rapid.SampledFrom([]string{"voucher", "order2", "orders", "late.payment", "gift.card"}), rapid.StringMatching(`[a-z][a-z0-9.]{0,4}`)).
		Filter(func(stream string) bool {
			return !strings.HasPrefix(stream, "payment.") && !strings.Contains(" "+strings.Join(ours, " ")+" ", " "+stream+" ")
		}).Draw(t, label)
}

// stepsOf are the parts of the keys of a flow's steps.
func stepsOf[S, P any](f *saga.Flow[S, P]) (steps []string) {
	for i := range f.Steps {
		steps = append(steps, f.Steps[i].Name)
	}
	return steps
}

// TestComposedNamesNeverCollide: streams, workflow IDs, slots, keys for participants and references of payments, of orders and of the sagas
// of other flows, differ where what they name does.
func TestComposedNamesNeverCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gateway, err := simulator.New(simulator.Config{Log: memlog.New()})
		require.NoError(t, err)
		all, ids, flows := names{}, []string{drawID(t, "a"), drawID(t, "b")}, []string{drawFlow(t, "f"), drawFlow(t, "g")}
		if strings.HasPrefix(flows[0], flows[1]+".") || strings.HasPrefix(flows[1], flows[0]+".") {
			flows = flows[:1] // Register refuses the other one
		}
		pay := func(what string, p payment.Payment) {
			p.Amount, p.Currency, p.Method = 1, "EUR", "tok_visa"
			result, err := gateway.Authorize(t.Context(), p.Key(order.StepAuthorize), p)
			require.NoError(t, err)
			all.add(t, "payment of "+what, "payment", result.PaymentID)
			for _, step := range append(stepsOf(&order.Flow), "void", order.UndoSlot(order.StepAuthorize), "late/e-1") {
				all.add(t, step+" of "+what, "key of a payment", p.Key(step))
			}
		}
		for _, id := range ids {
			for what, stream := range map[string]string{
				"order": order.Flow.StreamOf(id), "late events": latepayment.Flow.StreamOf(id), "early events": order.Flow.EarlyStreamOf(id),
				"message": notification.Flow.StreamOf(id), "customer": onboarding.Flow.StreamOf(id), "sku": event.StockStream(id),
				"payment": event.PaymentStream(id), "refunds": event.RefundsStream(id), "dead letter": event.DeadStream(id),
				"found of an order": event.ReconcileStream(event.OrderStream(id)), "found of a sku": event.ReconcileStream(event.StockStream(id)),
			} {
				all.add(t, what+" "+id, "stream", stream)
			}
			for what, workflowID := range map[string]string{
				"order": order.Flow.WorkflowID(id), "late events": order.Flow.Late.WorkflowID(id), "message": notification.Flow.WorkflowID(id),
				"customer": onboarding.Flow.WorkflowID(id), "shortage": shortage.WorkflowID(id),
			} {
				all.add(t, what+" "+id, "workflow", workflowID)
			}
			all.add(t, "reservation of "+id, "slot of stock", inventory.ReserveKey(id))
			all.add(t, "settlement of "+id, "slot of stock", inventory.SettleKey(id))
			all.add(t, "entry of "+id, "entry of the list", event.Escape(id))
			for _, step := range stepsOf(&order.Flow) {
				all.add(t, step+" of "+id, "key of a step", event.Key(id, step))
				all.add(t, step+" of "+id+", an item", "key of a step", event.Key(id, step+"/item"))
			}
			pay("order "+id, payment.Payment{OrderID: id})
			for _, stream := range flows {
				f, what := saga.Flow[order.State, *order.Participants]{Stream: stream, Inbound: []saga.Inbound{{Role: saga.RoleCancel}}}, "saga "+id+" of "+stream
				all.add(t, what, "stream", f.StreamOf(id))
				all.add(t, "late events of "+what, "stream", f.LateStreamOf(id))
				all.add(t, "early events of "+what, "stream", f.EarlyStreamOf(id))
				all.add(t, "payment of "+what, "stream", event.FlowPaymentStream(stream, id))
				all.add(t, "found of "+what, "stream", event.ReconcileStream(f.StreamOf(id)))
				all.add(t, what, "workflow", f.WorkflowID(id))
				pay(what, payment.Payment{Flow: stream, OrderID: id})
				flow, back, ok := event.FlowPaymentOf(event.FlowPaymentStream(stream, id))
				require.True(t, ok)
				require.Equal(t, []string{stream, id}, []string{flow, back})
			}
		}
		for what := range map[string]string{"receipt": "", "adjustment": "", "count": ""} {
			token := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,8}`).Draw(t, what)
			all.add(t, what+" "+token, "slot of stock", token+"/"+what)
		}
	})
}
