package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Sagas are the metrics of what the activities of a process do.
type Sagas struct {
	started  *prometheus.CounterVec   // by flow
	ended    *prometheus.CounterVec   // by flow, status and reason
	duration *prometheus.HistogramVec // by flow and status
	step     *prometheus.HistogramVec // by flow, step, kind, outcome and inline
	lag      prometheus.Histogram
	reasons  bounded
}

var _ activities.Metrics = (*Sagas)(nil)

// NewSagas registers the metrics. Started are the names of the flows. It panics when
// they are registered already.
func NewSagas(registry prometheus.Registerer, started ...string) *Sagas {
	factory := promauto.With(registry)
	s := &Sagas{
		started: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "ordersaga_sagas_started_total", Help: "Sagas whose first event was appended, by flow; of an endless flow those that got something to do.",
		}, []string{"flow"}),
		ended: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "ordersaga_sagas_ended_total",
			Help: "Sagas whose terminal event was appended, by flow, status and reason; of an endless flow those in which nothing was left to do.",
		}, []string{"flow", "status", "reason"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordersaga_saga_duration_seconds", Help: "Time from the first event of a saga to its terminal one, by flow and status; of an endless flow from the event that gave it something to do.",
			// To the longest wait for a delivery.
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400, 604800, 2592000},
		}, []string{"flow", "status"}),
		step: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordersaga_step_duration_seconds",
			Help: "Time that an attempt of a step took, by flow, step, kind (do, undo, lookup), outcome (done, refused, unknown) and inline: " +
				"whether it ran inside a workflow task. done is also an answer that the participant will notify; refused is every other answer, " +
				"such as not found or not now; unknown is none.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"flow", "step", "kind", "outcome", "inline"}),
		lag: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "ordersaga_publish_lag_seconds",
			Help:    "Time from an event to its confirm by the broker. A run that takes over publishes the events of its saga again.",
			Buckets: []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 86400},
		}),
	}
	for _, flow := range started {
		s.started.WithLabelValues(flow)
	}
	return s
}

// Started implements activities.Metrics.
func (s *Sagas) Started(flow string) { s.started.WithLabelValues(flow).Inc() }

// Ended implements activities.Metrics.
func (s *Sagas) Ended(flow string, status saga.Status, reason string, took time.Duration) {
	s.ended.WithLabelValues(flow, string(status), s.reasons.value(flow, reason)).Inc()
	s.duration.WithLabelValues(flow, string(status)).Observe(took.Seconds())
}

// Attempted implements activities.Metrics.
func (s *Sagas) Attempted(a activities.Attempt) {
	s.step.WithLabelValues(a.Flow, a.Step, string(a.Kind), string(a.Result), strconv.FormatBool(a.Inline)).Observe(a.Took.Seconds())
}

// Published implements activities.Metrics.
func (s *Sagas) Published(lag time.Duration) { s.lag.Observe(lag.Seconds()) }
