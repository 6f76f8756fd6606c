package eventlog

import (
	"sync"

	"github.com/ordersaga/ordersaga/event"
)

// maxPending bounds what waits for a slow watcher; above it the watcher reads the log.
const maxPending = 256

// hub hands the records that this process appends to those who watch their streams. The zero hub is ready.
type hub struct {
	mu   sync.Mutex
	subs map[string]map[*subscription]struct{}
}

// subscription is one watcher of one stream. The hub's mutex guards it.
type subscription struct {
	// wake has room for one: there is news.
	wake chan struct{}
	// pending are records to hand over, by version.
	pending map[int64]event.Record
	// missed tells that records were dropped.
	missed bool
}

func (h *hub) subscribe(stream string) *subscription {
	s := &subscription{wake: make(chan struct{}, 1), pending: make(map[int64]event.Record)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = make(map[string]map[*subscription]struct{})
	}
	if h.subs[stream] == nil {
		h.subs[stream] = make(map[*subscription]struct{})
	}
	h.subs[stream][s] = struct{}{}
	return s
}

func (h *hub) unsubscribe(stream string, s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs[stream], s)
	if len(h.subs[stream]) == 0 {
		delete(h.subs, stream)
	}
}

// publish never waits for a watcher.
func (h *hub) publish(stream string, records []event.Record) {
	if len(records) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[stream] {
		if len(s.pending)+len(records) > maxPending {
			clear(s.pending)
			s.missed = true
		} else {
			for _, r := range records {
				s.pending[r.Version] = r
			}
		}
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// nudge wakes the watchers of a stream, and has them read the log.
func (h *hub) nudge(stream string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[stream] {
		s.missed = true
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// take returns the pending records that follow after without a gap. Complete is false when there are records
// that it does not know, so that the log must be read.
func (h *hub) take(s *subscription, after int64) (records []event.Record, complete bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	newest := after
	for version := range s.pending {
		newest = max(newest, version)
	}
	complete = !s.missed
	for version := after + 1; version <= newest && complete; version++ {
		r, known := s.pending[version]
		if !known {
			complete = false
			break
		}
		records = append(records, r)
	}
	clear(s.pending)
	s.missed = false
	return records, complete
}
