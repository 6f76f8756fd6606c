package rabbitmq

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what a process tells about its connections to the broker, for Prometheus. One serves all publishers and
// consumers of a process: labels are their roles, of which there are as many as there are connections, and words of this
// package. Nothing that comes with a message is ever a label.
type Metrics struct {
	connected, blocked, session *prometheus.GaugeVec
	deviations                  *prometheus.GaugeVec
	sessions, lost              *prometheus.CounterVec

	published, confirmed, unconfirmed, returned *prometheus.CounterVec
	inFlight                                    prometheus.Gauge
	confirm                                     prometheus.Histogram

	deliveries *prometheus.CounterVec
	inHand     *prometheus.GaugeVec
	handler    *prometheus.HistogramVec
}

// Values of the label target: where a message was published to.
const (
	toExchange = "exchange"
	toQueue    = "queue"
)

// Values of the label outcome.
const (
	outcomeAcknowledged = "acknowledged"
	outcomeRedelivered  = "redelivered"
	outcomeParked       = "parked"
	outcomeDeadLettered = "dead_lettered"
	outcomeReturned     = "returned"
	outcomeRequeued     = "requeued"
	outcomeStale        = "stale"
)

// NewMetrics registers the metrics. The error is the registry's: each can be registered once.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	gauges := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ordersaga_broker_" + name, Help: help}, []string{"role"})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ordersaga_broker_" + name, Help: help}, labels)
	}
	m := &Metrics{
		connected:  gauges("connected", "1 while the connection of the role is up, also when the broker blocks it."),
		blocked:    gauges("blocked", "1 while the broker blocks the connection of the role: it is short of memory or disk."),
		session:    gauges("session", "The number of the newest session of the role; each attempt to connect has one."),
		deviations: gauges("deviations", "Exchanges, queues and bindings that exist otherwise than the role declares them; /readyz names them."),
		sessions:   counters("sessions_total", "Sessions of the role that came up; all but the first are reconnects.", "role"),
		lost:       counters("sessions_lost_total", "Sessions of the role that were up and ended otherwise than by a stop.", "role"),

		published: counters("published_total", "Messages handed to the broker, each time that was tried, by target: exchange or queue.", "target"),
		confirmed: counters("confirmed_total", "Messages that the broker has confirmed.", "target"),
		unconfirmed: counters("unconfirmed_total",
			"Attempts whose fate is unknown: nack, timeout or a lost session. They are published again under the same id.", "target"),
		returned: counters("returned_total", "Messages to a queue that came back because there is no such queue.", "target"),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordersaga_broker_publishing", Help: "Messages that are being published now, those that wait for a connection included.",
		}),
		confirm: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ordersaga_broker_confirm_seconds", Help: "Time from handing a message to the broker to its confirm.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),

		deliveries: counters("deliveries_total",
			"Deliveries by what became of them: acknowledged, redelivered, parked, dead_lettered, requeued or stale; "+
				"returned counts those that left a wait queue before their time.", "role", "outcome"),
		inHand: gauges("in_hand", "Deliveries that are being handled or wait for a free handler."),
		handler: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordersaga_broker_handler_seconds", Help: "Time that the handler of the role took for a message.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"role"}),
	}
	for _, c := range []prometheus.Collector{m.connected, m.blocked, m.session, m.deviations, m.sessions, m.lost, m.published, m.confirmed,
		m.unconfirmed, m.returned, m.inFlight, m.confirm, m.deliveries, m.inHand, m.handler} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the broker: %w", err)
		}
	}
	return m, nil
}

// unregistered are metrics that nobody reads.
func unregistered() *Metrics {
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		panic(err) // a fresh registry refuses nothing but two of one name
	}
	return m
}

// at notes where a connection stands.
func (m *Metrics) at(role string, s Status) {
	up := 0.0
	if s.State == StateConnected || s.State == StateBlocked {
		up = 1
	}
	blocked := 0.0
	if s.State == StateBlocked {
		blocked = 1
	}
	m.connected.WithLabelValues(role).Set(up)
	m.blocked.WithLabelValues(role).Set(blocked)
	m.session.WithLabelValues(role).Set(float64(s.Session))
}

// handled notes what a call of a handler took.
func (m *Metrics) handled(role string, took time.Duration) {
	m.handler.WithLabelValues(role).Observe(took.Seconds())
}

// targetOf is the label of where a message goes.
func targetOf(exchange string) string {
	if exchange == "" {
		return toQueue
	}
	return toExchange
}
