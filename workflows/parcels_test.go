package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// says has an event about a parcel come.
func (w *world) says(after time.Duration, kind order.ShipmentKind, id, parcel string, lines ...order.ShipmentLine) {
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: kind, ShipmentFact: order.ShipmentFact{ID: id, Cause: id, ParcelID: parcel, Lines: lines},
		})
	}, after)
}

func one() order.ShipmentLine { return order.ShipmentLine{Line: 1, Quantity: 1} }

// The order has two pieces of tea. One parcel is lost, found to be refunded while the other one arrives, and delivered after all.
func TestARefundAndADeliveryAtOnce(t *testing.T) {
	for _, first := range []bool{true, false} {
		w := newWorld(t)
		w.says(time.Hour, order.ShipmentDispatched, "e1", "a", one())
		w.says(time.Hour, order.ShipmentLost, "e2", "b", one())
		var verdict *saga.ResolveAnswer
		if first {
			verdict = w.decide(2*time.Hour, order.Resolution{ID: "d-1", Action: order.Refund})
		}
		w.says(2*time.Hour, order.ShipmentDelivered, "e3", "b", one())
		if !first {
			verdict = w.decide(2*time.Hour, order.Resolution{ID: "d-1", Action: order.Refund})
		}
		w.says(3*time.Hour, order.ShipmentDelivered, "e4", "a")
		w.says(3*time.Hour, order.ShipmentDelivered, "e4", "a")
		require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
		refunded := 0
		for _, eventType := range w.timeline() {
			if eventType == event.PaymentRefunded {
				refunded++
			}
		}
		require.LessOrEqual(t, refunded, 1)
		require.Equal(t, verdict.Accepted, refunded == 1, "the money is given back if the decision was accepted: %v", w.timeline())
	}
}

// What was recorded of parcels is not handed on to the next run.
func TestParcelsAcrossRuns(t *testing.T) {
	w := newWorld(t)
	w.says(time.Hour, order.ShipmentDispatched, "e1", "a", one())
	w.says(2*time.Hour, order.ShipmentLost, "e2", "b", one())
	w.env.RegisterDelayedCallback(func() {
		w.env.SetContinueAsNewSuggested(true)
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h", Cause: "h"})
	}, 3*time.Hour)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.start(tea(order.Shipment), w.gateway, w.bus), &again)
	var next saga.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	require.Len(t, w.record().Parcels, 2)
	require.Empty(t, next.Resume.Facts.Received)
}

// A thousand parcels at once: an order knows of so many, and the input of the next run stays small.
func TestAThousandParcelsAtOnce(t *testing.T) {
	w := newWorld(t)
	for n := range 500 { // the test environment has no room for all of them at once
		w.says(time.Hour, order.ShipmentDispatched, fmt.Sprintf("e%d", n), fmt.Sprintf("e%d", n), one())
	}
	w.env.RegisterDelayedCallback(func() {
		for n := range 500 {
			id := fmt.Sprintf("e%d", 500+n)
			w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
				Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: id, Cause: id, ParcelID: id, Lines: []order.ShipmentLine{one()}},
			})
		}
		w.env.SetContinueAsNewSuggested(true)
	}, 2*time.Hour)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.start(tea(order.Shipment), w.gateway, w.bus), &again)
	require.LessOrEqual(t, len(w.record().Parcels), order.MaxParcels)
	size := 0
	for _, p := range again.Input.GetPayloads() {
		size += len(p.GetData())
	}
	require.Less(t, size, 512<<10)
}
