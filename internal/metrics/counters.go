package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// NewCancellations registers the counter of cancellations that were refused without an event.
func NewCancellations(registry prometheus.Registerer) prometheus.Counter {
	return promauto.With(registry).NewCounter(prometheus.CounterOpts{
		Name: "ordersaga_cancellations_refused_total",
		Help: "Cancellations that were refused without an event of their own: an earlier refusal, or the end of the order, is the answer.",
	})
}

// NewDeadLetters registers the counter of dead letters, by reason.
func NewDeadLetters(registry prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "ordersaga_dead_letters_total", Help: "Dead letters that were kept, by reason.",
	}, []string{"reason"})
}
