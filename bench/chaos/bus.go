package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/test/harness"
)

const (
	// confirmTimeout bounds the wait for a confirm; after it the outcome is unknown, and the same message is published again.
	confirmTimeout = 10 * time.Second
	// redialPause is between two attempts to connect.
	redialPause = 300 * time.Millisecond
	// prefetch is how many messages a queue of the shop delivers ahead.
	prefetch = 64
)

// publisher publishes events as another service does: again, with the same ID, until the broker has confirmed them.
type publisher struct {
	url string
	// retries counts publishes whose outcome was unknown.
	retries counter

	mu  sync.Mutex
	bus *harness.Bus
}

func (p *publisher) connection() (*harness.Bus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bus == nil {
		bus, err := harness.Dial(p.url)
		if err != nil {
			return nil, err
		}
		p.bus = bus
	}
	return p.bus, nil
}

// drop closes a connection that failed; the next publish dials a new one.
func (p *publisher) drop(bus *harness.Bus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bus == bus && bus != nil {
		p.bus = nil
		go bus.Close() // it waits for an answer of the broker
	}
}

func (p *publisher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bus != nil {
		p.bus.Close()
		p.bus = nil
	}
}

// publish returns when the broker has confirmed the event, or the context has ended.
func (p *publisher) publish(ctx context.Context, id, eventType, subject string, data any) error {
	event := harness.Event(id, eventType, subject, data)
	for {
		bus, err := p.connection()
		if err == nil {
			attempt, cancel := context.WithTimeout(ctx, confirmTimeout)
			err = bus.PublishJSON(attempt, harness.Exchange, eventType, "application/cloudevents+json", event)
			cancel()
		}
		if err == nil {
			return nil
		}
		p.drop(bus)
		p.retries.add(1)
		if sleep(ctx, redialPause) != nil {
			return fmt.Errorf("publish %s of %s: %w", eventType, subject, err)
		}
	}
}

// message is an event as a subscriber reads it.
type message struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Subject string `json:"subject"`
	// Sequence is the version in the stream of the subject; events of clients have none.
	Sequence string `json:"sequence"`
}

// declare declares a durable queue that keeps what the exchange gets.
func declare(url, queue string, keys ...string) error {
	bus, err := harness.Dial(url)
	if err != nil {
		return err
	}
	defer bus.Close()
	return bus.Keep(queue, keys...)
}

// consume handles the messages of a queue until the context ends, and connects again after each failure. A message is acknowledged
// when handle returns nil; otherwise it comes again. Handle is called in the order of arrival and returns at once; the function that it returns
// is called in a goroutine of its own.
func consume(ctx context.Context, url, queue string, handle func(message) func(context.Context) error) {
	for ctx.Err() == nil {
		_ = session(ctx, url, queue, handle)
		_ = sleep(ctx, redialPause)
	}
}

var errSessionEnded = errors.New("the connection to the broker has ended")

func session(ctx context.Context, url, queue string, handle func(message) func(context.Context) error) error {
	conn, err := amqp.DialConfig(url, amqp.Config{Heartbeat: 10 * time.Second, Locale: "en_US"})
	if err != nil {
		return err
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := channel.Qos(prefetch, 0, false); err != nil {
		return err
	}
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	var handlers sync.WaitGroup
	defer handlers.Wait()
	for {
		select {
		case d, ok := <-deliveries:
			if !ok {
				return errSessionEnded
			}
			var m message
			if err := json.Unmarshal(d.Body, &m); err != nil {
				m.Type = "unreadable"
			}
			work := handle(m)
			if work == nil {
				_ = d.Ack(false)
				continue
			}
			handlers.Go(func() {
				if work(ctx) == nil {
					_ = d.Ack(false)
				}
			})
		case <-ctx.Done():
			return nil
		}
	}
}

// recorder keeps what the bus got, by subject, in the order of arrival.
type recorder struct {
	mu       sync.Mutex
	subjects map[string][]message
	seen     map[string]bool
	ended    map[string]string
	waiting  map[string][]chan struct{}
	repeats  int
}

func newRecorder() *recorder {
	return &recorder{subjects: map[string][]message{}, seen: map[string]bool{}, ended: map[string]string{}, waiting: map[string][]chan struct{}{}}
}

// record is a handler of consume. It drops duplicates by subject and sequence, as subscribers do.
func (r *recorder) record(m message) func(context.Context) error {
	if m.Sequence == "" {
		return nil // published by a client
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := m.Subject + "\x00" + m.Sequence
	if r.seen[key] {
		r.repeats++
		return nil
	}
	r.seen[key] = true
	r.subjects[m.Subject] = append(r.subjects[m.Subject], m)
	switch m.Type {
	case completed, rejected, cancelled, failed:
		r.ended[m.Subject] = m.Type
		for _, c := range r.waiting[m.Subject] {
			close(c)
		}
		delete(r.waiting, m.Subject)
	}
	return nil
}

// end returns how an order ended, "" while it is open.
func (r *recorder) end(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended[id]
}

// await waits until an order has ended, or until the timeout.
func (r *recorder) await(ctx context.Context, id string, atMost time.Duration) {
	r.mu.Lock()
	if r.ended[id] != "" {
		r.mu.Unlock()
		return
	}
	ended := make(chan struct{})
	r.waiting[id] = append(r.waiting[id], ended)
	r.mu.Unlock()
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// counts returns how many orders have ended, and how many messages were recorded and repeated.
func (r *recorder) counts() (ended, recorded, repeated int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ended), len(r.seen), r.repeats
}

// all returns a copy of what was recorded.
func (r *recorder) all() map[string][]message {
	r.mu.Lock()
	defer r.mu.Unlock()
	subjects := make(map[string][]message, len(r.subjects))
	for subject, messages := range r.subjects {
		subjects[subject] = append([]message(nil), messages...)
	}
	return subjects
}

// sleep waits, or returns the context's error when it ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
