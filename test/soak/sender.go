package soak

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/test/harness"
)

const (
	// confirmPatience is how long a neighbour waits for a confirm before it publishes again.
	confirmPatience = 10 * time.Second
	// reconnectPause is the pause between two attempts of a neighbour to reach the broker.
	reconnectPause = 250 * time.Millisecond
)

var errNotConfirmed = errors.New("not confirmed")

// sender publishes as a neighbour must: what is not confirmed is published again, under the same id.
type sender struct {
	url, exchange string

	mu      sync.Mutex
	conn    *amqp.Connection
	channel *amqp.Channel

	published, again atomic.Int64
}

// send returns when the broker has the event, or when the context ends.
func (s *sender) send(ctx context.Context, id, eventType, subject string, data any) error {
	body, err := json.Marshal(harness.Event(id, eventType, subject, data))
	if err != nil {
		return err
	}
	message := amqp.Publishing{ContentType: "application/cloudevents+json", DeliveryMode: amqp.Persistent, MessageId: id, Body: body}
	for {
		err := s.try(ctx, eventType, message)
		if err == nil {
			s.published.Add(1)
			return nil
		}
		s.again.Add(1)
		if !rest(ctx, reconnectPause) {
			return errors.Join(err, ctx.Err())
		}
	}
}

// try publishes once.
func (s *sender) try(ctx context.Context, key string, message amqp.Publishing) error {
	ctx, cancel := context.WithTimeout(ctx, confirmPatience)
	defer cancel()
	channel, err := s.open()
	if err != nil {
		return err
	}
	s.mu.Lock()
	confirm, err := channel.PublishWithDeferredConfirm(s.exchange, key, false, false, message)
	s.mu.Unlock()
	if err == nil {
		var confirmed bool
		if confirmed, err = confirm.WaitContext(ctx); err == nil && !confirmed {
			err = errNotConfirmed
		}
	}
	if err != nil {
		s.drop(channel)
	}
	return err
}

// open returns the channel, of a new connection if need be.
func (s *sender) open() (*amqp.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channel != nil && !s.channel.IsClosed() {
		return s.channel, nil
	}
	conn, err := amqp.Dial(s.url)
	if err != nil {
		return nil, err
	}
	channel, err := conn.Channel()
	if err == nil {
		err = channel.ExchangeDeclare(s.exchange, amqp.ExchangeTopic, true, false, false, false, nil)
	}
	if err == nil {
		err = channel.Confirm(false)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	s.conn, s.channel = conn, channel
	return channel, nil
}

// drop gives a channel up that did not work, unless somebody else has done so.
func (s *sender) drop(channel *amqp.Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channel == channel {
		_ = s.conn.CloseDeadline(time.Now().Add(time.Second))
		s.conn, s.channel = nil, nil
	}
}

func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// rest waits; it reports false when the context ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
