package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/test/harness"
)

// listened are the events that the shop wants: ends, and what the warehouse must know.
var listened = []string{Completed, Rejected, Cancelled, Failed, confirmed, shipped}

const (
	confirmed = "order.confirmed"
	shipped   = "order.shipped"
)

// errBusLost ends every wait.
var errBusLost = errors.New("the connection to the broker is lost")

// bus is the shop's connection to the broker: one channel to publish on, one to listen on.
type bus struct {
	conn     *amqp.Connection
	exchange string
	news     *news
	done     chan struct{}

	mu  sync.Mutex
	pub *amqp.Channel
}

// dial connects and begins to listen.
func dial(url, exchange string) (*bus, error) {
	conn, err := amqp.DialConfig(url, amqp.Config{Properties: amqp.Table{"connection_name": "bench shop"}})
	if err != nil {
		return nil, fmt.Errorf("dial broker: %w", err)
	}
	b := &bus{conn: conn, exchange: exchange, news: newNews(), done: make(chan struct{})}
	if err := b.open(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listen on the bus: %w", err)
	}
	return b, nil
}

func (b *bus) open() (err error) {
	if b.pub, err = b.conn.Channel(); err != nil {
		return err
	}
	if err = b.pub.Confirm(false); err != nil {
		return err
	}
	if err = b.pub.ExchangeDeclare(b.exchange, "topic", true, false, false, false, nil); err != nil {
		return err
	}
	ears, err := b.conn.Channel()
	if err != nil {
		return err
	}
	queue, err := ears.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		return err
	}
	for _, key := range listened {
		if err := ears.QueueBind(queue.Name, key, b.exchange, false, nil); err != nil {
			return err
		}
	}
	deliveries, err := ears.Consume(queue.Name, "", true, true, false, false, nil)
	if err != nil {
		return err
	}
	go b.listen(deliveries)
	return nil
}

func (b *bus) listen(deliveries <-chan amqp.Delivery) {
	defer close(b.done)
	for d := range deliveries {
		var e struct {
			ID      string `json:"id"`
			Type    string `json:"type"`
			Subject string `json:"subject"`
		}
		if err := json.Unmarshal(d.Body, &e); err == nil {
			b.news.tell(e.Subject, e.Type, e.ID)
		}
	}
	b.news.end(errBusLost)
}

// publish publishes an event as another service does, and waits for the broker's confirm.
func (b *bus) publish(ctx context.Context, eventType, subject string, data any) error {
	raw, err := json.Marshal(harness.Event(uuid.NewString(), eventType, subject, data))
	if err != nil {
		return err
	}
	b.mu.Lock()
	confirm, err := b.pub.PublishWithDeferredConfirmWithContext(ctx, b.exchange, eventType, false, false, amqp.Publishing{
		ContentType: "application/cloudevents+json", DeliveryMode: amqp.Persistent, Body: raw,
	})
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("publish %s: %w", eventType, err)
	}
	switch ok, err := confirm.WaitContext(ctx); {
	case err != nil:
		return fmt.Errorf("publish %s: %w", eventType, err)
	case !ok:
		return fmt.Errorf("publish %s: the broker refused", eventType)
	}
	return nil
}

func (b *bus) close() {
	_ = b.conn.Close()
	<-b.done
}
