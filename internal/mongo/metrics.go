package mongo

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	monitor "go.mongodb.org/mongo-driver/v2/event"
)

// Metrics are the metrics of a process's database. A nil one counts nothing.
type Metrics struct {
	appends, batches prometheus.Histogram
	commandTime      *prometheus.HistogramVec // by command and outcome

	connections, inUse prometheus.Gauge
	checkOut           prometheus.Histogram
	failed             *prometheus.CounterVec // by reason
	cleared            prometheus.Counter
}

// quick are buckets for what a server near by does.
var quick = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// NewMetrics registers the metrics. It panics when they are registered already.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	factory := promauto.With(registry)
	m := &Metrics{
		appends: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "ordersaga_append_seconds", Buckets: quick,
			Help: "Time that an append to the event log took, the wait for a shared round trip and repeats included.",
		}),
		batches: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "ordersaga_append_batch_size", Buckets: []float64{1, 2, 3, 5, 10, 20, 50, 100},
			Help: "Events that were inserted in one round trip.",
		}),
		commandTime: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordersaga_mongodb_command_seconds", Buckets: quick,
			Help: "Time that a command to the database took, by the driver's name of the command and outcome: ok or failed.",
		}, []string{"command", "outcome"}),
		connections: factory.NewGauge(prometheus.GaugeOpts{
			Name: "ordersaga_mongodb_pool_connections", Help: "Connections of the pools, those that are being opened included.",
		}),
		inUse: factory.NewGauge(prometheus.GaugeOpts{
			Name: "ordersaga_mongodb_pool_in_use", Help: "Connections of the pools that run a command.",
		}),
		checkOut: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "ordersaga_mongodb_pool_checkout_seconds", Buckets: quick, Help: "Time that a command waited for a connection of the pool.",
		}),
		failed: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "ordersaga_mongodb_pool_checkout_failures_total",
			Help: "Commands that got no connection of the pool, by the driver's reason: timeout, connectionError or poolClosed.",
		}, []string{"reason"}),
		cleared: factory.NewCounter(prometheus.CounterOpts{
			Name: "ordersaga_mongodb_pool_cleared_total", Help: "Times that the driver closed all connections of a pool: the server was lost.",
		}),
	}
	for _, reason := range []string{monitor.ReasonTimedOut, monitor.ReasonConnectionErrored, monitor.ReasonPoolClosed} {
		m.failed.WithLabelValues(reason) // a series that begins with a failure has no rate then
	}
	return m
}

// appended observes an append that began at began and ends now.
func (m *Metrics) appended(began time.Time) {
	if m != nil {
		m.appends.Observe(time.Since(began).Seconds())
	}
}

// inserted observes an insert of so many events.
func (m *Metrics) inserted(n int) {
	if m != nil {
		m.batches.Observe(float64(n))
	}
}

// commands observes all commands; nil when nothing is counted.
func (m *Metrics) commands() *monitor.CommandMonitor {
	if m == nil {
		return nil
	}
	finished := func(e monitor.CommandFinishedEvent, outcome string) {
		m.commandTime.WithLabelValues(e.CommandName, outcome).Observe(e.Duration.Seconds())
	}
	return &monitor.CommandMonitor{
		Succeeded: func(_ context.Context, e *monitor.CommandSucceededEvent) { finished(e.CommandFinishedEvent, "ok") },
		Failed:    func(_ context.Context, e *monitor.CommandFailedEvent) { finished(e.CommandFinishedEvent, "failed") },
	}
}

// pool observes the connections; nil when nothing is counted.
func (m *Metrics) pool() *monitor.PoolMonitor {
	if m == nil {
		return nil
	}
	return &monitor.PoolMonitor{Event: func(e *monitor.PoolEvent) {
		switch e.Type {
		case monitor.ConnectionCreated:
			m.connections.Inc()
		case monitor.ConnectionClosed:
			m.connections.Dec()
		case monitor.ConnectionCheckedOut:
			m.inUse.Inc()
			m.checkOut.Observe(e.Duration.Seconds())
		case monitor.ConnectionCheckedIn:
			m.inUse.Dec()
		case monitor.ConnectionCheckOutFailed:
			m.failed.WithLabelValues(e.Reason).Inc()
		case monitor.ConnectionPoolCleared:
			m.cleared.Inc()
		}
	}}
}

// monitors calls several monitors of commands, as the driver takes one; nil ones are left out.
func monitors(all ...*monitor.CommandMonitor) *monitor.CommandMonitor {
	one := &monitor.CommandMonitor{}
	for _, m := range all {
		if m == nil {
			continue
		}
		one.Started = both(one.Started, m.Started)
		one.Succeeded = both(one.Succeeded, m.Succeeded)
		one.Failed = both(one.Failed, m.Failed)
	}
	return one
}

func both[E any](first, second func(context.Context, E)) func(context.Context, E) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, e E) {
		first(ctx, e)
		second(ctx, e)
	}
}
