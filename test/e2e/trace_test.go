package e2e

import (
	"encoding/json"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestTheTraceIsCarried: every event of an order has the trace of the request or event that placed it: inline, after a kill and a replay of the
// history, and after a wait.
func TestTheTraceIsCarried(t *testing.T) {
	s := newStack(t)
	service := s.start()
	sku := s.sku(10)
	const byREST, byEvent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, "tok_visa"), longestWait, "Traceparent", byREST)
	require.NoError(t, err)
	plain := s.place(harness.NewOrder(sku, 1, "tok_visa"))

	o := harness.NewOrder(sku, 1, "tok_visa")
	o.ID, o.Fulfillment = "traced-"+sku, "shipment"
	body, err := json.Marshal(harness.Event("event-"+sku, "order.created", o.ID, o))
	require.NoError(t, err)
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{
		ContentType: "application/cloudevents+json", Headers: amqp.Table{"traceparent": byEvent}, Body: body,
	}))
	_, err = s.client.AwaitStatus(s.ctx, o.ID, "awaiting_shipment")
	require.NoError(t, err)
	service.Kill()
	s.start()
	s.carrier("shipment.dispatched", o.ID)
	s.carrier("shipment.delivered", o.ID)
	_, err = s.client.AwaitEnd(s.ctx, o.ID)
	require.NoError(t, err)

	report := s.audit()
	for id, want := range map[string]any{placed.ID: byREST, plain.ID: nil, o.ID: byEvent} {
		s.published(report, id)
		for _, m := range harness.Outbound(s.tap.Of(id)) {
			require.Equal(t, want, m.Headers["traceparent"], "%s of %s", m.Type, id)
		}
	}
}
