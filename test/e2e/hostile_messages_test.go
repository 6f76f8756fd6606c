package e2e

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

// junkBodies are bodies that are no event.
var junkBodies = []string{
	"", "null", "[]", "{}", "{", `"x"`, "\x00", "\xff\xfe", `{"data":`, `{"id":1,"id":2}`, `{"data":{"orderId":{"$ne":null}}}`, `{"id":"\ud800"}`,
	`{"specversion":"1.0","id":"a","type":"order.created","source":"/x","data":[]}`, `{"specversion":"9","type":["order.created"]}`,
	`{"pattern":{"cmd":"order.created"},"data":"x"}`, `{"data_base64":"%%%"}`, strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 50_000), strings.Repeat("9", 100_000),
}

// junkHeaders returns headers of wrong types and depths; some have the names that the service gives to its own.
func junkHeaders(r *rand.Rand) amqp.Table {
	var deep any = "end"
	for range r.IntN(60) {
		deep = amqp.Table{"a": []any{deep, int32(1), nil}, "\xff": true}
	}
	values := []any{deep, nil, "", "\x00", strings.Repeat("x", 20_000), int64(-1 << 63), int64(1<<63 - 1), float32(1.5), []byte{0, 0xff}, []any{}, amqp.Table{}, true}
	headers := amqp.Table{}
	for _, name := range []string{
		"x-ordersaga-attempts", "x-ordersaga-reason", "x-ordersaga-first-seen", "x-ordersaga-replay-of", "x-ordersaga-queue", "x-ordersaga-parked", "traceparent", "x-delay",
		"cloudEvents:type", "cloudEvents:id", "cloudEvents_time", "ce-specversion", "x-match", "", strings.Repeat("n", 200),
	} {
		if r.IntN(3) == 0 {
			headers[name] = values[r.IntN(len(values))]
		}
	}
	return headers
}

// TestHostileMessages: hundreds of messages that are no events (10,000 with ORDERSAGA_LONG), with headers of any type and depth, become dead letters,
// each one, and the next order completes.
func TestHostileMessages(t *testing.T) {
	s := newStack(t)
	service := s.start("LOG_LEVEL=warn")
	// The client library closes a connection that receives some of these headers, as the connection of the tap would. This connection receives none.
	bus, err := harness.Dial(testenv.AMQP(t))
	require.NoError(t, err)
	t.Cleanup(bus.Close)
	number := crowd(400, 10_000)
	each(number, 32, func(i int) {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		m := amqp.Publishing{
			MessageId: "hostile-" + strconv.Itoa(i), DeliveryMode: amqp.Persistent, Headers: junkHeaders(r), Body: []byte(junkBodies[r.IntN(len(junkBodies))]),
			ContentType: []string{"", "application/json", "application/cloudevents+json", "\xff", "text/plain; charset=utf-16"}[r.IntN(5)], CorrelationId: "\xc3(",
		}
		if i%200 == 0 {
			m.Body = make([]byte, 8<<20)
		}
		exchange, key := harness.Exchange, "order.created"
		if r.IntN(2) == 0 {
			exchange, key = "", harness.Inbox
		}
		assert.NoError(t, bus.PublishRaw(s.ctx, exchange, key, m))
	})
	// Letters are counted by the properties of their messages: a message that is delivered twice may be two letters.
	letters := func() int {
		cursor, err := s.db.Collection("dead_letters").Find(s.ctx, bson.D{{Key: "kind", Value: "letter"}}, options.Find().SetProjection(bson.D{{Key: "properties", Value: 1}}))
		var found []struct{ Properties string }
		if err == nil {
			err = cursor.All(s.ctx, &found)
		}
		if !assert.NoError(t, err) {
			return -1
		}
		known := make(map[string]bool)
		for _, letter := range found {
			known[letter.Properties] = true
		}
		return len(known)
	}
	require.Eventually(t, func() bool { return letters() == number }, patience, tick)
	id, sku := "after-"+uuid.NewString(), s.sku(1)
	order := harness.NewOrder(sku, 1, "tok_visa")
	order.ID = id
	_, err = bus.Publish(s.ctx, "order.created", id, order)
	require.NoError(t, err)
	end, err := s.client.AwaitEnd(s.ctx, id)
	require.NoError(t, err)
	require.Equal(t, "completed", end.Status)
	require.NotContains(t, service.Log(), "panic")
	require.NoError(t, service.Stop(patience))
	s.audit()
}
