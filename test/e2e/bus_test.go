package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/test/harness"
)

// readiness is the answer of /readyz.
type readiness struct {
	Status string `json:"status"`
	Checks []struct {
		Name       string `json:"name"`
		Status     string `json:"status"`
		Connection *struct {
			State     string    `json:"state"`
			Since     time.Time `json:"since"`
			Session   uint64    `json:"session"`
			LastError string    `json:"lastError"`
			Remedy    string    `json:"remedy"`
		} `json:"connection"`
	} `json:"checks"`
}

// readyz returns the readiness of a process of the service.
func (s *stack) readyz(address string) readiness {
	s.t.Helper()
	var r readiness
	response, err := harness.Client{URL: address, HTTP: s.client.HTTP}.Do(s.ctx, http.MethodGet, "/readyz", nil)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(response.Body, &r), "%s", response.Body)
	return r
}

// TestTheBrokerIsAwayForLong: the broker is down until the pause between two attempts to connect has reached its maximum. Meanwhile orders of
// every kind are placed; they end, or wait for an event. When the broker is up again, shipments and payments are reported, and every event is
// published in order before its workflow closes.
func TestTheBrokerIsAwayForLong(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(1000)
	keep := testenv.Unique("keep")
	require.NoError(t, s.bus.Keep(keep, "#"))
	s.devstack("stop", "rabbitmq")
	var once sync.Once
	restore := func() { once.Do(func() { s.devstack("start", "rabbitmq") }) }
	t.Cleanup(restore)

	type journey struct {
		method, fulfillment, waits, tells, ends string
	}
	journeys := []journey{
		{"tok_visa", "", "completed", "", "completed"},
		{"tok_timeout", "", "completed", "", "completed"},
		{"tok_declined", "", "rejected", "", "rejected"},
		{"tok_capture_refused", "", "rejected", "", "rejected"},
		{"tok_visa", "shipment", "awaiting_shipment", "shipment.delivered", "completed"},
		{"tok_visa", "shipment", "awaiting_shipment", "order.cancellation_requested", "cancelled"},
		{"tok_pending", "", "awaiting_payment", "payment.succeeded", "completed"},
		{"tok_pending", "", "awaiting_payment", "payment.failed", "rejected"},
	}
	const each = 3
	placed := map[string]journey{}
	for _, j := range journeys {
		for range each {
			o := harness.NewOrder(sku, 1, j.method)
			o.Fulfillment = j.fulfillment
			r, err := s.client.Place(s.ctx, o, 0)
			require.NoError(t, err)
			placed[r.ID] = j
		}
	}
	for id, j := range placed {
		_, err := s.client.AwaitStatus(s.ctx, id, j.waits)
		require.NoError(t, err, "publishing never stops an order")
	}
	// Six pauses, each twice the previous one, lead from 100 ms to 5 s; later pauses have the maximum length.
	require.Eventually(t, func() bool {
		for _, c := range s.readyz(s.client.URL).Checks {
			if c.Name == "rabbitmq" && c.Connection != nil && c.Connection.Session > 9 {
				require.Equal(t, "failing", c.Status)
				require.Equal(t, "disconnected", c.Connection.State)
				require.NotEmpty(t, c.Connection.LastError)
				return true
			}
		}
		return false
	}, patience, 200*time.Millisecond)

	restore()
	s.redial()
	for id, j := range placed {
		if j.tells != "" {
			_, err := s.bus.Publish(s.ctx, j.tells, id, map[string]any{"orderId": id})
			require.NoError(t, err)
		}
	}
	for id, j := range placed {
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, j.ends, end.Status, "%+v", j)
	}
	require.Eventually(t, func() bool {
		for id := range placed {
			d, err := s.temporal.DescribeWorkflowExecution(s.ctx, "order-"+id, "")
			if err != nil || d.GetWorkflowExecutionInfo().GetStatus().String() != "Completed" {
				return false
			}
		}
		return true
	}, patience, 100*time.Millisecond, "the runs close once everything is published")
	tap, err := s.bus.Drain(keep)
	require.NoError(t, err)
	s.tap = tap
	report := s.audit()
	for id := range placed {
		s.published(report, id)
	}
	require.Eventually(t, func() bool { return s.readyz(s.client.URL).Status == "ready" }, patience, 100*time.Millisecond)
}

// redial connects the test to a broker that was down.
func (s *stack) redial() {
	s.t.Helper()
	s.bus.Close()
	bus, err := harness.Dial(amqpURL())
	require.NoError(s.t, err)
	s.bus = bus
	s.t.Cleanup(bus.Close)
}

// TestTwoConsumersAnyOrderAndEverythingTwice: two processes read the inbox; each event is sent twice, in any order. Meanwhile the broker is
// restarted, and while it is down one of the processes is killed and replaced. Every order exists once and ends as its kind says, every event
// is on the bus, there is no dead letter, and reconcile finds nothing.
func TestTwoConsumersAnyOrderAndEverythingTwice(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	second := s.role("consumer")
	keep := testenv.Unique("keep")
	require.NoError(t, s.bus.Keep(keep, "#"))
	sku := s.sku(1_000_000)
	random := rand.New(rand.NewPCG(5, 5))
	const orders = 60
	type message struct {
		id, kind, subject string
		data              any
	}
	var messages []message
	want := map[string]string{}
	for i := range orders {
		o := harness.NewOrder(sku, 1, "tok_visa")
		o.ID = fmt.Sprintf("both-%s-%d", sku, i)
		want[o.ID] = "completed"
		kinds := []string{}
		switch i % 3 {
		case 0:
			o.Fulfillment = "shipment"
			kinds = []string{"shipment.dispatched", "shipment.delivered"}
		case 1:
			o.Fulfillment, want[o.ID] = "shipment", "cancelled"
			kinds = []string{"order.cancellation_requested"}
		}
		for range 2 {
			messages = append(messages, message{o.ID + "/created", "order.created", o.ID, o})
			for _, kind := range kinds {
				messages = append(messages, message{o.ID + "/" + kind, kind, o.ID, map[string]any{"orderId": o.ID}})
			}
		}
	}
	random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	for i, m := range messages {
		if i == len(messages)/2 {
			s.devstack("stop", "rabbitmq")
			second.Kill()
			second = s.startRole(harness.Options{Role: "consumer", NoWait: true}) // it is ready when the broker is back
			s.devstack("start", "rabbitmq")
			s.redial()
		}
		require.NoError(t, s.bus.PublishJSON(s.ctx, harness.Exchange, m.kind, "application/cloudevents+json", harness.Event(m.id, m.kind, m.subject, m.data)))
	}
	for id, status := range want {
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, status, end.Status, id)
	}
	// A duplicate may still be in the queue; it has no effect.
	require.Eventually(t, func() bool {
		for _, queue := range []string{"", ".wait.5s", ".wait.30s", ".wait.5m"} {
			if n, err := s.bus.Depth(harness.Inbox + queue); err != nil || n > 0 {
				return false
			}
		}
		return true
	}, patience, 100*time.Millisecond)
	report := s.audit()
	tap, err := s.bus.Drain(keep)
	require.NoError(t, err)
	s.tap = tap
	require.Len(t, report.Orders, orders)
	require.Zero(t, report.Reserved[sku])
	require.Empty(t, report.Late)
	for id := range want {
		require.LessOrEqual(t, report.Authorizations[id], 1, "a cancellation may arrive before the payment")
		s.published(report, id)
	}
	require.Eventually(t, func() bool {
		for _, c := range s.readyz(second.URL).Checks {
			if c.Name == "consumer" && (c.Connection == nil || c.Connection.State != "connected") {
				return false
			}
		}
		return true
	}, patience, tick, "the replacing consumer is connected")
	letters, err := s.client.DeadLetters(s.ctx, "")
	require.NoError(t, err)
	require.Empty(t, letters)
	found, content := s.reconcile()
	require.True(t, content, "%v", found)
}

// TestWrongCredentialsAreSaidAtTheStart: /readyz of a process that cannot start reports the cause, without the password.
func TestWrongCredentialsAreSaidAtTheStart(t *testing.T) {
	s := newStack(t)
	broker, err := url.Parse(amqpURL())
	require.NoError(t, err)
	broker.User = url.UserPassword("guest", "hunter2")
	for _, role := range []string{"serve", "consumer"} {
		service, err := harness.Start(s.ctx, harness.Options{
			Binary: binary, Role: role, NoWait: true, Env: []string{"MONGODB_DATABASE=" + s.database, "RECONCILE_EVERY=0", "AMQP_URL=" + broker.String()},
		})
		require.NoError(t, err)
		t.Cleanup(service.Kill)
		require.Eventually(t, func() bool {
			response, err := harness.Client{URL: service.URL}.Do(s.ctx, http.MethodGet, "/readyz", nil)
			if err != nil || response.Status != http.StatusServiceUnavailable {
				return false
			}
			require.NotContains(t, string(response.Body), "hunter2")
			var r readiness
			require.NoError(t, json.Unmarshal(response.Body, &r))
			return r.Status == "starting" && len(r.Checks) == 1 && strings.Contains(r.Checks[0].Connection.Remedy, "AMQP_URL")
		}, patience, 100*time.Millisecond)
		require.NotContains(t, service.Log(), "hunter2")
		require.NoError(t, service.Stop(patience))
	}
}
