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

// NewExpiredDeadLetters registers the counter of dead letters that were deleted, or discarded, because their time was over.
func NewExpiredDeadLetters(registry prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "ordersaga_dead_letters_expired_total",
		Help: "Dead letters whose retention was over: deleted ones, for which a decision was made, and open ones that were discarded.",
	}, []string{"outcome"})
}

// NewDeadLetters registers the counter of dead letters, by reason.
func NewDeadLetters(registry prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "ordersaga_dead_letters_total", Help: "Dead letters that were kept, by reason.",
	}, []string{"reason"})
}
