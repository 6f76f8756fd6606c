package e2e

import (
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/internal/metricsdoc"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestMetrics reads every metric of the documentation from a scrape, after orders that are completed, compensated and stuck, a saga of every
// other flow, a dead letter, and a check that finds a violation. Then a Prometheus that has scraped all this answers each query of the dashboards,
// and evaluates the rules.
func TestMetrics(t *testing.T) {
	s := newStack(t)
	s.ownNamespace("RECONCILE_EVERY=1h", "RECONCILE_REPAIR=false", "PAYMENT_PENDING_DEADLINE=1s", earlyAttention)
	m := &mailed{stack: s}
	m.listens()
	p := startPrometheus(t, s.client.URL)
	sku := s.sku(10)
	placed := s.place(harness.NewOrder(sku, 1, "tok_visa"))
	require.Equal(t, "completed", placed.Status)
	require.Equal(t, "rejected", s.place(harness.NewOrder(sku, 1, "tok_declined")).Status)
	late := s.unpaid(sku, "tok_pending")
	s.pays(late, "evt-"+late, 1)
	s.awaitLate(late, "payment.refunded")
	who := customer()
	m.registers(who, "e-"+who, "ada@example.org", time.Now())
	m.awaitEnds([]string{"notice-welcome-" + who}, "notice.sent")
	// A count finds less than is reserved: a shortage.
	shipped := harness.NewOrder(sku, 1, "tok_visa")
	shipped.Fulfillment = "shipment"
	waiting, err := s.client.Place(s.ctx, shipped, 0)
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, waiting.ID, "awaiting_shipment")
	require.NoError(t, err)
	answer, err := s.client.Do(s.ctx, http.MethodPost, "/v1/stock/"+sku+"/counts", map[string]int{"counted": 0})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, answer.Status, "%s", answer.Body)
	_, err = s.client.AwaitStatus(s.ctx, waiting.ID, "rejected")
	require.NoError(t, err)
	require.NoError(t, s.client.Receive(s.ctx, sku, 10))
	stuck, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, "tok_capture_stuck"), 0)
	require.NoError(t, err)
	_, err = s.client.AwaitStuck(s.ctx, stuck.ID, "capture")
	require.NoError(t, err)
	require.NoError(t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{MessageId: "broken", Body: []byte("{")}))
	// The list differs from the log.
	_, err = s.db.Collection("orders").UpdateByID(s.ctx, placed.ID, bson.D{{Key: "$set", Value: bson.D{{Key: "status", Value: "failed"}}}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return s.temporal.ScheduleClient().GetHandle(s.ctx, "ordersaga-reconcile").Trigger(s.ctx, client.ScheduleTriggerOptions{}) == nil
	}, patience, tick)

	want := map[string]float64{
		`ordersaga_sagas_started_total{flow="order"}`:                                           5,
		`ordersaga_sagas_ended_total{flow="order",reason="",status="completed"}`:                1,
		`ordersaga_sagas_ended_total{flow="order",reason="stock_lost",status="rejected"}`:       1,
		`ordersaga_reconcile_violations{kind="list_different"}`:                                 1,
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
	for flow, status := range map[string]string{"order": "completed", "late-payment": "completed", "onboarding": "completed", "notification": "completed"} {
		atLeast = append(atLeast, `ordersaga_sagas_started_total{flow="`+flow+`"}`, `ordersaga_saga_duration_seconds_count{flow="`+flow+`",status="`+status+`"}`)
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

	maps.Copy(names, remoteMetrics(t))
	documented, err := metricsdoc.All()
	require.NoError(t, err)
	known := make(map[string]bool)
	for _, m := range documented {
		known[m.Name] = true
	}
	for name := range known {
		require.True(t, names[name], "the scrape has no %s", name)
	}
	for name := range names {
		require.True(t, known[name] || !strings.HasPrefix(name, "ordersaga_"), "%s is not documented", name)
	}
	for _, name := range []string{"temporal_activity_schedule_to_start_latency_seconds", "go_goroutines"} {
		require.True(t, names[name], "the scrape has no %s, but %v", name, names)
	}
	require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(values)), func(series string) bool {
		return strings.HasPrefix(series, "temporal_workflow_completed_total{") && strings.Contains(series, `workflow_type="ShortageSaga"`)
	}))
	used, err := metricsdoc.Used(filepath.Join("..", ".."))
	require.NoError(t, err)
	for _, all := range used {
		for _, name := range all {
			require.True(t, names[name], "the scrape has no %s", name)
		}
	}

	// A counter that increases after a scrape has a rate.
	require.Equal(t, "completed", s.place(harness.NewOrder(sku, 1, "tok_visa")).Status)
	require.Equal(t, "rejected", s.place(harness.NewOrder(sku, 1, "tok_declined")).Status)
	p.answersDashboards(filepath.Join("..", "..", "deploy", "grafana"))
	p.evaluatesRules()
}

// remoteMetrics are the names of the metrics of a service that calls a payment service over HTTP.
func remoteMetrics(t *testing.T) map[string]bool {
	s := newStack(t)
	s.participant(map[string]int64{"tea": 10})
	s.ownNamespace()
	require.Equal(t, "completed", s.place(harness.NewOrder("tea", 1, "tok_visa")).Status)
	_, names, err := s.client.Metrics(s.ctx)
	require.NoError(t, err)
	// Only a call that competes with others is refused; internal/metrics tests it.
	names["ordersaga_remote_inline_refused_total"] = true
	return names
}

// lazy is a text that is computed when it is printed.
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
