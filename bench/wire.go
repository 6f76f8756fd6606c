package main

import (
	"context"
	"sync"

	"github.com/ordersaga/ordersaga/bench/internal/procs"
	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/rig"
	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/bench/internal/wiretap"
)

type procSnapshot = procs.Snapshot

// histories is how many workflows of a scenario are looked at.
const histories = 3

// samples are the workflows that are looked at.
type samples struct {
	mu   sync.Mutex
	list []string
}

func (s *samples) note(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < histories {
		s.list = append(s.list, id)
	}
}

// wire is what n orders cost at the servers.
func (r *round) wire(ctx context.Context, c rig.Counts, n int, workflows []string) (*report.Wire, error) {
	w := &report.Wire{Orders: n, Temporal: traffic(c.Temporal, n), MongoDB: traffic(c.MongoDB, n), Broker: traffic(c.AMQP, n)}
	var lengths []float64
	for _, id := range workflows {
		events, err := rig.HistoryEvents(ctx, r.control, id)
		if err != nil {
			return nil, err
		}
		lengths = append(lengths, float64(events))
	}
	w.HistoryEvents = stats.SpreadOf(lengths).Median
	return w, nil
}

func traffic(c *wiretap.Counts, n int) *report.Traffic {
	if c == nil {
		return nil
	}
	t := &report.Traffic{
		Requests: float64(c.Total()) / float64(n), Bytes: float64(c.Sent+c.Received) / float64(n), ByName: map[string]float64{},
	}
	for name, count := range c.Requests {
		t.ByName[name] = float64(count) / float64(n)
	}
	return t
}
