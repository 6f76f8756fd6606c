package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gathered is what a registry shows: values of counters and gauges, counts of histograms, by name and labels.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			got[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

func TestSagas(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := NewSagas(registry, "order", "gift")
	s.Started("order")
	s.Ended("order", saga.Rejected, "out_of_stock", time.Second)
	s.Attempted(activities.Attempt{Flow: "late-payment", Step: "refund", Kind: saga.Do, Result: activities.ResultUnknown, Inline: true, Took: time.Second})
	s.Published(time.Minute)
	require.Equal(t, map[string]float64{
		"ordersaga_sagas_started_total{flow=order}": 1, "ordersaga_sagas_started_total{flow=gift}": 0,
		"ordersaga_sagas_ended_total{flow=order,reason=out_of_stock,status=rejected}":                        1,
		"ordersaga_saga_duration_seconds{flow=order,status=rejected}":                                        1,
		"ordersaga_step_duration_seconds{flow=late-payment,inline=true,kind=do,outcome=unknown,step=refund}": 1,
		"ordersaga_publish_lag_seconds{}":                                                                    1,
	}, gathered(t, registry))
}

func TestRemote(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := NewRemote(registry)
	r.Called("payment.Capture", true, time.Second)
	r.Called("payment.Capture", false, 3*time.Second)
	r.Refused("payment.Capture", activities.RefusedSlow)
	require.Equal(t, map[string]float64{
		"ordersaga_remote_calls_total{mode=inline,operation=payment.Capture}":          1,
		"ordersaga_remote_calls_total{mode=regular,operation=payment.Capture}":         1,
		"ordersaga_remote_inline_refused_total{operation=payment.Capture,reason=slow}": 1,
		"ordersaga_remote_call_p95_seconds{operation=payment.Capture}":                 3,
	}, gathered(t, registry))
}

// What a participant says must not make series without bound.
func TestReasonsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := NewSagas(registry)
	for i := range 3 * maxValues {
		s.Ended("gift", saga.Rejected, fmt.Sprintf("reason_%d", i), 0)
		s.Ended("gift", saga.Rejected, fmt.Sprintf("reason_%d", i), 0)
	}
	s.Ended("gift", saga.Failed, "No Name: "+strings.Repeat("x", 100), 0)
	got := gathered(t, registry)
	require.InEpsilon(t, 2, got["ordersaga_sagas_ended_total{flow=gift,reason=reason_7,status=rejected}"], 0)
	require.InEpsilon(t, 4*maxValues, got["ordersaga_sagas_ended_total{flow=gift,reason=other,status=rejected}"], 0)
	require.InEpsilon(t, 1, got["ordersaga_sagas_ended_total{flow=gift,reason=other,status=failed}"], 0)
}

func TestReconcile(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := NewReconcile(registry)
	require.Zero(t, gathered(t, registry)["ordersaga_reconcile_last_success_timestamp_seconds{}"])
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Done(reconcile.Report{Unlisted: 3, Findings: []reconcile.Finding{
		{Kind: reconcile.MoneyWrong}, {Kind: reconcile.MoneyWrong, Repaired: true}, {Kind: reconcile.ExceptionOnRecord, Note: true},
	}}, at)
	got := gathered(t, registry)
	require.InEpsilon(t, 2, got["ordersaga_reconcile_violations{kind=money_wrong}"], 0)
	require.InEpsilon(t, 3, got["ordersaga_reconcile_violations{kind=other}"], 0)
	require.Contains(t, got, "ordersaga_reconcile_violations{kind=stream_gap}")
	require.NotContains(t, got, "ordersaga_reconcile_violations{kind=exception_on_record}", "notes are no violations")
	require.InEpsilon(t, at.Unix(), got["ordersaga_reconcile_last_success_timestamp_seconds{}"], 0)
	r.Done(reconcile.Report{}, at)
	require.Zero(t, gathered(t, registry)["ordersaga_reconcile_violations{kind=money_wrong}"])
}

// stock is a read model. It is safe for concurrent use.
type stock struct {
	mu      sync.Mutex
	tallies []readmodel.Tally
	letters map[fault.Code]int64
	err     error
	asked   int
}

func (s *stock) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *stock) Tally(context.Context) ([]readmodel.Tally, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return slices.Clone(s.tallies), s.err
}

func (s *stock) OpenByReason(context.Context) (map[fault.Code]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.letters), nil
}

func TestBacklog(t *testing.T) {
	registry := prometheus.NewRegistry()
	var mu sync.Mutex
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(d)
	}
	source := &stock{
		tallies: []readmodel.Tally{
			{Status: saga.Accepted, Count: 2, Oldest: at.Add(-time.Minute)},
			{Flow: "gift", Status: saga.NeedsAttention, Step: "charge", Count: 1, Oldest: at.Add(-time.Hour)},
			{Flow: "gift", Status: saga.NeedsAttention, Step: "lock", Count: 2, Oldest: at.Add(-time.Second)},
		},
		letters: map[fault.Code]int64{fault.Invalid: 1, "made_up_by_a_sender": 2, "by_another": 3},
	}
	NewBacklog(registry, BacklogConfig{
		Lists: map[string]Tallier{"order": source}, Letters: source, Logger: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { mu.Lock(); defer mu.Unlock(); return at },
	})
	want := map[string]float64{
		"ordersaga_sagas_open{flow=order,status=accepted}": 2, "ordersaga_oldest_open_seconds{flow=order,status=accepted}": 60,
		"ordersaga_sagas_open{flow=gift,status=needs_attention}": 3, "ordersaga_oldest_open_seconds{flow=gift,status=needs_attention}": 3600,
		"ordersaga_attention_open{flow=gift,step=charge}": 1, "ordersaga_attention_open{flow=gift,step=lock}": 2,
		"ordersaga_dead_letters_open{reason=invalid}": 1, "ordersaga_dead_letters_open{reason=other}": 5,
	}
	for range 3 {
		require.Equal(t, want, gathered(t, registry))
	}
	require.Equal(t, 1, source.asked, "not at each scrape")

	// What is open no more is 0.
	source.set(func() { source.tallies, source.letters = source.tallies[:1], nil })
	later(countEvery)
	got := gathered(t, registry)
	require.InEpsilon(t, 2, got["ordersaga_sagas_open{flow=order,status=accepted}"], 0)
	require.InEpsilon(t, 60+countEvery.Seconds(), got["ordersaga_oldest_open_seconds{flow=order,status=accepted}"], 0)
	for name := range want {
		require.Contains(t, got, name)
	}
	require.Zero(t, got["ordersaga_sagas_open{flow=gift,status=needs_attention}"])
	require.Zero(t, got["ordersaga_dead_letters_open{reason=invalid}"])

	// Counts that cannot be made again are shown for a while.
	source.set(func() { source.err = errors.New("away") })
	later(countEvery)
	require.NotEmpty(t, gathered(t, registry))
	later(countKept)
	require.Empty(t, gathered(t, registry))
	source.set(func() { source.err = nil })
	later(countEvery)
	require.NotEmpty(t, gathered(t, registry))
}

func TestTemporalMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	handler, err := NewTemporal(registry)
	require.NoError(t, err)
	tagged := handler.WithTags(map[string]string{"task_queue": "orders"})
	tagged.Counter("temporal_request").Inc(2)
	tagged.Gauge("temporal_worker_task_slots_available").Update(7)
	tagged.Timer("temporal_request_latency").Record(20 * time.Millisecond)
	got := gathered(t, registry)
	require.InEpsilon(t, 2, got["temporal_request_total{task_queue=orders}"], 0)
	require.InEpsilon(t, 7, got["temporal_worker_task_slots_available{task_queue=orders}"], 0)
	require.InEpsilon(t, 1, got["temporal_request_latency_seconds{task_queue=orders}"], 0)
	require.Len(t, got, 3)
}

func BenchmarkAttempted(b *testing.B) {
	s := NewSagas(prometheus.NewRegistry())
	a := activities.Attempt{Flow: "order", Step: "authorize", Kind: saga.Do, Result: activities.ResultDone, Took: time.Millisecond}
	for b.Loop() {
		s.Attempted(a)
	}
}

func BenchmarkTemporal(b *testing.B) {
	handler, err := NewTemporal(prometheus.NewRegistry())
	require.NoError(b, err)
	tags := map[string]string{"task_queue": "orders", "namespace": "default", "workflow_type": "OrderSaga"}
	for b.Loop() {
		handler.WithTags(tags).Timer("temporal_request_latency").Record(time.Millisecond)
	}
}
