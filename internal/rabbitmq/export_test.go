package rabbitmq

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// ConsumerStats are a consumer's metrics.
type ConsumerStats struct {
	Handled, Acknowledged, Redelivered, Parked, DeadLettered, Returned, Requeued, Stale uint64
}

// Stats reads the metrics of the consumer's role.
func (c *Consumer) Stats() ConsumerStats {
	read := func(metric any) *dto.Metric {
		m := new(dto.Metric)
		if err := metric.(prometheus.Metric).Write(m); err != nil {
			panic(err)
		}
		return m
	}
	n := func(o outcome) uint64 {
		return uint64(read(c.cfg.Metrics.deliveries.WithLabelValues(c.link.role, string(o))).GetCounter().GetValue())
	}
	return ConsumerStats{
		Handled:      read(c.cfg.Metrics.handler.WithLabelValues(c.link.role)).GetHistogram().GetSampleCount(),
		Acknowledged: n(acknowledged), Redelivered: n(redelivered), Parked: n(parked), DeadLettered: n(deadLettered),
		Returned: n(returned), Requeued: n(requeued), Stale: n(stale),
	}
}

// Wait is the wait queue of the inbox for a delay.
func (t Topology) Wait(delay time.Duration) string { return WaitOf(t.Inbox(), delay) }
