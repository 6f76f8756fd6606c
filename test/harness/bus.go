package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Names of the topology, as documented.
const (
	Exchange  = "domain_events"
	Inbox     = "ordersaga.inbox"
	DeadQueue = "ordersaga.dead"
)

// Bus is a connection to the broker, like that of another service.
type Bus struct {
	conn *amqp.Connection
	mu   sync.Mutex
	pub  *amqp.Channel
}

// heartbeat is longer than the default of the client: a temporary queue loses events when its connection is closed after a pause of the machine.
const heartbeat = time.Minute

// Dial connects to the broker.
func Dial(url string) (*Bus, error) {
	conn, err := amqp.DialConfig(url, amqp.Config{Heartbeat: heartbeat, Locale: "en_US"})
	if err != nil {
		return nil, fmt.Errorf("dial broker: %w", err)
	}
	channel, err := conn.Channel()
	if err == nil {
		err = channel.Confirm(false)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("open channel: %w", err)
	}
	return &Bus{conn: conn, pub: channel}, nil
}

// Close closes the connection.
func (b *Bus) Close() { _ = b.conn.Close() }

// Event is an event as publishers send it: CloudEvents 1.0, structured.
func Event(id, eventType, subject string, data any) map[string]any {
	return map[string]any{
		"specversion": "1.0", "id": id, "type": eventType, "source": "/shop", "subject": subject,
		"time": time.Now().UTC().Format(time.RFC3339Nano), "datacontenttype": "application/json", "data": data,
	}
}

// Publish publishes an event with a new id by its type, and returns the id.
func (b *Bus) Publish(ctx context.Context, eventType, subject string, data any) (string, error) {
	id := uuid.NewString()
	return id, b.PublishJSON(ctx, Exchange, eventType, "application/cloudevents+json", Event(id, eventType, subject, data))
}

// PublishJSON publishes any body as JSON and waits for the broker's confirm.
func (b *Bus) PublishJSON(ctx context.Context, exchange, key, contentType string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return b.PublishRaw(ctx, exchange, key, amqp.Publishing{ContentType: contentType, DeliveryMode: amqp.Persistent, Body: raw})
}

// PublishRaw publishes a message unchanged and waits for the broker's confirm.
func (b *Bus) PublishRaw(ctx context.Context, exchange, key string, message amqp.Publishing) error {
	b.mu.Lock()
	confirm, err := b.pub.PublishWithDeferredConfirmWithContext(ctx, exchange, key, false, false, message)
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("publish %s: %w", key, err)
	}
	confirmed, err := confirm.WaitContext(ctx)
	if err != nil {
		return fmt.Errorf("publish %s: %w", key, err)
	}
	if !confirmed {
		return fmt.Errorf("publish %s: the broker refused", key)
	}
	return nil
}

// Message is a message that a tap or a queue received.
type Message struct {
	amqp.Delivery
	// ID, Type, Subject and Sequence are of the CloudEvent in the body.
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Subject  string          `json:"subject"`
	Sequence string          `json:"sequence"`
	Data     json.RawMessage `json:"data"`
}

// Tap collects everything that is published to domain_events, by subject, in the order of its arrival.
type Tap struct {
	mu     sync.Mutex
	bySubj map[string][]Message
	change chan struct{}
	done   chan struct{}
}

// Tap binds a queue of its own to the exchange, with the given keys; "#" is everything.
func (b *Bus) Tap(keys ...string) (*Tap, error) { return b.tap("", keys) }

// Keep binds a durable queue to the exchange, which keeps every message across a restart of the broker. Drain collects them.
func (b *Bus) Keep(queue string, keys ...string) error {
	channel, err := b.conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	defer channel.Close()
	_, err = declare(channel, queue, keys)
	return err
}

// Drain collects the present and future messages of a queue of Keep.
func (b *Bus) Drain(queue string) (*Tap, error) { return b.tap(queue, nil) }

// declare declares a queue, a temporary one when it has no name, and binds it.
func declare(channel *amqp.Channel, queue string, keys []string) (string, error) {
	if err := channel.ExchangeDeclare(Exchange, "topic", true, false, false, false, nil); err != nil {
		return "", fmt.Errorf("declare exchange: %w", err)
	}
	durable := queue != ""
	q, err := channel.QueueDeclare(queue, durable, !durable, !durable, false, nil)
	if err != nil {
		return "", fmt.Errorf("declare queue: %w", err)
	}
	for _, key := range keys {
		if err := channel.QueueBind(q.Name, key, Exchange, false, nil); err != nil {
			return "", fmt.Errorf("bind %s: %w", key, err)
		}
	}
	return q.Name, nil
}

func (b *Bus) tap(queue string, keys []string) (*Tap, error) {
	channel, err := b.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	name, err := declare(channel, queue, keys)
	if err != nil {
		return nil, err
	}
	deliveries, err := channel.Consume(name, "", true, queue == "", false, false, nil)
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}
	t := &Tap{bySubj: map[string][]Message{}, change: make(chan struct{}), done: make(chan struct{})}
	go t.collect(deliveries)
	return t, nil
}

func (t *Tap) collect(deliveries <-chan amqp.Delivery) {
	defer close(t.done)
	for d := range deliveries {
		m := Message{Delivery: d}
		if err := json.Unmarshal(d.Body, &m); err != nil {
			m.Type = "unreadable: " + err.Error()
		}
		t.mu.Lock()
		t.bySubj[m.Subject] = append(t.bySubj[m.Subject], m)
		close(t.change)
		t.change = make(chan struct{})
		t.mu.Unlock()
	}
}

// Of returns the messages about a subject without duplicates of a sequence.
func (t *Tap) Of(subject string) []Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return unique(t.bySubj[subject])
}

// Count is how many messages were published about a subject, duplicates included.
func (t *Tap) Count(subject string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.bySubj[subject])
}

// unique drops messages whose sequence has been seen.
func unique(messages []Message) []Message {
	seen := map[string]bool{}
	var kept []Message
	for _, m := range messages {
		if !seen[m.Sequence] {
			seen[m.Sequence] = true
			kept = append(kept, m)
		}
	}
	return kept
}

// Outbound are the messages of the service: those of other publishers have no sequence.
func Outbound(messages []Message) []Message {
	return slices.DeleteFunc(slices.Clone(messages), func(m Message) bool { return m.Sequence == "" })
}

// Await waits until enough messages about a subject have arrived.
func (t *Tap) Await(ctx context.Context, subject string, enough func([]Message) bool) ([]Message, error) {
	for {
		t.mu.Lock()
		messages, change := unique(t.bySubj[subject]), t.change
		t.mu.Unlock()
		if enough(messages) {
			return messages, nil
		}
		select {
		case <-change:
		case <-t.done:
			return messages, fmt.Errorf("the tap closed")
		case <-ctx.Done():
			return messages, fmt.Errorf("%d messages about %s: %w", len(messages), subject, ctx.Err())
		}
	}
}

// Get takes one message from a queue and acknowledges it; ok is false when there is none.
func (b *Bus) Get(queue string) (Message, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok, err := b.pub.Get(queue, true)
	m := Message{Delivery: d}
	if ok {
		_ = json.Unmarshal(d.Body, &m)
	}
	return m, ok, err
}

// Purge drops the messages of a queue; a queue that does not exist is empty.
func (b *Bus) Purge(queue string) {
	channel, err := b.conn.Channel()
	if err != nil {
		return
	}
	defer channel.Close()
	_, _ = channel.QueuePurge(queue, false)
}

// Depth is how many messages a queue has, without the unacknowledged ones.
func (b *Bus) Depth(queue string) (int, error) {
	channel, err := b.conn.Channel()
	if err != nil {
		return 0, err
	}
	defer channel.Close()
	q, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	return q.Messages, err
}

// Subjects are the subjects of the messages of one of the types.
func (t *Tap) Subjects(types ...string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var subjects []string
	for subject, messages := range t.bySubj {
		if slices.ContainsFunc(messages, func(m Message) bool { return slices.Contains(types, m.Type) }) {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// Changed returns a channel that is closed when the next message arrives.
func (t *Tap) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.change
}
