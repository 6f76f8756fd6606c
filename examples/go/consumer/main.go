// Command consumer listens to what becomes of orders as a service of another team does: with a durable queue of its
// own, each event handled once and in the order of its stream. It prints a line for each; Ctrl-C ends it.
//
// It starts again where it stopped: the queue keeps what comes meanwhile.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const exchange = "domain_events"

// types are what this service wants to hear. A queue that is bound to everything pays for everything.
var types = []string{"order.accepted", "order.completed", "order.rejected", "order.cancelled", "order.failed"}

// event is a CloudEvent, as far as this service needs it.
type event struct {
	ID            string          `json:"id"`
	Type          string          `json:"type"`
	Subject       string          `json:"subject"`
	Sequence      string          `json:"sequence"`
	CorrelationID string          `json:"correlationid"`
	Data          json.RawMessage `json:"data"`
}

// service is this service. seen is the highest sequence of each subject: a real service keeps it in its database, in
// the transaction of what the event changes.
type service struct{ seen map[string]int64 }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	queue := "audit.orders"
	if len(os.Args) > 1 {
		queue = os.Args[1]
	}
	s := service{seen: map[string]int64{}}
	for ctx.Err() == nil {
		err := s.listen(ctx, os.Getenv("AMQP_URL"), queue)
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintln(os.Stderr, "consumer: connecting again:", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// listen handles events until the connection is lost or ctx ends.
func (s service) listen(ctx context.Context, url, queue string) error {
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := channel.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
		return err
	}
	// After 20 deliveries the broker drops a message, or sends it to an x-dead-letter-exchange where one is named.
	if _, err := channel.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": 20}); err != nil {
		return err
	}
	for _, eventType := range types {
		if err := channel.QueueBind(queue, eventType, exchange, false, nil); err != nil {
			return err
		}
	}
	// One consumer, one message at a time, keeps the order.
	if err := channel.Qos(1, 0, false); err != nil {
		return err
	}
	deliveries, err := channel.ConsumeWithContext(ctx, queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "consumer: listening")
	for d := range deliveries {
		// Acknowledge what is done. What failed comes again: reject, because a nack is not counted everywhere.
		if err := s.handle(d.Body); err != nil {
			fmt.Fprintln(os.Stderr, "consumer:", err)
			err = d.Reject(true)
			if err != nil {
				return err
			}
		} else if err := d.Ack(false); err != nil {
			return err
		}
	}
	return errors.New("the connection was lost")
}

// handle does the work of an event that has not been handled before.
func (s service) handle(body []byte) error {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	sequence, err := strconv.ParseInt(e.Sequence, 10, 64)
	if err != nil {
		return fmt.Errorf("event %s has no sequence: %w", e.ID, err)
	}
	if sequence <= s.seen[e.Subject] {
		fmt.Println("duplicate", e.Type, e.Subject, e.Sequence)
		return nil
	}
	fmt.Println("handled", e.Type, e.Subject, e.Sequence, e.CorrelationID)
	s.seen[e.Subject] = sequence
	return nil
}
