// Command publisher publishes one event as a service of another team does: persistent, mandatory, confirmed, and again
// under the same id until it is known to have arrived.
//
//	publisher order.created shop-1001 '{"orderId": "shop-1001", …}'
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
)

const exchange = "domain_events"

var errNoSubscriber = errors.New("nothing listens to this type")

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: publisher TYPE SUBJECT DATA")
		os.Exit(2)
	}
	if err := run(os.Getenv("AMQP_URL"), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "publisher:", err)
		os.Exit(1)
	}
}

func run(url, eventType, subject, data string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// The id is made once. However often the event is sent, it is the same event.
	id := uuid.NewString()
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": "/shop", "type": eventType, "subject": subject,
		"time": time.Now().UTC().Format(time.RFC3339Nano), "correlationid": uuid.NewString(),
		"datacontenttype": "application/json", "data": json.RawMessage(data),
	})
	if err != nil {
		return fmt.Errorf("the data is not JSON: %w", err)
	}
	message := amqp.Publishing{
		ContentType: "application/cloudevents+json", MessageId: id, Type: eventType, AppId: "shop",
		DeliveryMode: amqp.Persistent, Body: body,
	}
	for {
		err := publish(ctx, url, eventType, message)
		if err == nil {
			fmt.Println(id)
			return nil
		}
		if errors.Is(err, errNoSubscriber) || ctx.Err() != nil {
			return err
		}
		// Refused, not answered, or the connection was lost: it may have arrived. Send it again; duplicates do nothing.
		fmt.Fprintln(os.Stderr, "publisher: trying again:", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// publish returns when the message is in a queue. A service that publishes often keeps its connection.
func publish(ctx context.Context, url, key string, message amqp.Publishing) error {
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirm, err := channel.PublishWithDeferredConfirmWithContext(ctx, exchange, key, true, false, message)
	if err != nil {
		return err
	}
	switch acked, err := confirm.WaitContext(ctx); {
	case err != nil:
		return err
	case !acked:
		return errors.New("the broker refused the message")
	}
	// What no queue takes comes back, and is confirmed after that.
	select {
	case <-returned:
		return errNoSubscriber
	default:
		return nil
	}
}
