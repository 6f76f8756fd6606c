package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/ordersaga/ordersaga/test/harness"
	"github.com/ordersaga/ordersaga/test/tour"
)

// stayGrace is how long the service may drain when the demo is stopped.
const stayGrace = 40 * time.Second

// welcome runs the service on its default address, places one order, and runs until it is stopped.
func welcome(ctx context.Context, binary string, began int64) error {
	fmt.Println("starting ordersaga …")
	service, err := harness.Start(ctx, harness.Options{
		Binary: binary, Addr: environment("HTTP_ADDR", "127.0.0.1:8080"), Output: os.Stderr,
		Env: []string{"LOG_LEVEL=" + environment("LOG_LEVEL", "warn"), "LOG_FORMAT=text"},
	})
	if err != nil {
		return err
	}
	if err := greet(ctx, service.URL); err != nil {
		service.Kill()
		return err
	}
	if began > 0 {
		fmt.Printf("\nfrom `make run` to the first order: %s\n", time.Since(time.Unix(began, 0)).Round(time.Second))
	}
	select {
	case <-ctx.Done():
		fmt.Println("\nstopping: what was accepted is finished or goes on at the next start …")
		err := service.Stop(stayGrace)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("the service: %w", err)
		}
		return err
	case <-service.Done():
		return fmt.Errorf("the service ended:\n%s", service.Log())
	}
}

// greet loads stock once, places an order, and prints its timeline and the URLs.
func greet(ctx context.Context, url string) error {
	client := harness.Client{URL: url, Patient: true}
	for _, sku := range []string{"tea", "pot"} {
		response, err := client.Do(ctx, http.MethodPost, "/v1/stock/"+sku+"/receipts",
			map[string]int64{"quantity": 100}, "Idempotency-Key", "demo-stock-"+sku)
		if err != nil {
			return err
		}
		if response.Status/100 != 2 {
			return fmt.Errorf("load demo stock: %s", response.Body)
		}
	}
	placed, err := client.Place(ctx, harness.NewOrder("tea", 2, "tok_visa"), 20*time.Second)
	if err != nil {
		return fmt.Errorf("place the first order: %w", err)
	}
	items, err := client.Timeline(ctx, placed.ID)
	if err != nil {
		return err
	}
	fmt.Printf("\nyour first order is %s: %s\n\n", placed.Status, placed.ID)
	tour.PrintTimeline(os.Stdout, items)
	if err := examples(ctx, client); err != nil {
		return fmt.Errorf("place the examples: %w", err)
	}
	fmt.Printf(`
  console              %[1]s/console
    completed          %[1]s/console/sagas/order/%[2]s
    compensated        %[1]s/console/sagas/order/demo-declined
    needs attention    %[1]s/console/sagas/order/demo-lost
    dead letter        %[1]s/console/dead-letters (its error in the log is expected)
  API and docs         %[1]s/docs
  this order           %[1]s/v1/orders/%[2]s
  its saga             %[3]s
  Temporal Web UI      %[4]s
  RabbitMQ management  %[5]s
  event log            %[6]s, database %[7]s, collection events

place the next one:

  curl -s %[1]s/v1/orders -H 'Content-Type: application/json' -H 'Prefer: wait=10' -d '{
    "customerId": "c-1", "currency": "EUR",
    "lines": [{"sku": "tea", "quantity": 1, "unitAmount": 450}],
    "payment": {"method": "tok_declined"}}'

Ctrl-C stops everything; orders and stock are kept for the next start.
`, url, placed.ID, placed.Links["saga"], os.Getenv("TEMPORAL_UI_URL"), os.Getenv("RABBITMQ_MANAGEMENT_URL"),
		os.Getenv("MONGODB_URI"), environment("MONGODB_DATABASE", "ordersaga"))
	return nil
}

// examples places orders that do not go well, for the console: one is compensated, one needs attention because its parcel is lost, and one is a
// message without a quantity, which becomes a dead letter. They are placed once.
func examples(ctx context.Context, client harness.Client) error {
	before, err := client.Do(ctx, http.MethodGet, "/v1/orders/demo-declined", nil)
	if err != nil || before.Status == http.StatusOK {
		return err
	}
	bus, err := harness.Dial(os.Getenv("AMQP_URL"))
	if err != nil {
		return err
	}
	defer bus.Close()
	order := func(id, method string, line map[string]any) map[string]any {
		return map[string]any{
			"orderId": id, "customerId": "c-1", "currency": "EUR", "fulfillment": "shipment", "lines": []any{line}, "payment": map[string]string{"method": method},
		}
	}
	pot := map[string]any{"sku": "pot", "quantity": 1, "unitAmount": 2900}
	for _, e := range []struct {
		kind, id string
		data     any
	}{
		{"order.created", "demo-declined", order("demo-declined", "tok_declined", pot)},
		{"order.created", "demo-lost", order("demo-lost", "tok_visa", pot)},
		{"shipment.dispatched", "demo-lost", map[string]string{"orderId": "demo-lost", "carrier": "dhl"}},
		{"shipment.lost", "demo-lost", map[string]string{"orderId": "demo-lost", "carrier": "dhl"}},
		{"order.created", "demo-broken", order("demo-broken", "tok_visa", map[string]any{"sku": "pot", "unitAmount": 2900})},
	} {
		if _, err := bus.Publish(ctx, e.kind, e.id, e.data); err != nil {
			return err
		}
	}
	return nil
}
