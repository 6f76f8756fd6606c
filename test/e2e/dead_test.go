package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/harness"
)

// types are the types of a letter's events.
func types(items []harness.Item) []string {
	var names []string
	for _, item := range items {
		names = append(names, item.Type)
	}
	return names
}

// dead waits until the letter of an event is stored.
func (s *stack) dead(eventID string) harness.DeadLetter {
	s.t.Helper()
	l, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == eventID })
	require.NoError(s.t, err)
	return l
}

// letter waits until a letter has a status.
func (s *stack) letter(id, status string) harness.DeadLetter {
	s.t.Helper()
	l, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.ID == id && l.Status == status })
	require.NoError(s.t, err)
	return l
}

// refusedReplay requires that a replay is refused with a reason.
func (s *stack) refusedReplay(id, why string) {
	s.t.Helper()
	response, err := s.client.Replay(s.ctx, id, nil)
	require.NoError(s.t, err)
	var p harness.Problem
	require.NoError(s.t, response.Into(http.StatusConflict, &p))
	require.Equal(s.t, "resolution_refused", p.Code)
	require.Contains(s.t, p.Detail, why)
}

// TestADeadLetterIsFixedFromTheTerminal: list, show, repair, dry run, replay; then the order completes.
func TestADeadLetterIsFixedFromTheTerminal(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(10)
	id := "fix-" + uuid.NewString()[:8]
	// The quantity is missing.
	broken := fmt.Sprintf(`{"orderId":%q,"customerId":"c-1","currency":"EUR","lines":[{"sku":%q,"unitAmount":1000}],"payment":{"method":"tok_visa"}}`, id, sku)
	eventID, err := s.bus.Publish(s.ctx, "order.created", id, json.RawMessage(broken))
	require.NoError(t, err)
	letter := s.dead(eventID)
	require.Equal(t, "invalid", letter.Reason)
	require.Equal(t, id, letter.Subject)
	require.Eventually(t, func() bool { return s.service.Ready(s.ctx) == nil }, patience, tick, "the service is ready despite dead letters")

	out, err := s.cli("dead-letters", "list")
	require.NoError(t, err, out)
	require.Contains(t, out, letter.ID)
	require.Contains(t, out, "invalid")
	out, err = s.cli("dead-letters", "show", letter.ID)
	require.NoError(t, err, out)
	require.Contains(t, out, "/data/lines/0/quantity")
	require.Contains(t, out, "would be refused again because of invalid")
	require.Contains(t, out, "dead.received")
	t.Logf("show:\n%s", out)

	body := s.printed("dead-letters", "show", letter.ID, "--body")
	require.Equal(t, letter.Payload, body)
	file := filepath.Join(t.TempDir(), "event.json")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(body, `"unitAmount"`, `"quantity":2,"unitAmount"`, 1)), 0o600))
	out, err = s.cli("dead-letters", "replay", letter.ID, "--body", file, "--dry-run")
	require.NoError(t, err, out)
	require.Contains(t, out, "would start order "+id)
	_, err = s.client.Order(s.ctx, id)
	require.Error(t, err, "a dry run does nothing")

	out, err = s.cli("dead-letters", "replay", letter.ID, "--body", file, "--note", "the quantity was missing", "--json")
	require.NoError(t, err, out)
	require.Contains(t, out, `"replayed": 1`)
	s.ends(id, "completed", "")
	letter = s.letter(letter.ID, "replayed")
	require.Equal(t, []string{"dead.received", "dead.replay_requested", "dead.replayed"}, types(letter.History))
	var asked struct{ By, Note, PayloadHash, ReplacementHash string }
	require.NoError(t, json.Unmarshal(letter.History[1].Data, &asked))
	require.Equal(t, "grace", asked.By)
	require.Equal(t, "the quantity was missing", asked.Note)
	require.Equal(t, letter.PayloadHash, asked.PayloadHash)
	require.NotEmpty(t, asked.ReplacementHash)

	out, err = s.cli("dead-letters", "replay", letter.ID)
	require.Error(t, err)
	require.Contains(t, out, "it has already been replayed")
	out, err = s.cli("dead-letters", "list")
	require.NoError(t, err)
	require.NotContains(t, out, letter.ID, "handled letters are listed on request only")
	report := s.audit()
	require.Equal(t, int64(2), report.Committed[sku])
	require.Equal(t, eventID, report.Streams["order-"+id][0].CausationID, "an event without effect keeps its id")
	s.noPayloadInEvents("c-1", "dead-"+letter.ID)
}

// noPayloadInEvents expects that a letter's stream has nothing of its payload.
func (s *stack) noPayloadInEvents(secret, stream string) {
	s.t.Helper()
	var documents []bson.M
	cursor, err := s.db.Collection("events").Find(s.ctx, bson.D{{Key: "stream", Value: stream}})
	require.NoError(s.t, err)
	require.NoError(s.t, cursor.All(s.ctx, &documents))
	require.NotEmpty(s.t, documents)
	for _, d := range documents {
		raw, err := bson.MarshalExtJSON(d["data"], false, false)
		require.NoError(s.t, err)
		// Quoted: a random ID may contain these characters too.
		require.NotContains(s.t, string(raw), strconv.Quote(secret))
	}
}

// TestDeadLettersOfAllKinds: unreadable, contradictory and unknown messages, each with the result of a dry run; then a set of them is replayed.
func TestDeadLettersOfAllKinds(t *testing.T) {
	s := newStack(t)
	s.start("SIGNAL_PARK_MAX=1s")
	sku := s.sku(100)

	binary := []byte{0xff, 0x00, 0x01, 0xfe}
	garbage := uuid.NewString()
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{
		MessageId: garbage, Body: binary, DeliveryMode: amqp.Persistent, Headers: amqp.Table{"x-tenant": "blue", "n": int32(7)},
	}))
	l := s.dead(garbage)
	require.Equal(t, "malformed", l.Reason)
	require.Equal(t, "base64", l.PayloadEncoding)
	require.Equal(t, "/wAB/g==", l.Payload)
	require.Equal(t, "order.created", l.Type, "the routing key is the type")
	require.Equal(t, map[string]any{"x-tenant": "blue", "n": float64(7)}, l.Headers)

	o := harness.NewOrder(sku, 1, "tok_visa")
	o.ID = "kind-" + uuid.NewString()[:8]
	_, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	s.ends(o.ID, "completed", "")
	o.Lines[0].Quantity = 3
	other, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	l = s.dead(other)
	require.Equal(t, "conflict", l.Reason)
	run, err := s.client.DryRun(s.ctx, l.ID)
	require.NoError(t, err)
	require.Equal(t, "would be refused again because of conflict: order "+o.ID+" exists with different content", run.Would)
	response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/dead-letters/"+l.ID+"/discard", map[string]string{})
	require.NoError(t, err)
	require.NoError(t, response.Into(http.StatusUnprocessableEntity, nil), "a discard requires a note")
	out, err := s.cli("dead-letters", "discard", l.ID, "--note", "the shop sent it twice")
	require.NoError(t, err, out)
	s.refusedReplay(s.letter(l.ID, "discarded").ID, "it has been discarded")

	// Three parcels are dispatched before their orders are placed.
	early := make([]harness.DeadLetter, 3)
	ids := make([]string, 3)
	for i := range early {
		ids[i] = fmt.Sprintf("early-%d-%s", i, sku)
		eventID, err := s.bus.Publish(s.ctx, "shipment.dispatched", ids[i], map[string]any{"orderId": ids[i], "carrier": "dhl"})
		require.NoError(t, err)
		early[i] = s.dead(eventID)
		require.Equal(t, "order_unknown", early[i].Reason)
		run, err := s.client.DryRun(s.ctx, early[i].ID)
		require.NoError(t, err)
		require.Equal(t, "would wait for order "+ids[i]+", which does not exist yet", run.Would)
	}
	for _, id := range ids {
		o := harness.NewOrder(sku, 1, "tok_visa")
		o.ID, o.Fulfillment = id, "shipment"
		_, err := s.bus.Publish(s.ctx, "order.created", id, o)
		require.NoError(t, err)
		_, err = s.client.AwaitStatus(s.ctx, id, "awaiting_shipment")
		require.NoError(t, err)
	}
	out, err = s.cli("dead-letters", "replay", "--reason", "order_unknown", "--type", "shipment.dispatched", "--dry-run")
	require.NoError(t, err, out)
	for _, id := range ids {
		require.Contains(t, out, "would move order "+id+" from awaiting_shipment to shipped")
	}
	out, err = s.cli("dead-letters", "replay", "--reason", "order_unknown", "--type", "shipment.dispatched")
	require.NoError(t, err, out)
	require.Contains(t, out, "3 replayed, 0 refused, 0 failed")
	for i, id := range ids {
		_, err := s.client.AwaitStatus(s.ctx, id, "shipped")
		require.NoError(t, err)
		s.letter(early[i].ID, "replayed")
		_, err = s.bus.Publish(s.ctx, "shipment.delivered", id, map[string]any{"orderId": id})
		require.NoError(t, err)
		s.ends(id, "completed", "")
	}
	run, err = s.client.DryRun(s.ctx, early[0].ID)
	require.NoError(t, err)
	require.Equal(t, "nothing", run.Outcome, run.Would)
	require.NotNil(t, run.Refusal)
	page, err := s.client.DeadLetters(s.ctx, "?reason=malformed,conflict&limit=1")
	require.NoError(t, err)
	require.Len(t, page, 1)

	// Larger than a MongoDB document may be, and not larger than RabbitMQ from 4.0 allows by default: 16 MiB.
	large := uuid.NewString()
	huge := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{MessageId: large, Body: huge, DeliveryMode: amqp.Persistent}))
	l = s.dead(large)
	require.Equal(t, "too_large", l.Reason)
	require.Equal(t, "omitted", l.PayloadEncoding)
	out, err = s.cli("dead-letters", "show", l.ID, "--body")
	require.NoError(t, err)
	require.GreaterOrEqual(t, strings.Index(out, string(huge)), 0, "%d bytes instead of %d, without the log lines about slow commands", len(out), len(huge))
	s.audit()
}

// TestReplayLoopIsStopped: each failure is a new letter with the ID of the letter that was replayed, and the fourth replay requires force.
func TestReplayLoopIsStopped(t *testing.T) {
	s := newStack(t)
	s.start()
	id := uuid.NewString()
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{MessageId: id, Body: []byte("{")}))
	letter := s.dead(id)
	for round := 1; round <= 3; round++ {
		response, err := s.client.Replay(s.ctx, letter.ID, map[string]string{"note": "once more"})
		require.NoError(t, err)
		require.NoError(t, response.Into(http.StatusOK, nil))
		next, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.ReplayOf != nil && *l.ReplayOf == letter.ID })
		require.NoError(t, err)
		require.Equal(t, round, next.Replays)
		require.NotEqual(t, letter.ID, next.ID)
		require.Equal(t, "order.created", next.OriginRoutingKey)
		require.Equal(t, harness.Exchange, next.OriginExchange)
		letter = next
	}
	s.refusedReplay(letter.ID, "replayed 3 times")
	out, err := s.cli("dead-letters", "replay", "--all")
	require.Error(t, err)
	require.Contains(t, out, "0 replayed, 1 refused")
	out, err = s.cli("dead-letters", "replay", letter.ID, "--force")
	require.NoError(t, err, out)
	_, err = s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.Replays == 4 })
	require.NoError(t, err)
	s.audit()
}

// limited is a message that the broker dead-lettered because of its delivery limit.
func limited(t *testing.T, id, sku string, quantity int) amqp.Publishing {
	body, err := json.Marshal(harness.Event(id, "stock.received", sku, map[string]any{"sku": sku, "quantity": quantity}))
	require.NoError(t, err)
	return amqp.Publishing{
		ContentType: "application/cloudevents+json", MessageId: id, DeliveryMode: amqp.Persistent, Body: body,
		Headers: amqp.Table{"x-death": []any{amqp.Table{
			"reason": "delivery_limit", "queue": harness.Inbox, "exchange": harness.Exchange, "count": int64(1),
			"time": time.Now().UTC().Truncate(time.Second), "routing-keys": []any{"stock.received"},
		}}},
	}
}

// TestMessageOverTheDeliveryLimitIsTriedOnce: a valid message is handled; a message that ends the process is not handled a second time, and no
// request waits for it.
func TestMessageOverTheDeliveryLimitIsTriedOnce(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(1)
	healthy := uuid.NewString()
	require.NoError(t, s.bus.PublishRaw(s.ctx, "", harness.DeadQueue, limited(t, healthy, sku, 5)))
	l, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == healthy && l.Status == "retried" })
	require.NoError(t, err)
	require.Equal(t, "delivery_limit", l.Reason)
	require.Equal(t, []string{"dead.received", "dead.retry_begun", "dead.retried"}, types(l.History))
	stock, err := s.client.Stock(s.ctx, sku)
	require.NoError(t, err)
	require.Equal(t, int64(6), stock.OnHand)
	s.refusedReplay(l.ID, "already been handled")

	// The process ends while it handles the next message: its receipt never reaches the server.
	s.service.Kill()
	stall, err := harness.NewStall(mongoHost(t), "stock.added")
	require.NoError(t, err)
	t.Cleanup(stall.Close)
	s.start("MONGODB_URI=mongodb://" + stall.Addr() + "/?directConnection=true")
	poison := uuid.NewString()
	require.NoError(t, s.bus.PublishRaw(s.ctx, "", harness.DeadQueue, limited(t, poison, sku, 7)))
	select {
	case <-stall.Stalled():
	case <-s.ctx.Done():
		t.Fatal("it is never tried")
	}
	s.service.Kill()
	s.start()
	l, err = s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.EventID == poison && len(l.History) == 3 })
	require.NoError(t, err)
	require.Equal(t, "open", l.Status)
	require.Equal(t, []string{"dead.received", "dead.retry_begun", "dead.retry_failed"}, types(l.History))
	others := uuid.NewString()
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{MessageId: others, Body: []byte("no")}))
	s.dead(others)
	require.Equal(t, "completed", s.place(harness.NewOrder(sku, 1, "tok_visa")).Status)
	stock, err = s.client.Stock(s.ctx, sku)
	require.NoError(t, err)
	require.Equal(t, int64(5), stock.OnHand, "it was not tried again by itself")
	run, err := s.client.DryRun(s.ctx, l.ID)
	require.NoError(t, err)
	require.Equal(t, "would book 7 of "+sku, run.Would)
	out, err := s.cli("dead-letters", "replay", l.ID)
	require.NoError(t, err, out)
	require.Eventually(t, func() bool {
		stock, err := s.client.Stock(s.ctx, sku)
		return err == nil && stock.OnHand == 12
	}, patience, 50*time.Millisecond)
	s.audit()
}
