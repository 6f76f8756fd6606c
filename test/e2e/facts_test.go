package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// awaitStream waits until a stream has an event of one of the types, or any event without types, and returns the stream.
func (s *stack) awaitStream(name string, types ...string) (stream []audit.Document) {
	s.t.Helper()
	require.NoError(s.t, harness.Poll(s.ctx, 100*time.Millisecond, func() bool {
		report, err := audit.Run(s.ctx, s.db)
		if err != nil {
			return false
		}
		stream = report.Streams[name]
		return slices.ContainsFunc(stream, func(d audit.Document) bool { return len(types) == 0 || slices.Contains(types, d.Type) })
	}), "stream %s has no event %v", name, types)
	return stream
}

// types lists the types of an order's timeline.
func (s *stack) types(orderID string) []string {
	s.t.Helper()
	items, err := s.client.Timeline(s.ctx, orderID)
	require.NoError(s.t, err)
	types := make([]string, len(items))
	for i, item := range items {
		types[i] = item.Type
	}
	return types
}

// TestACancellationComesBeforeItsOrder: the order arrives long after its cancellation became a dead letter, and is cancelled.
func TestACancellationComesBeforeItsOrder(t *testing.T) {
	s := newStack(t)
	s.start("SIGNAL_PARK_MAX=1s")
	o := harness.NewOrder(s.sku(10), 2, "tok_visa")
	o.ID = testenv.Unique("early")
	cancellation, err := s.bus.Publish(s.ctx, "order.cancellation_requested", o.ID, map[string]any{"orderId": o.ID, "reason": "ordered\ntwice"})
	require.NoError(t, err)
	letter := s.dead(cancellation)
	require.Equal(t, "order_unknown", letter.Reason)
	require.Len(t, s.awaitStream("early-"+o.ID), 1)
	response, err := s.client.Cancel(s.ctx, o.ID, "by REST")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, response.Status)

	_, err = s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	s.ends(o.ID, "cancelled", "requested")
	require.Equal(t, []string{"order.accepted", "order.compensating", "inventory.released", "order.cancelled"}, s.types(o.ID))

	out, err := s.cli("dead-letters", "replay", letter.ID)
	require.NoError(t, err, out)
	s.letter(letter.ID, "replayed")
	report := s.audit()
	require.Empty(t, report.Violations)
	require.Zero(t, report.Net[o.ID])
}

// TestOneIDForEveryEventOfAnOrder: the events of a late payment have the correlation ID of the event that created the order.
func TestOneIDForEveryEventOfAnOrder(t *testing.T) {
	s := newStack(t)
	s.start("PAYMENT_PENDING_DEADLINE=1s")
	o := harness.NewOrder(s.sku(10), 2, "tok_pending")
	o.ID = testenv.Unique("same")
	require.NoError(t, s.bus.PublishJSON(s.ctx, harness.Exchange, "order.created", "application/cloudevents+json", harness.Event(o.ID, "order.created", o.ID, o)))
	s.ends(o.ID, "failed", "payment_timeout")
	s.pays(o.ID, o.ID, 2)
	require.Equal(t, givenBack, lateTypes(s.awaitLate(o.ID, "payment.refunded")))
	require.Zero(t, s.audit().Net[o.ID])
}

// TestShipmentFieldsOfOtherTypes: an order is shipped although fields of its event have other types, and although source and type are missing.
func TestShipmentFieldsOfOtherTypes(t *testing.T) {
	s := newStack(t)
	s.start()
	id := s.ship(s.sku(10), "tok_visa")
	for _, m := range []struct{ key, body string }{
		{"shipment.dispatched", `{"id":"7","orderId":"` + id + `","type":"express","carrier":"La\u00a0Poste","trackingNumber":12345678901234567890,"reason":"rain\n☔"}`},
		{"shipment.delivered", `{"id":7,"orderId":"` + id + `","reason":["at","the","door"]}`},
	} {
		require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, m.key, amqp.Publishing{Type: "Acme.Parcel, Acme", Body: []byte(m.body), DeliveryMode: amqp.Persistent}))
		if m.key == "shipment.dispatched" {
			_, err := s.client.AwaitStatus(s.ctx, id, "shipped")
			require.NoError(t, err)
		}
	}
	s.ends(id, "completed", "")
	items, err := s.client.Timeline(s.ctx, id)
	require.NoError(t, err)
	for _, item := range items {
		if item.Type == "order.shipped" {
			var d struct{ Carrier, TrackingNumber string }
			require.NoError(t, json.Unmarshal(item.Data, &d))
			require.Equal(t, "La Poste", d.Carrier)
			require.Equal(t, "12345678901234567890", d.TrackingNumber)
		}
	}
}
