package mongo

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestOpenSagasAreCounted(t *testing.T) {
	db := connect(t)
	s := NewSagas(db)
	require.NoError(t, Setup(t.Context(), s.Indexes()))
	put := func(flow, id string, n int, status saga.Status, step string) {
		t.Helper()
		e := entryOfSaga(flow, flow+"-"+id, n, status)
		if step != "" {
			e.Attention = &readmodel.Attention{AttentionState: saga.AttentionState{Open: true, Step: step, Count: 1, Since: start}}
		}
		require.NoError(t, s.Put(t.Context(), e))
	}
	put("gift", "1", 5, saga.Accepted, "")
	put("gift", "2", 3, saga.Accepted, "")
	put("gift", "3", 1, saga.Completed, "")
	put("gift", "4", 2, saga.NeedsAttention, "charge")
	put("gift", "5", 4, saga.NeedsAttention, "lock")
	put("top-up", "1", 7, "approved", "")
	put("top-up", "2", 8, saga.Failed, "")
	tallies, err := s.Tally(t.Context())
	require.NoError(t, err)
	slices.SortFunc(tallies, func(a, b readmodel.Tally) int {
		return cmp.Or(cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Step, b.Step))
	})
	for i := range tallies {
		tallies[i].Oldest = tallies[i].Oldest.UTC()
	}
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	require.Equal(t, []readmodel.Tally{
		{Flow: "gift", Status: saga.Accepted, Count: 2, Oldest: at(3)},
		{Flow: "gift", Status: saga.NeedsAttention, Step: "charge", Count: 1, Oldest: at(2)},
		{Flow: "gift", Status: saga.NeedsAttention, Step: "lock", Count: 1, Oldest: at(4)},
		{Flow: "top-up", Status: "approved", Count: 1, Oldest: at(7)},
	}, tallies)
}

func TestSagasAreCountedByStatus(t *testing.T) {
	db := connect(t)
	s := NewSagas(db)
	require.NoError(t, Setup(t.Context(), s.Indexes()))
	for n, status := range []saga.Status{saga.Accepted, saga.Completed, saga.Completed, saga.Failed} {
		flow := []string{"gift", "top-up"}[n%2]
		require.NoError(t, s.Put(t.Context(), entryOfSaga(flow, flow+"-"+string(rune('a'+n)), n, status)))
	}
	asked := []saga.Status{saga.Accepted, saga.Completed, saga.NeedsAttention}
	counts, err := s.Counts(t.Context(), "", asked)
	require.NoError(t, err)
	require.Equal(t, map[saga.Status]int64{saga.Accepted: 1, saga.Completed: 2}, counts)
	counts, err = s.Counts(t.Context(), "gift", asked)
	require.NoError(t, err)
	require.Equal(t, map[saga.Status]int64{saga.Accepted: 1, saga.Completed: 1}, counts)
}

func TestOpenLettersAreCounted(t *testing.T) {
	s := openLetters(t, connect(t))
	for n := range 4 {
		l := deadlettertest.Letter(n, []byte{byte(n)})
		l.Reason = []fault.Code{fault.Invalid, fault.Conflict}[n%2]
		_, err := s.Insert(t.Context(), l)
		require.NoError(t, err)
		if n == 3 {
			require.NoError(t, s.Mark(t.Context(), l.ID, deadletter.StatusDiscarded, 2))
		}
	}
	counts, err := s.OpenByReason(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[fault.Code]int64{fault.Invalid: 2, fault.Conflict: 1}, counts)
}

// Metrics of an append, its insert, and the connections.
func TestDatabaseMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	db := connect(t, options.Client().SetMonitor(m.commands()).SetPoolMonitor(m.pool()))
	db.Metrics = m
	log := open(t, db)
	_, _, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a", "b", "c"))
	require.NoError(t, err)
	families, err := registry.Gather()
	require.NoError(t, err)
	got := make(map[string]float64)
	for _, f := range families {
		for _, one := range f.GetMetric() {
			name := f.GetName()
			for _, l := range one.GetLabel() {
				name += "," + l.GetValue()
			}
			got[name] = one.GetGauge().GetValue() + one.GetHistogram().GetSampleSum() + float64(one.GetHistogram().GetSampleCount())
		}
	}
	require.InEpsilon(t, 3+1, got["ordersaga_append_batch_size"], 0)
	require.GreaterOrEqual(t, got["ordersaga_append_seconds"], 1.0)
	require.GreaterOrEqual(t, got["ordersaga_mongodb_command_seconds,insert,ok"], 1.0)
	require.GreaterOrEqual(t, got["ordersaga_mongodb_pool_connections"], 1.0)
	require.GreaterOrEqual(t, got["ordersaga_mongodb_pool_checkout_seconds"], 1.0)
	require.Zero(t, got["ordersaga_mongodb_pool_in_use"])
}

func TestCommandsOfATraceAreSpans(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)).Tracer(trace.Scope)
	db := connect(t, options.Client().SetMonitor(tracedCommands()))
	log := open(t, db)
	ctx, request := trace.Begin(t.Context(), tracer, "request", trace.Server, "")
	_, _, err := log.Append(ctx, "order-1", event.Head{}, entries("a"))
	require.NoError(t, err)
	_, err = log.Read(ctx, "order-1", 0, 0)
	require.NoError(t, err)
	request.End(nil)
	_, err = log.Read(t.Context(), "order-1", 0, 0)
	require.NoError(t, err)
	names := make(map[string]bool)
	spans := exporter.GetSpans()
	for _, s := range spans {
		names[s.Name] = true
		require.Equal(t, spans[len(spans)-1].SpanContext.TraceID(), s.SpanContext.TraceID())
	}
	require.Equal(t, map[string]bool{"append": true, "mongodb find": true, "request": true}, names)
}
