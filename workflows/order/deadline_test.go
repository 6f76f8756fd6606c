package order_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Events of older versions do not say when their wait ends: it ends after the setting, counted from the event's time.
func TestDeadlinesOfEventsWithoutExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		fulfillment order.Fulfillment
		draw        answers
		wait        time.Duration
	}{
		"payment":  {order.Immediate, script{pend: true}, order.DefaultTiming().PaymentPending},
		"dispatch": {order.Shipment, happy{}, order.DefaultTiming().Shipment},
		"delivery": {order.Shipment, happy{}, order.DefaultTiming().Delivery},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.fulfillment)
			if name == "delivery" {
				w.receive(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "d"}})
			}
			var a order.Action
			for a.Kind != order.Wait {
				a = w.act(c.draw)
			}
			began := w.now
			require.Equal(t, began.Add(c.wait), a.Until)

			// What the event says counts, not its time: another clock may have told that.
			w.now = began.Add(time.Second)
			for i, r := range w.records {
				if r.Type == event.PaymentPending || r.Type == event.OrderConfirmed || r.Type == event.OrderShipped {
					w.records[i].Time = r.Time.Add(-24 * 365 * time.Hour)
				}
			}
			require.Equal(t, began.Add(c.wait), order.Next(w.state(), w.facts, w.now, w.timing).Until)

			for i, r := range w.records {
				w.records[i].Time = w.records[0].Time
				w.records[i].Data = withoutExpiry(t, r.Data)
			}
			require.Equal(t, w.records[0].Time.Add(c.wait), order.Next(w.state(), w.facts, w.now, w.timing).Until)
		})
	}
}

// withoutExpiry is the data as an older version wrote it.
func withoutExpiry(t *testing.T, data json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &fields))
	delete(fields, "expiresAt")
	old, err := json.Marshal(fields)
	require.NoError(t, err)
	return old
}
