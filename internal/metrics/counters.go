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

// NewBreakers registers the states of the breakers of participants, by participant. It panics when they are registered already.
func NewBreakers(registry prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "ordersaga_participant_breaker_state",
		Help: "State of the breaker of a payment or inventory service over HTTP: 0 lets calls pass, 1 tries one call, 2 lets none pass after several failures in a row. It is 0 without such a service.",
	}, []string{"participant"})
}
