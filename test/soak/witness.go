package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// heard is an event that the witness has got.
type heard struct{ id, eventType string }

// witness is an independent consumer with a durable queue of its own. It reads through all outages, and acknowledges
// behind its work.
type witness struct {
	url, exchange, queue string
	// hear is told of each new event of an order, in stream order.
	hear func(orderID, eventType string)

	mu sync.Mutex
	// streams holds what came, by order, duplicates dropped: the place is the sequence, from 1.
	streams map[string][]heard
	// wrong are sentences about streams that did not come in order.
	wrong                          []string
	messages, duplicates, sessions int
	ended                          int
	last                           time.Time
}

// ends are the types that end an order.
var ends = map[string]bool{completed: true, rejected: true, cancelled: true, "order.failed": true}

// declare makes the witness's queue: before the first order is sent, and in each session.
func (w *witness) declare(channel *amqp.Channel) error {
	if err := channel.ExchangeDeclare(w.exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		return err
	}
	_, err := channel.QueueDeclare(w.queue, true, false, false, false, amqp.Table{
		amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(1_000_000),
	})
	if err != nil {
		return err
	}
	return channel.QueueBind(w.queue, "#", w.exchange, false, nil)
}

// listen reads until the context ends.
func (w *witness) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = w.session(ctx) // whatever it is, the next one goes on
		rest(ctx, reconnectPause)
	}
}

func (w *witness) session(ctx context.Context) error {
	conn, err := amqp.Dial(w.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }()
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := w.declare(channel); err != nil {
		return err
	}
	if err := channel.Qos(200, 0, false); err != nil {
		return err
	}
	deliveries, err := channel.ConsumeWithContext(ctx, w.queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.sessions++
	w.mu.Unlock()
	for d := range deliveries {
		w.take(d.Body)
		if err := d.Ack(false); err != nil {
			return err
		}
	}
	return nil
}

// take judges one message. Those of the neighbours have no sequence.
func (w *witness) take(body []byte) {
	var e struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Subject  string `json:"subject"`
		Sequence string `json:"sequence"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Sequence == "" {
		return
	}
	if w.note(e.Sequence, e.Subject, heard{e.ID, e.Type}) {
		w.hear(e.Subject, e.Type)
	}
}

// note reports whether the event is new.
func (w *witness) note(sequence, orderID string, h heard) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages++
	w.last = time.Now()
	stream := w.streams[orderID]
	n, err := strconv.Atoi(sequence)
	switch {
	case err != nil || n < 1 || n > len(stream)+1:
		w.wrong = append(w.wrong, fmt.Sprintf("order %s: %s has sequence %q behind %d events", orderID, h.eventType, sequence, len(stream)))
		return false
	case n <= len(stream):
		w.duplicates++
		if stream[n-1] != h {
			w.wrong = append(w.wrong, fmt.Sprintf("order %s: sequence %d is %v and %v", orderID, n, stream[n-1], h))
		}
		return false
	}
	w.streams[orderID] = append(stream, h)
	if ends[h.eventType] {
		w.ended++
	}
	return true
}

// sight is what the witness has seen so far.
type sight struct {
	orders, ended, messages, duplicates, sessions int
	last                                          time.Time
}

func (w *witness) sight() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sight{len(w.streams), w.ended, w.messages, w.duplicates, w.sessions, w.last}
}

// stream is what came of an order.
func (w *witness) stream(orderID string) []heard {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]heard(nil), w.streams[orderID]...)
}
