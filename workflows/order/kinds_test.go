package order_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// timelineOf is the timeline of an order whose steps all succeed, as the table has it.
func timelineOf(t *testing.T, o order.Order) (types []string) {
	t.Helper()
	require.NoError(t, o.Validate())
	o = o.Normalize()
	at := time.Date(2026, 11, 21, 18, 30, 0, 0, time.UTC)
	s := order.State{}
	add := func(entries ...event.Entry) {
		for _, e := range entries {
			var err error
			s, err = s.Fold([]event.Record{{Stream: event.OrderStream(o.ID), Version: s.Head.Version + 1, Entry: e}})
			require.NoError(t, err)
			types = append(types, e.Type)
		}
	}
	add(order.Accept(o, "", "", at))
	for range 50 {
		facts := order.Facts{}
		if !s.ConfirmedAt.IsZero() {
			facts = order.FactsOf(o.ID, order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e-1"}})
		}
		a := order.Next(s, facts, at, order.DefaultTiming())
		switch {
		case a.Kind == order.Close:
			return types
		case a.Kind == order.Record:
			add(a.Entry)
		case a.Kind == order.Do && a.Step == order.StepReserve:
			lines := make([]order.LineOutcome, 0)
			for _, item := range o.Items() {
				lines = append(lines, order.LineOutcome{SKU: item.SKU, Quantity: item.Quantity, Reserved: true})
			}
			add(s.Reserved(lines, at))
		case a.Kind == order.Do && a.Step == order.StepAuthorize:
			add(s.Authorized("p-1", at))
		case a.Kind == order.Do && a.Step == order.StepCapture:
			add(s.Captured("p-1", at))
		case a.Kind == order.Do && a.Step == order.StepCommit:
			add(s.CommittedStock(at))
		default:
			require.Fail(t, "not expected", "%+v", a)
		}
	}
	require.Fail(t, "it does not end")
	return nil
}

// TestTheTimelineOfEachKind: the steps that do not apply leave no events.
func TestTheTimelineOfEachKind(t *testing.T) {
	goods, fee := order.Line{SKU: "tea", Quantity: 2, UnitAmount: 450}, order.Line{SKU: "fee", Quantity: 1, UnitAmount: 300, Stocked: &no}
	gift, free := order.Line{SKU: "gift", Quantity: 1}, order.Line{SKU: "download", Quantity: 1, Stocked: &no}
	for name, c := range map[string]struct {
		lines       []order.Line
		fulfillment order.Fulfillment
		want        []string
	}{
		"goods": {[]order.Line{goods}, order.Immediate, []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured", "inventory.committed", "order.completed",
		}},
		"goods and a fee": {[]order.Line{goods, fee}, order.Immediate, []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured", "inventory.committed", "order.completed",
		}},
		"a fee alone": {[]order.Line{fee}, order.Immediate, []string{
			"order.accepted", "payment.authorized", "order.settling", "payment.captured", "order.completed",
		}},
		"a gift": {[]order.Line{gift}, order.Immediate, []string{
			"order.accepted", "inventory.reserved", "order.settling", "inventory.committed", "order.completed",
		}},
		"a free download": {[]order.Line{free}, order.Immediate, []string{"order.accepted", "order.settling", "order.completed"}},
		"goods, shipped": {[]order.Line{goods}, order.Shipment, []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.shipped", "order.settling",
			"payment.captured", "inventory.committed", "order.delivered", "order.completed",
		}},
		"a gift, shipped": {[]order.Line{gift}, order.Shipment, []string{
			"order.accepted", "inventory.reserved", "order.confirmed", "order.shipped", "order.settling", "inventory.committed", "order.delivered", "order.completed",
		}},
		"made to order, shipped": {[]order.Line{fee}, order.Shipment, []string{
			"order.accepted", "payment.authorized", "order.confirmed", "order.shipped", "order.settling", "payment.captured", "order.delivered", "order.completed",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := valid()
			o.Lines, o.Fulfillment = c.lines, c.fulfillment
			require.Equal(t, c.want, timelineOf(t, o))
		})
	}
}
