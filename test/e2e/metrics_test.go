package e2e

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/internal/metricsdoc"
	"github.com/ordersaga/ordersaga/test/harness"
)

// afterFailures are metrics that have no series before something fails.
var afterFailures = []string{
	"ordersaga_broker_returned_total", "ordersaga_broker_sessions_lost_total", "ordersaga_broker_unconfirmed_total",
	"ordersaga_mongodb_pool_checkout_failures_total",
}

// TestMetrics reads every metric of the documentation from a scrape, after an order that is completed, one that is compensated, one that is
// stuck, a dead letter, and a check of what must hold.
func TestMetrics(t *testing.T) {
	s := newStack(t)
	s.ownNamespace("RECONCILE_EVERY=1h", earlyAttention)
	sku := s.sku(10)
	require.Equal(t, "completed", s.place(harness.NewOrder(sku, 1, "tok_visa")).Status)
	require.Equal(t, "rejected", s.place(harness.NewOrder(sku, 1, "tok_declined")).Status)
	stuck, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, "tok_capture_stuck"), 0)
	require.NoError(t, err)
	_, err = s.client.AwaitStuck(s.ctx, stuck.ID, "capture")
	require.NoError(t, err)
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{MessageId: "broken", Body: []byte("{")}))
	require.Eventually(t, func() bool {
		return s.temporal.ScheduleClient().GetHandle(s.ctx, "ordersaga-reconcile").Trigger(s.ctx, client.ScheduleTriggerOptions{}) == nil
	}, patience, tick)

	want := map[string]float64{
		`ordersaga_sagas_started_total{flow="order"}`:                                           3,
		`ordersaga_sagas_ended_total{flow="order",reason="",status="completed"}`:                1,
		`ordersaga_sagas_ended_total{flow="order",reason="payment_declined",status="rejected"}`: 1,
		`ordersaga_saga_duration_seconds_count{flow="order",status="completed"}`:                1,
		`ordersaga_sagas_open{flow="order",status="needs_attention"}`:                           1,
		`ordersaga_attention_open{flow="order",step="capture"}`:                                 1,
		`ordersaga_dead_letters_open{reason="malformed"}`:                                       1,
		`ordersaga_reconcile_violations{kind="money_wrong"}`:                                    0,
	}
	atLeast := []string{
		`ordersaga_step_duration_seconds_count{flow="order",inline="true",kind="do",outcome="done",step="reserve"}`,
		`ordersaga_step_duration_seconds_count{flow="order",inline="true",kind="undo",outcome="done",step="reserve"}`,
		`ordersaga_oldest_open_seconds{flow="order",status="needs_attention"}`,
		`ordersaga_publish_lag_seconds_count`, `ordersaga_append_seconds_count`, `ordersaga_append_batch_size_count`,
		`ordersaga_reconcile_last_success_timestamp_seconds`,
		`ordersaga_mongodb_command_seconds_count{command="insert",outcome="ok"}`, `ordersaga_mongodb_pool_connections`,
	}
	var values map[string]float64
	var names map[string]bool
	require.Eventually(t, func() bool {
		if values, names, err = s.client.Metrics(s.ctx); err != nil {
			return false
		}
		for name, value := range want {
			if got, there := values[name]; !there || got != value {
				return false
			}
		}
		for _, name := range atLeast {
			if values[name] <= 0 {
				return false
			}
		}
		return true
	}, patience, tick, "want %v and more than 0 of %v, got %s", want, atLeast, lazy(func() string { return relevant(values) }))

	documented, err := metricsdoc.All()
	require.NoError(t, err)
	known := make(map[string]bool)
	for _, m := range documented {
		known[m.Name] = true
	}
	for _, name := range afterFailures {
		require.True(t, known[name], name)
		delete(known, name)
	}
	for name := range known {
		require.True(t, names[name], "the scrape has no %s", name)
	}
	for name := range names {
		require.True(t, known[name] || !strings.HasPrefix(name, "ordersaga_"), "%s is not documented", name)
	}
	for _, name := range append(usedMetrics(t), "temporal_activity_schedule_to_start_latency_seconds", "go_goroutines") {
		require.True(t, names[name], "the scrape has no %s, but %v", name, names)
	}
}

// usedMetrics are the metrics that dashboards and rules name, but those that have no series before something fails.
func usedMetrics(t *testing.T) (names []string) {
	t.Helper()
	used, err := metricsdoc.Used(filepath.Join("..", ".."))
	require.NoError(t, err)
	for _, all := range used {
		names = append(names, all...)
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(afterFailures, name) })
}

// lazy is a text that is made when it is printed.
type lazy func() string

func (l lazy) String() string { return l() }

// relevant are the values that are not buckets, nor of other packages.
func relevant(values map[string]float64) string {
	var lines strings.Builder
	for name, value := range values {
		if strings.HasPrefix(name, "ordersaga_") && !strings.Contains(name, "_bucket{") {
			lines.WriteString(name + " " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
		}
	}
	return lines.String()
}
