package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ordersaga/ordersaga/internal/reconcile"
)

// Reconcile are the metrics of the scheduled check of what must hold.
type Reconcile struct {
	violations *prometheus.GaugeVec // by kind
	success    prometheus.Gauge
}

// NewReconcile registers the metrics. It panics when they are registered already.
func NewReconcile(registry prometheus.Registerer) *Reconcile {
	factory := promauto.With(registry)
	return &Reconcile{
		violations: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ordersaga_reconcile_violations",
			Help: "Violations that the newest check of this process found, repaired ones included, by kind. " +
				"The newest check of a deployment is that of the process with the newest ordersaga_reconcile_last_success_timestamp_seconds.",
		}, []string{"kind"}),
		success: factory.NewGauge(prometheus.GaugeOpts{
			Name: "ordersaga_reconcile_last_success_timestamp_seconds",
			Help: "When the newest check of this process ended, in Unix time; 0 before the first one. A check that found violations is one, too.",
		}),
	}
}

// Done sets what a check has found.
func (r *Reconcile) Done(report reconcile.Report, at time.Time) {
	counts := make(map[reconcile.Kind]int)
	for _, f := range report.Findings {
		if !f.Note {
			counts[f.Kind]++
		}
	}
	for _, m := range reconcile.Kinds {
		if !m.Note {
			r.violations.WithLabelValues(string(m.Kind)).Set(float64(counts[m.Kind]))
		}
	}
	r.violations.WithLabelValues(other).Set(float64(report.Unlisted))
	r.success.Set(float64(at.UnixMilli()) / 1000)
}
