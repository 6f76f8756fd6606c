package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestBadInput: invalid input gets an error over REST, becomes a dead letter with its reason over the bus, and has no effect.
func TestBadInput(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(10)
	bad := func(change func(*harness.Order)) harness.Order {
		o := harness.NewOrder(sku, 1, "tok_visa")
		change(&o)
		return o
	}
	t.Run("REST", func(t *testing.T) {
		cases := []struct {
			name    string
			body    any
			status  int
			code    string
			pointer string
		}{
			{"malformed JSON", []byte(`{"customerId": `), http.StatusBadRequest, "malformed", ""},
			{"negative quantity", bad(func(o *harness.Order) { o.Lines[0].Quantity = -1 }), 422, "invalid", "/lines/0/quantity"},
			{"empty order", bad(func(o *harness.Order) { o.Lines = nil }), 422, "invalid", "/lines"},
			{"empty object", []byte(`{}`), 422, "invalid", ""},
			{"unknown field", []byte(`{"email":"a@b.c"}`), 422, "invalid", "/email"},
			{"amount with a fraction", []byte(`{"customerId":"c","currency":"EUR","lines":[{"sku":"a","quantity":1,"unitAmount":1.5}],"payment":{"method":"tok_visa"}}`),
				422, "invalid", "/lines/0/unitAmount"},
			{"2 MB", append([]byte(`{"customerId":"`), bytes.Repeat([]byte("a"), 2<<20)...), http.StatusRequestEntityTooLarge, "too_large", ""},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", c.body)
				require.NoError(t, err)
				var p harness.Problem
				require.NoError(t, response.Into(c.status, &p))
				require.Equal(t, c.code, p.Code)
				require.Contains(t, response.Header.Get("Content-Type"), "application/problem+json")
				if c.pointer != "" {
					require.NotEmpty(t, p.Errors)
					require.Equal(t, c.pointer, p.Errors[0].Pointer)
				}
			})
		}
	})
	t.Run("unknown SKU", func(t *testing.T) {
		end := s.place(harness.NewOrder("unknown-sku", 1, "tok_visa"))
		require.Equal(t, "rejected", end.Status)
		require.Equal(t, "unknown_sku", end.Reason)
	})
	t.Run("bus", func(t *testing.T) {
		event := func(eventType string, o harness.Order) []byte {
			o.ID = "bad-" + uuid.NewString()
			raw, err := json.Marshal(harness.Event(uuid.NewString(), eventType, o.ID, o))
			require.NoError(t, err)
			return raw
		}
		cases := []struct {
			name, key string
			body      []byte
			direct    bool
			reason    string
			detail    string
		}{
			{"malformed JSON", "order.created", []byte(`{"id": `), false, "malformed", ""},
			{"negative quantity", "order.created", event("order.created", bad(func(o *harness.Order) { o.Lines[0].Quantity = -1 })), false, "invalid", "/data/lines/0/quantity"},
			{"empty order", "order.created", event("order.created", bad(func(o *harness.Order) { o.Lines = nil })), false, "invalid", "/data/lines"},
			{"unknown type", harness.Inbox, event("order.teleported", bad(func(*harness.Order) {})), true, "unknown_type", ""},
			{"one of our own", harness.Inbox, event("order.completed", bad(func(*harness.Order) {})), true, "unknown_type", ""},
			{"2 MB", "order.created", bytes.Repeat([]byte("a"), 2<<20), false, "too_large", ""},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				exchange, id := harness.Exchange, uuid.NewString()
				if c.direct {
					exchange = ""
				}
				require.NoError(t, s.bus.PublishRaw(s.ctx, exchange, c.key, amqp.Publishing{
					ContentType: "application/cloudevents+json", DeliveryMode: amqp.Persistent, MessageId: id, Body: c.body,
				}))
				dead, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.Properties.MessageID == id })
				require.NoError(t, err)
				require.Equal(t, c.reason, dead.Reason)
				require.Contains(t, dead.Detail, c.detail)
				require.Equal(t, string(c.body), dead.Payload, "the dead letter has the original message")
			})
		}
	})
	report := s.audit()
	require.Len(t, report.Orders, 1, "only the order for the unknown SKU was ever accepted")
	require.Equal(t, int64(10), report.OnHand[sku])
}

// TestFormats: an event in any supported format places the same order.
func TestFormats(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(100)
	data := func(id string) map[string]any {
		return map[string]any{
			"orderId": id, "customerId": "c-1", "currency": "EUR", "payment": map[string]any{"method": "tok_visa"},
			"lines": []map[string]any{{"sku": sku, "quantity": 1, "unitAmount": 100}},
		}
	}
	marshal := func(v any) []byte {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return raw
	}
	cases := map[string]struct {
		exchange, key string
		message       func(id string) amqp.Publishing
	}{
		"plain event of a TypeScript service": {harness.Exchange, "order.created", func(id string) amqp.Publishing {
			return amqp.Publishing{Body: marshal(map[string]any{
				"id": uuid.NewString(), "type": "order.created", "timestamp": "2026-01-02T03:04:05.678Z", "aggregateId": id,
				"data": data(id), "correlationId": "corr-1",
			})}
		}},
		"base event with eventType in CamelCase": {harness.Exchange, "OrderCreated", func(id string) amqp.Publishing {
			return amqp.Publishing{Body: marshal(map[string]any{
				"id": uuid.NewString(), "eventType": "OrderCreated", "occurredAt": "2026-01-02T03:04:05.678Z", "aggregateId": id, "data": data(id),
			})}
		}},
		"NestJS, straight to the queue": {"", harness.Inbox, func(id string) amqp.Publishing {
			return amqp.Publishing{Body: marshal(map[string]any{"pattern": "order.created", "data": data(id)})}
		}},
		"CloudEvents binary mode": {harness.Exchange, "order.created", func(id string) amqp.Publishing {
			return amqp.Publishing{ContentType: "application/json", Body: marshal(data(id)), Headers: amqp.Table{
				"cloudEvents:specversion": "1.0", "cloudEvents:id": uuid.NewString(), "cloudEvents:type": "order.created",
				"cloudEvents:source": "/shop", "cloudEvents:subject": id,
			}}
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			id := "format-" + uuid.NewString()
			require.NoError(t, s.bus.PublishRaw(s.ctx, c.exchange, c.key, c.message(id)))
			end, err := s.client.AwaitEnd(s.ctx, id)
			require.NoError(t, err)
			require.Equal(t, "completed", end.Status)
		})
	}
	require.Equal(t, int64(len(cases)), s.audit().Committed[sku])
}
