package inbound_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestOrderCreatedPlacesTheNormalizedOrder(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.OrderCreated, placeable)))
	require.Equal(t, []sagaclient.Placement{{
		Order: order.Order{
			ID: "42", CustomerID: "c-7", Currency: "EUR", TotalAmount: 2250, Fulfillment: order.Shipment,
			Lines: []order.Line{
				{SKU: "tea", Quantity: 1, UnitAmount: 450}, {SKU: "cup", Quantity: 1, UnitAmount: 900}, {SKU: "tea", Quantity: 2, UnitAmount: 450},
			},
			Payment: order.PaymentMethod{Method: "tok_visa"},
		},
		CorrelationID: "corr", CausationID: "evt-1", CallerID: true,
	}}, w.sagas.placed)
	require.Empty(t, w.sagas.signals)
}

func TestEventsBecomeSignalsWithDerivedIDs(t *testing.T) {
	fact := order.ShipmentFact{ID: derived, Cause: "evt-1", Carrier: "DHL", TrackingNumber: "T-1", Reason: "rain"}
	const parcel = `{"orderId":"42","carrier":"DHL","trackingNumber":"T-1","reason":"rain"}`
	for _, test := range []struct {
		eventType, data, signal string
		payload                 any
	}{
		{
			event.OrderCancellationRequested, `{"orderId":"42","reason":"too late for tea"}`, saga.SignalCancel,
			order.Cancellation{ID: derived, Cause: "evt-1", Reason: "too late for tea"},
		},
		{
			event.PaymentSucceeded, `{"orderId":"42","paymentId":"p-1"}`, order.SignalPayment,
			order.PaymentHint{ID: derived, Cause: "evt-1", Succeeded: true},
		},
		{
			event.PaymentFailed, `{"orderId":"42","code":"insufficient_funds"}`, order.SignalPayment,
			order.PaymentHint{ID: derived, Cause: "evt-1", Code: "insufficient_funds"},
		},
		{
			event.ShipmentDispatched, parcel, order.SignalShipment,
			order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: fact},
		},
		{
			event.ShipmentDelivered, parcel, order.SignalShipment,
			order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: fact},
		},
		{
			event.ShipmentLost, parcel, order.SignalShipment,
			order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: fact},
		},
	} {
		t.Run(test.eventType, func(t *testing.T) {
			w := newWorld()
			require.NoError(t, w.executor.Handle(t.Context(), arrived(test.eventType, test.data)))
			require.Equal(t, []signal{{"42", test.signal, test.payload}}, w.sagas.signals)
			require.Empty(t, w.sagas.placed)
			require.Empty(t, w.stock.receipts)
			require.Empty(t, w.log.Names(), "what comes in time gets no verdict")
		})
	}
}

func TestStockReceivedIsBookedOncePerEvent(t *testing.T) {
	w := newWorld()
	e := arrived(event.StockReceived, `{"sku":"tea","quantity":7,"dock":"north"}`)
	e.Subject = "tea"
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Equal(t, []receipt{{"tea", 7, derived}}, w.stock.receipts)
	require.Empty(t, w.sagas.signals)
}

func TestIDsAreUniquePerSource(t *testing.T) {
	w := newWorld()
	e := arrived(event.StockReceived, `{"sku":"tea","quantity":7}`)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.NoError(t, w.executor.Handle(t.Context(), e))
	e.Source = "/another"
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Len(t, w.stock.receipts, 3)
	require.Equal(t, w.stock.receipts[0].id, w.stock.receipts[1].id, "a duplicate has the id of its original")
	require.NotEqual(t, w.stock.receipts[0].id, w.stock.receipts[2].id)
}

func TestEventWithoutCorrelationStartsOne(t *testing.T) {
	w := newWorld()
	e := arrived(event.OrderCreated, placeable)
	e.CorrelationID = ""
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Equal(t, "evt-1", w.sagas.placed[0].CorrelationID)
}

func TestEveryInboundTypeHasARoute(t *testing.T) {
	data := map[string]string{event.OrderCreated: placeable, event.StockReceived: `{"sku":"tea","quantity":1}`,
		event.UserRegistered: `{"email":"ada@example.com"}`, event.RefundRequested: `{"orderId":"42","amount":300}`, event.ReturnRequested: `{"orderId":"42","lines":[{"line":1,"quantity":1}]}`,
		event.PaymentDisputeClosed: `{"disputeId":"dp_1","result":"won"}`}
	for _, typ := range event.Types(event.Inbound) {
		t.Run(typ.Name, func(t *testing.T) {
			w := newWorld()
			e := arrived(typ.Name, `{"orderId":"42"}`)
			if d, ok := data[typ.Name]; ok {
				e = arrived(typ.Name, d)
			}
			require.NoError(t, w.executor.Handle(t.Context(), e))
			require.Equal(t, 1, len(w.sagas.placed)+len(w.sagas.signals)+len(w.stock.receipts)+len(w.sagas.onboarded)+len(w.sagas.refunds), "one effect")
		})
	}
}

func TestOtherTypesAreUnknown(t *testing.T) {
	types := []string{"", "order.creatd"}
	for _, d := range []event.Direction{event.Published, event.Ledger} {
		for _, typ := range event.Types(d) {
			types = append(types, typ.Name)
		}
	}
	for _, name := range types {
		w := newWorld()
		err := w.executor.Handle(t.Context(), arrived(name, placeable))
		require.ErrorIs(t, err, fault.UnknownType, name)
		w.untouched(t)
	}
}

func TestFaultsPassThrough(t *testing.T) {
	for _, code := range []fault.Code{fault.OrderUnknown, fault.Unavailable, fault.Conflict, fault.Corrupt, fault.Invalid} {
		for _, e := range []event.Event{
			arrived(event.OrderCreated, placeable),
			arrived(event.OrderCancellationRequested, `{"orderId":"42"}`),
			arrived(event.PaymentFailed, `{"orderId":"42"}`),
			arrived(event.ShipmentLost, `{"orderId":"42"}`),
			arrived(event.StockReceived, `{"sku":"tea","quantity":1}`),
		} {
			t.Run(string(code)+" for "+e.Type, func(t *testing.T) {
				w := newWorld()
				failure := fault.New(code, "injected")
				w.sagas.err, w.stock.err = failure, failure
				require.Equal(t, code, fault.CodeOf(w.executor.Handle(t.Context(), e)))
				require.NotContains(t, w.log.Names(), event.LateStream("42"), "nothing is known to be late")
			})
		}
	}
}
