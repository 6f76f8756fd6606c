package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestAnOrderThatWaitsIsHandledWhenTheServiceStarts: an order is in the longest wait queue after some outages. A service that starts returns it to
// the inbox before its delay is over.
func TestAnOrderThatWaitsIsHandledWhenTheServiceStarts(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(10)
	s.service.Kill()
	id := "waits-" + uuid.NewString()[:8]
	data := fmt.Sprintf(`{"orderId":%q,"customerId":"c-1","currency":"EUR","lines":[{"sku":%q,"quantity":1,"unitAmount":1000}],"payment":{"method":"tok_visa"}}`, id, sku)
	body, err := json.Marshal(harness.Event(uuid.NewString(), "order.created", id, json.RawMessage(data)))
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, s.bus.PublishRaw(s.ctx, "", harness.Inbox+".wait.5m", amqp.Publishing{
		ContentType: "application/cloudevents+json", DeliveryMode: amqp.Persistent, Body: body,
	}))
	s.start()
	s.ends(id, "completed", "")
	if time.Since(began) < 4*time.Minute { // otherwise its time may have been up
		require.Eventually(t, func() bool { return strings.Contains(s.service.Log(), "waiting messages returned to their queue") }, patience, tick)
	}
	s.audit()
}
