package service

import (
	"time"

	"github.com/ordersaga/ordersaga/internal/metrics"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Labels of flows whose tables have other names.
const (
	labelLate         = "late-payment"
	labelOnboarding   = "onboarding"
	labelNotification = "notification"
)

// registerMetrics registers the metrics of sagas.
func (s *Service) registerMetrics() {
	names := map[string]string{
		latepayment.Flow.Name: labelLate, onboarding.Flow.Name: labelOnboarding, notification.Flow.Name: labelNotification,
	}
	// The streams of the other flows of this service begin elsewhere.
	started := []string{order.Flow.Name, labelNotification}
	for _, f := range s.added {
		started = append(started, f.Info().Name)
	}
	s.sagaMetrics, s.checkMetrics = metrics.NewSagas(s.registry, names, started...), metrics.NewReconcile(s.registry)
	metrics.NewBacklog(s.registry, metrics.BacklogConfig{
		Lists:   map[string]metrics.Tallier{order.Flow.Name: s.stores.orders, labelLate: s.stores.late, "": s.stores.sagas},
		Letters: s.stores.letters, Clock: time.Now, Logger: s.logger,
	})
}
