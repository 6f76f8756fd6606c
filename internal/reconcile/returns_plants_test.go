package reconcile_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// refundSagas run the refunds of returns.
type refundSagas struct {
	s            *shop
	participants *refund.Participants
}

func (r refundSagas) Refund(ctx context.Context, id, _ string, request refund.Request) (refund.State, error) {
	in := saga.OpenInput{ID: id, Data: saga.Object("refundId", id, request)}
	return sagatest.Drive(ctx, &refund.Flow, r.participants, r.s.log, in, now)
}

// newReturnsWorld makes a shop with an order of five, of which one is refunded and restocked by the refund ref, two came back by the return ret, and
// two are left.
func newReturnsWorld(t *testing.T) *world {
	w, s := emptyWorld(t), newShop(t)
	w.knows(s.drive(order.Order{
		ID: "sold", CustomerID: "c-1", Currency: "EUR", Lines: []order.Line{{SKU: "sold", Quantity: 5, UnitAmount: 100}},
		Payment: order.PaymentMethod{Method: "tok_visa"}, Fulfillment: order.Immediate,
	}.Normalize(), nil))
	reader := order.Reader{Log: s.log}
	sagas := refundSagas{s, &refund.Participants{Orders: reader, Refunds: s.log, Gateway: s.money, Stock: s.ledger}}
	state, err := sagas.Refund(t.Context(), "ref", "", refund.Request{OrderID: "sold", Lines: []refund.RequestLine{{Line: 1, Quantity: 1}}, Restock: true})
	require.NoError(t, err)
	require.Equal(t, refund.Refunded, state.Outcome())

	participants := &returns.Participants{Orders: reader, Ledger: s.log, Refunds: sagas, Stock: s.ledger}
	yes := true
	request := returns.Request{OrderID: "sold", Lines: []refund.RequestLine{{Line: 1, Quantity: 2}}, Refund: &yes, Restock: &yes}
	in := saga.OpenInput{ID: "ret", Data: saga.Object("returnId", "ret", request)}
	back, err := sagatest.Drive(t.Context(), &returns.Flow, participants, s.log, in, now, saga.Fact{Type: event.ReturnReceived, ID: "receipt"})
	require.NoError(t, err)
	require.Equal(t, returns.Completed, back.Outcome())
	w.takeOver(s)
	return w
}

func TestConsistentReturnsHaveNoViolation(t *testing.T) {
	w := newReturnsWorld(t)
	require.Empty(t, w.check(reconcile.Options{}).Findings)
	checked := audit.Examine(w.documents(t))
	require.Empty(t, checked.Violations)
	require.Equal(t, int64(300), checked.Refunded["sold"])
}

// drop removes the events of a type from a stream.
func (s *store) drop(stream, eventType string) {
	s.edit(stream, func(r []event.Record) []event.Record {
		return slices.DeleteFunc(r, func(r event.Record) bool { return r.Type == eventType })
	})
}

// say changes the data of the events of a type in a stream.
func (s *store) say(stream, eventType string, change map[string]any) {
	s.edit(stream, func(r []event.Record) []event.Record {
		for i := range r {
			if r[i].Type == eventType {
				r[i].Data = changed(r[i].Data, with(change))
			}
		}
		return r
	})
}

func units(n int) map[string]any {
	return map[string]any{"lines": []any{map[string]any{"line": 1, "quantity": n}}}
}

// returnsPlants are damages of refunds and returns.
var returnsPlants = []plant{
	{name: "a refund that the ledger has not settled", kind: reconcile.PaymentContradiction, subject: "ref", audit: `the refund ledger has 100, ""`,
		plant: func(w *world) {
			w.edit("refunds-sold", func(r []event.Record) []event.Record {
				return slices.DeleteFunc(r, func(r event.Record) bool { return r.Key == "settle/refund-ref" })
			})
		}},
	{name: "a refund of less than the ledger has", kind: reconcile.PaymentContradiction, subject: "ref", audit: "gives back 50, and the refund ledger has 100",
		plant: func(w *world) {
			w.say("refund-ref", event.RefundReserved, map[string]any{"amount": 50})
			w.say("refund-ref", event.RefundPaid, map[string]any{"amount": 50})
		}},
	{name: "a refund that the gateway has not made", kind: reconcile.PaymentContradiction, subject: "ref", audit: "and the gateway has done so 0 times",
		plant: func(w *world) {
			w.edit("payment-sold", func(r []event.Record) []event.Record {
				return slices.DeleteFunc(r, func(r event.Record) bool { return r.Key == "refund/sold/refund-ref" })
			})
		}, also: []reconcile.Kind{reconcile.MoneyWrong}},
	{name: "a refund that was refused and holds its amount", kind: reconcile.PaymentContradiction, subject: "ref", audit: "refund ref has ended as refund.rejected",
		plant: func(w *world) {
			w.edit("refund-ref", func(r []event.Record) []event.Record {
				r = slices.DeleteFunc(r, func(r event.Record) bool { return r.Type == event.RefundPaid || r.Type == event.RefundRestocked })
				last := &r[len(r)-1]
				last.Type, last.Data = event.RefundRejected, []byte(`{"refundId":"ref","outcome":"rejected","reason":"refused_by_gateway"}`)
				r[2].Type, r[2].Data = event.RefundCompensating, last.Data
				return r
			})
		}, also: []reconcile.Kind{reconcile.StreamPivot}},
	{name: "goods of a refund that are not in stock", kind: reconcile.StockOutcome, subject: "ref", audit: "refund ref puts 2 of sold into stock",
		plant: func(w *world) {
			w.say("refund-ref", event.RefundRestocked, map[string]any{"lines": []any{map[string]any{"sku": "sold", "quantity": 2}}})
		}},
	{name: "goods that came back and that the ledger does not have", kind: reconcile.StockOutcome, subject: "ret", audit: "return ret has received map[1:2]",
		plant: func(w *world) { w.say("refunds-sold", event.RefundsReturnSettled, units(1)) }},
	{name: "a return that the ledger has not settled", kind: reconcile.StockOutcome, subject: "ret", audit: "return ret has received map[1:2]",
		plant: func(w *world) { w.drop("refunds-sold", event.RefundsReturnSettled) }},
	{name: "more returned than was delivered", kind: reconcile.StockOutcome, subject: "ret", audit: "of line 1 of order sold are returned or refunded of 5",
		plant: func(w *world) {
			w.add("refunds-sold", "return/return-x", event.RefundsReturnReserved, func(d map[string]any) {
				clear(d)
				d["orderId"], d["key"], d["lines"] = "sold", "return-x", units(4)["lines"]
			})
		}},
	{name: "a return whose refund was not made", kind: reconcile.PaymentContradiction, subject: "ret", audit: "return ret says that 300 were refunded",
		plant: func(w *world) { w.say("return-ret", event.ReturnRefunded, map[string]any{"amount": 300}) }},
	{name: "a return with the refund of another", kind: reconcile.PaymentContradiction, subject: "ret", audit: "return ret names the refund ref, which is not its own",
		plant: func(w *world) {
			w.say("return-ret", event.ReturnRefunded, map[string]any{"refundId": "ref", "amount": 100})
		}},
	{name: "goods of a return that are not in stock", kind: reconcile.StockOutcome, subject: "ret", audit: "return ret puts 3 of sold into stock",
		plant: func(w *world) {
			w.say("return-ret", event.ReturnRestocked, map[string]any{"lines": []any{map[string]any{"sku": "sold", "quantity": 3}}})
		}},
	{name: "a return that has ended and holds its goods", kind: reconcile.StockOutcome, subject: "ret", audit: "return ret has ended as return.failed, and holds map[1:2]",
		plant: func(w *world) {
			w.edit("return-ret", func(r []event.Record) []event.Record {
				r = slices.DeleteFunc(r[:4], func(event.Record) bool { return false })
				turned := []byte(`{"returnId":"ret","outcome":"failed","reason":"return_expired"}`)
				r[3].Type, r[3].Data = event.ReturnExpired, []byte(`{"returnId":"ret","orderId":"sold","reason":"return_expired","missing":[{"line":1,"sku":"sold","quantity":2}]}`)
				for _, e := range []struct{ key, kind string }{
					{saga.SlotTurn, event.ReturnCompensating}, {saga.UndoSlot(returns.StepAnnounce), event.ReturnReleased}, {saga.SlotEnd, event.ReturnFailed},
				} {
					next := r[len(r)-1]
					next.Key, next.Type, next.ID, next.Data = e.key, e.kind, event.DerivedID("return-ret", e.key), turned
					r = append(r, next)
				}
				return r
			})
		}},
}

// TestPlantedReturnsAreFound: reconcile and the audit both find each damage.
func TestPlantedReturnsAreFound(t *testing.T) {
	for _, p := range returnsPlants {
		t.Run(p.name, func(t *testing.T) {
			w := newReturnsWorld(t)
			p.plant(w)
			requireFindings(t, w, p)
		})
	}
}
