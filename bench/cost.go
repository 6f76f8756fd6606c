package main

import (
	"context"
	"sync"

	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/rig"
	"github.com/ordersaga/ordersaga/bench/internal/stats"
)

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

// cost is what an order costs at the servers.
func (r *round) cost(ctx context.Context, commands map[string]float64, workflows []string) (*report.Cost, error) {
	var lengths []float64
	for _, id := range workflows {
		events, err := rig.HistoryEvents(ctx, r.control, id)
		if err != nil {
			return nil, err
		}
		lengths = append(lengths, float64(events))
	}
	return &report.Cost{HistoryEvents: stats.SpreadOf(lengths).Median, Commands: commands}, nil
}
