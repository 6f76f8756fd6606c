package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

// marshal returns JSON as it is written on a command line.
func marshal(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

// ordered returns an order with a new ID, as another service would send it.
func ordered(prefix, sku, method string) harness.Order {
	o := harness.NewOrder(sku, 1, method)
	o.ID = prefix + "-" + sku
	return o
}

// republish sends a message that was on the bus once more, as any publisher may.
func (s *stack) republish(m harness.Message) {
	s.t.Helper()
	require.NoError(s.t, s.bus.PublishRaw(s.ctx, harness.Exchange, m.RoutingKey, amqp.Publishing{
		ContentType: m.ContentType, MessageId: m.MessageId, Type: m.Delivery.Type, CorrelationId: m.CorrelationId, AppId: m.AppId, Body: m.Body,
	}))
}

// awaitMessage waits for a message of a type about a subject.
func (s *stack) awaitMessage(subject, eventType string) harness.Message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	var found harness.Message
	_, err := s.tap.Await(ctx, subject, func(messages []harness.Message) bool {
		for _, m := range messages {
			if m.RoutingKey == eventType {
				found = m
				return true
			}
		}
		return false
	})
	require.NoError(s.t, err)
	return found
}

// deletes deletes a queue of an example, when the test ends.
func (s *stack) deletes(queue string) {
	s.t.Helper()
	s.t.Cleanup(func() {
		conn, err := amqp.Dial(amqpURL())
		require.NoError(s.t, err)
		defer conn.Close()
		channel, err := conn.Channel()
		require.NoError(s.t, err)
		_, err = channel.QueueDelete(queue, false, false, false)
		require.NoError(s.t, err)
	})
}

// TestGoExamples runs examples/go: the publisher sends an order; the consumer drops a duplicate and does not miss events that are published
// while it is down.
func TestGoExamples(t *testing.T) {
	s := newStack(t)
	s.start()
	publisher, consumer := goBuild(t, "../../examples/go/publisher"), goBuild(t, "../../examples/go/consumer")
	queue := testenv.Unique("audit")
	s.deletes(queue)
	listener := startProgram(t, nil, consumer, queue)
	listener.await("consumer: listening")

	sku := s.sku(10)
	place := func(o harness.Order) {
		out, err := exec.CommandContext(s.ctx, publisher, "order.created", o.ID, marshal(t, o)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, s.awaitMessage(o.ID, "order.created").ID, strings.TrimSpace(string(out)), "it prints the event's id")
	}
	first := ordered("go", sku, "tok_visa")
	place(first)
	correlation := listener.await(`^handled order\.accepted ` + first.ID + ` 1 (.+)$`)
	require.Equal(t, correlation, listener.await(`^handled order\.completed `+first.ID+` 7 (.+)$`), "one correlation from end to end")
	s.settled(first.ID) // from here on only this test publishes about it
	s.republish(s.awaitMessage(first.ID, "order.completed"))
	listener.await(`^duplicate order\.completed ` + first.ID + ` 7$`)
	// It receives one message at a time: with the first message of another order, all messages of this order are acknowledged.
	other := ordered("go-other", sku, "tok_visa")
	place(other)
	listener.await(`^handled order\.accepted ` + other.ID)

	require.Equal(t, 0, listener.stop())
	second := ordered("go-again", sku, "tok_declined")
	place(second)
	s.ends(second.ID, "rejected", "payment_declined")
	s.ends(other.ID, "completed", "")
	listener = startProgram(t, nil, consumer, queue)
	listener.await(`^handled order\.accepted ` + second.ID)
	listener.await(`^handled order\.rejected ` + second.ID)
	require.NotContains(t, strings.Join(listener.all(), "\n"), first.ID, "what was acknowledged does not come again")
	s.audit()
}

// TestShellExample runs examples/shell with sh.
func TestShellExample(t *testing.T) {
	s := newStack(t)
	s.start()
	publish := func(args ...string) string {
		out, err := exec.CommandContext(s.ctx, "sh", append([]string{"../../examples/shell/publish.sh"}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	sku := s.sku(5)
	publish("stock.received", sku, `{"sku": "`+sku+`", "quantity": 2, "note": "a \"quoted\" \\ note"}`, "receipt-"+sku)
	require.Equal(t, "receipt-"+sku, publish("stock.received", sku, `{"sku": "`+sku+`", "quantity": 2}`, "receipt-"+sku))
	o := ordered("shell", sku, "tok_visa")
	id := publish("order.created", o.ID, marshal(t, o))
	require.Equal(t, id, s.awaitMessage(o.ID, "order.created").ID)
	end, err := s.client.AwaitEnd(s.ctx, o.ID)
	require.NoError(t, err)
	require.Equal(t, "completed", end.Status)
	// The receipts are handled concurrently with the order, and may come after it.
	require.Eventually(t, func() bool { return s.depth(harness.Inbox) == 0 && s.audit().OnHand[sku] == 6 }, patience, tick, "5, and 2 once, less 1")
	stock, err := s.client.Stock(s.ctx, sku)
	require.NoError(t, err)
	require.EqualValues(t, 6, stock.OnHand, "the API agrees with the documents")
}

// virtualHost creates a virtual host for this test, and returns its URL and name.
func virtualHost(t *testing.T) (url, name string) {
	t.Helper()
	url, name = testenv.AMQP(t), testenv.Unique("vhost")
	call := func(method, path, body string) {
		request, err := http.NewRequestWithContext(context.Background(), method, os.Getenv("RABBITMQ_MANAGEMENT_URL")+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Close = true // no connection is kept
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Less(t, response.StatusCode, 300, "%s %s", method, path)
	}
	call(http.MethodPut, "/api/vhosts/"+name, "")
	t.Cleanup(func() { call(http.MethodDelete, "/api/vhosts/"+name, "") })
	call(http.MethodPut, "/api/permissions/"+name+"/guest", `{"configure": ".*", "write": ".*", "read": ".*"}`)
	return strings.TrimSuffix(url, "/") + "/" + name, name
}

// TestPublishWithoutSubscriber: every publisher reports that no queue is bound for the event.
func TestPublishWithoutSubscriber(t *testing.T) {
	url, name := virtualHost(t)
	bus, err := harness.Dial(url)
	require.NoError(t, err)
	defer bus.Close()
	_, err = bus.Tap("only.this") // declares the exchange
	require.NoError(t, err)
	const data = `{"sku": "tea", "quantity": 1}`
	for what, args := range map[string][]string{
		"shell":   {"sh", "../../examples/shell/publish.sh", "stock.received", "tea", data},
		"go":      {goBuild(t, "../../examples/go/publisher"), "stock.received", "tea", data},
		"publish": {binary, "publish", "stock.received", "--data", data},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(environ(), "AMQP_URL="+url, "RABBITMQ_VHOST="+name)
		out, err := cmd.CombinedOutput()
		require.Error(t, err, what)
		require.Regexp(t, "nothing listens to (this type|stock.received)|no queue is bound to .* stock.received", string(out), what)
	}
}

// TestPublishAndTail uses the commands publish and tail across a restart of the broker.
func TestPublishAndTail(t *testing.T) {
	s := newStack(t)
	s.start()
	env := append(environ(), "MONGODB_DATABASE="+s.database)
	sku := s.sku(100)
	o := ordered("cli", sku, "tok_visa")
	o.Fulfillment = "shipment"

	all := startProgram(t, nil, binary, "tail", "--json")
	all.await("^listening to domain_events")
	columns := startProgram(t, nil, binary, "tail", "--type", "order.created", "--type", "order.accepted")
	columns.await("^listening")
	publish := func(args ...string) string {
		cmd := exec.CommandContext(s.ctx, binary, append([]string{"publish", "--timeout", "2m"}, args...)...)
		var said bytes.Buffer
		// Standard error has the progress of commands that take longer than a second.
		cmd.Env, cmd.Stderr = env, &said
		out, err := cmd.Output()
		require.NoError(t, err, "%s%s", out, &said)
		return string(out)
	}
	var sent struct{ ID, Type, Subject, CorrelationID string }
	out := publish("order.created", "--correlation-id", "checkout-42", "--repeat", "3", "--json", "--data", marshal(t, o))
	require.NoError(t, json.Unmarshal([]byte(out), &sent))
	require.Equal(t, []string{"order.created", o.ID, "checkout-42"}, []string{sent.Type, sent.Subject, sent.CorrelationID})
	_, err := s.client.AwaitStatus(s.ctx, o.ID, "awaiting_shipment")
	require.NoError(t, err)
	all.await(`"type":"order\.created","subject":"` + o.ID + `","id":"` + sent.ID + `"`)
	all.await(`"type":"order\.confirmed","subject":"` + o.ID + `","sequence":"4".*"correlationId":"checkout-42"`)
	columns.await(`^TIME +TYPE +SUBJECT +# +DATA$`)
	columns.await(`order\.created +` + o.ID + ` +c-1, EUR, shipment, 1 × ` + sku)
	columns.await(`order\.accepted +` + o.ID + ` +1  c-1`)

	about := startProgram(t, []string{"MONGODB_DATABASE=" + s.database}, binary, "tail", "--order", o.ID, "--from-start")
	about.await(`order\.confirmed +` + o.ID + ` +4 `)
	s.devstack("stop", "rabbitmq")
	about.await("^no connection, trying again: ")
	// Events that are published meanwhile are read from the log.
	cancelled, err := s.client.Cancel(s.ctx, o.ID, "ordered twice")
	require.NoError(t, err)
	require.Less(t, cancelled.Status, 300)
	_, err = s.client.AwaitStatus(s.ctx, o.ID, "cancelled")
	require.NoError(t, err)
	s.devstack("start", "rabbitmq")
	s.bus.Close() // the broker has closed this connection
	s.bus, err = harness.Dial(amqpURL())
	require.NoError(t, err)
	t.Cleanup(s.bus.Close)
	about.await("^connected again$")
	about.await(`order\.cancelled +` + o.ID)
	all.await("^connected again; events published in the meantime are not shown$")
	require.Contains(t, publish("shipment.lost", "--data", `{"orderId":"`+o.ID+`"}`), "shipment.lost")
	about.await(`shipment\.lost +` + o.ID)

	for _, p := range []*program{all, columns, about} {
		require.Equal(t, 0, p.stop())
	}
	timeline, err := s.client.Timeline(s.ctx, o.ID)
	require.NoError(t, err)
	shown := strings.Join(about.all(), "\n")
	for _, item := range timeline {
		require.Equal(t, 1, strings.Count(shown, " "+item.Type+" "), "%s is shown once", item.Type)
	}

	list := filepath.Join(t.TempDir(), "receipts.ndjson")
	require.NoError(t, os.WriteFile(list, []byte(strings.Repeat(`{"sku":"`+sku+`","quantity":1}`+"\n", 50)), 0o600))
	require.Regexp(t, `^50 events published to domain_events in `, publish("stock.received", "--file", list))
	require.Eventually(t, func() bool {
		stock, err := s.client.Stock(s.ctx, sku)
		return err == nil && stock.OnHand == 150
	}, patience, 20*time.Millisecond)
}
