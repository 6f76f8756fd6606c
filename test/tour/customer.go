package tour

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// secrets are the personal data of the customer ada.
var secrets = []string{"ada@example.com", "Lovelace"}

// onboard registers a customer, changes her address, and places an order for her. It prints the streams, and returns the ID of the order.
func (g *guide) onboard(ctx context.Context) (orderID string, failures []string) {
	ada := g.ada
	ctx, cancel := context.WithTimeout(ctx, pathTimeout)
	defer cancel()
	fmt.Fprintf(g.out, "\na customer registers, and orders\n")
	fail := func(err error) bool {
		if err != nil {
			failures = append(failures, "onboarding: "+err.Error())
			fmt.Fprintln(g.out, "  ✗", err)
		}
		return err != nil
	}
	registered := func(id, email string, at time.Time) error {
		return g.bus.PublishJSON(ctx, harness.Exchange, "UserRegistered", "application/json", map[string]any{
			"id": id, "aggregateId": ada, "eventType": "UserRegistered", "occurredAt": at.UTC().Format(time.RFC3339Nano),
			"data": map[string]string{"email": email, "username": "Ada Lovelace"},
		})
	}
	now := time.Now()
	if fail(registered(ada+"-1", "ada@example.com", now)) {
		return "", failures
	}
	if fail(g.awaitStream(ctx, "notice-welcome-"+ada, "notice.requested", "notice.intended", "notice.sent")) ||
		fail(g.awaitStream(ctx, "customer-"+ada, "customer.registered", "customer.onboarded")) {
		return "", failures
	}
	if fail(registered(ada+"-2", "ada@example.com", now.Add(time.Second))) || fail(g.client.Receive(ctx, "tea", 10)) {
		return "", failures
	}
	o := harness.NewOrder("tea", 2, "tok_visa")
	o.CustomerID = ada
	placed, err := g.client.Place(ctx, o, 10*time.Second)
	if fail(err) {
		return placed.ID, failures
	}
	fail(g.awaitStream(ctx, "customer-"+ada, "customer.registered", "customer.onboarded", "customer.profile_updated"))
	fail(g.awaitStream(ctx, "notice-completed-"+placed.ID, "notice.requested", "notice.intended", "notice.sent"))
	for _, stream := range []string{"customer-" + ada, "notice-welcome-" + ada, "notice-completed-" + placed.ID} {
		items, err := g.items(ctx, stream)
		if fail(err) {
			continue
		}
		fmt.Fprintf(g.out, "  %s\n", stream)
		PrintTimeline(g.out, items)
	}
	_, err = g.tap.Await(ctx, ada, func(m []harness.Message) bool { return len(harness.Outbound(m)) >= 3 })
	fail(err)
	return placed.ID, failures
}

// awaitStream waits until a stream has these events.
func (g *guide) awaitStream(ctx context.Context, stream string, want ...string) error {
	var types []string
	err := harness.Poll(ctx, lookEvery, func() bool {
		items, err := g.items(ctx, stream)
		types = typesOf(items)
		return err == nil && slices.Equal(types, want)
	})
	if err != nil {
		return fmt.Errorf("stream %s is %v, not %v: %w", stream, types, want, err)
	}
	return nil
}

// items reads a stream as a timeline.
func (g *guide) items(ctx context.Context, stream string) ([]harness.Item, error) {
	cursor, err := g.log.Collection("events").Find(ctx, bson.D{{Key: "stream", Value: stream}},
		options.Find().SetSort(bson.D{{Key: "version", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var documents []audit.Document
	if err := cursor.All(ctx, &documents); err != nil {
		return nil, err
	}
	items := make([]harness.Item, len(documents))
	for i, d := range documents {
		data := map[string]any{}
		for _, field := range d.Data {
			data[field.Key] = field.Value
		}
		raw, err := json.Marshal(data)
		if err != nil {
			return nil, err
		}
		items[i] = harness.Item{Version: d.Version, Type: d.Type, Time: d.Time, Data: raw}
	}
	return items, nil
}

// sealed checks that log and bus have no personal data of ada.
func (g *guide) sealed(ctx context.Context) []string {
	cursor, err := g.log.Collection("events").Find(ctx, bson.D{})
	if err != nil {
		return []string{err.Error()}
	}
	var documents []bson.M
	if err := cursor.All(ctx, &documents); err != nil {
		return []string{err.Error()}
	}
	text := fmt.Sprint(documents)
	for _, m := range harness.Outbound(g.tap.Of(g.ada)) {
		text += string(m.Body)
	}
	var failures []string
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			failures = append(failures, secret+" stands in the log, or went out on the bus")
		}
	}
	return failures
}
