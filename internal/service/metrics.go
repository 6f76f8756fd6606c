package service

import (
	"time"

	"github.com/ordersaga/ordersaga/internal/metrics"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// registerMetrics registers the metrics of sagas.
func (s *Service) registerMetrics() {
	var started []string
	for _, f := range s.tables() {
		started = append(started, f.Info().Name)
	}
	s.sagaMetrics, s.checkMetrics = metrics.NewSagas(s.registry, started...), metrics.NewReconcile(s.registry)
	s.remoteMetrics = metrics.NewRemote(s.registry)
	metrics.NewBacklog(s.registry, metrics.BacklogConfig{
		Lists:   map[string]metrics.Tallier{order.Flow.Name: s.stores.orders, "": s.stores.sagas},
		Letters: s.stores.letters, Clock: time.Now, Logger: s.logger,
	})
}
