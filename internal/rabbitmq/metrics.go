package rabbitmq

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the metrics of all connections of a process to the broker. Labels are roles and constants of this package, never content
// of messages.
type Metrics struct {
	connected, blocked, session, deviations, unacknowledged *prometheus.GaugeVec   // by role
	sessions, lost                                          *prometheus.CounterVec // by role
	published, confirmed, unconfirmed, returned             *prometheus.CounterVec // by target
	deliveries                                              *prometheus.CounterVec // by role and outcome
	inFlight                                                prometheus.Gauge
	confirm                                                 prometheus.Histogram
	handler                                                 *prometheus.HistogramVec // by role
}

// Values of the label target.
const (
	toExchange = "exchange"
	toQueue    = "queue"
)

// NewMetrics registers the metrics; with a nil registry they are not registered. It panics if they are already registered.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	const prefix = "ordersaga_broker_"
	factory := promauto.With(registry)
	gauge := func(name, help string) *prometheus.GaugeVec {
		return factory.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, []string{"role"})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return factory.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
	}
	return &Metrics{
		connected:  gauge("connected", "1 while the connection of the role is up, also when the broker blocks it."),
		blocked:    gauge("blocked", "1 while the broker blocks the connection of the role: it is short of memory or disk."),
		session:    gauge("session", "The number of the newest session of the role; each attempt to connect has one."),
		deviations: gauge("deviations", "Exchanges, queues and bindings that exist otherwise than the role declares them; /readyz names them."),
		sessions:   counter("sessions_total", "Sessions of the role that came up; all but the first are reconnects.", "role"),
		lost:       counter("sessions_lost_total", "Sessions of the role that were up and ended otherwise than by a stop.", "role"),

		published: counter("published_total", "Messages handed to the broker, each time that was tried, by target: exchange or queue.", "target"),
		confirmed: counter("confirmed_total", "Messages that the broker has confirmed.", "target"),
		unconfirmed: counter("unconfirmed_total",
			"Attempts with an unknown result: nack, timeout or a lost session. They are published again under the same id.", "target"),
		returned: counter("returned_total", "Messages to a queue that came back because there is no such queue.", "target"),
		inFlight: factory.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "publishing", Help: "Messages that are being published now, those that wait for a connection included.",
		}),
		confirm: factory.NewHistogram(prometheus.HistogramOpts{
			Name: prefix + "confirm_seconds", Help: "Time from handing a message to the broker to its confirm.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),

		deliveries: counter("deliveries_total", "Deliveries by outcome: acknowledged, redelivered, parked, dead_lettered, requeued or stale; "+
			"returned counts those that left a wait queue before their time.", "role", "outcome"),
		unacknowledged: gauge("in_hand", "Deliveries that are being handled or wait for a free handler."),
		handler: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "handler_seconds", Help: "Time that the handler of the role took for a message.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"role"}),
	}
}

// show sets the gauges of one connection.
func (m *Metrics) show(s Status) {
	one := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	m.connected.WithLabelValues(s.Role).Set(one(s.State == StateConnected || s.State == StateBlocked))
	m.blocked.WithLabelValues(s.Role).Set(one(s.State == StateBlocked))
	m.session.WithLabelValues(s.Role).Set(float64(s.Session))
	m.deviations.WithLabelValues(s.Role).Set(float64(len(s.Deviations)))
}
