package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ordersaga/ordersaga/activities"
)

// Remote are the metrics of calls to external services.
type Remote struct {
	calls   *prometheus.CounterVec // by operation and mode
	refused *prometheus.CounterVec // by operation and reason
	p95     *prometheus.GaugeVec   // by operation
}

var _ activities.GateMetrics = (*Remote)(nil)

// NewRemote registers the metrics. It panics when they are registered already.
func NewRemote(registry prometheus.Registerer) *Remote {
	factory := promauto.With(registry)
	return &Remote{
		calls: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "ordersaga_remote_calls_total",
			Help: "Calls of external services by steps, by operation and mode: inline, inside a workflow task, or regular.",
		}, []string{"operation", "mode"}),
		refused: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "ordersaga_remote_inline_refused_total",
			Help: "Calls of external services that this process did not run inside a workflow task although one was waiting for them, by operation and reason: " +
				"slow, or full when too many tasks wait for services.",
		}, []string{"operation", "reason"}),
		p95: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ordersaga_remote_call_p95_seconds",
			Help: "95th percentile of the last 100 calls of an operation by this process, which is compared with REMOTE_INLINE_BUDGET. A call without an answer counts as the budget at least.",
		}, []string{"operation"}),
	}
}

// Called implements activities.GateMetrics.
func (r *Remote) Called(operation string, inline bool, p95 time.Duration) {
	mode := "regular"
	if inline {
		mode = "inline"
	}
	r.calls.WithLabelValues(operation, mode).Inc()
	r.p95.WithLabelValues(operation).Set(p95.Seconds())
}

// Refused implements activities.GateMetrics.
func (r *Remote) Refused(operation string, reason activities.Refusal) {
	r.refused.WithLabelValues(operation, string(reason)).Inc()
}
