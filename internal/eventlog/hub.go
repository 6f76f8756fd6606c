package eventlog

import (
	"sync"

	"github.com/ordersaga/ordersaga/event"
)

// maxPending bounds the records that wait for a slow watcher, which then reads the log.
const maxPending = 256

// hub passes records that this process appends to the watchers of their streams. Its zero value is ready.
type hub struct {
	mu   sync.Mutex
	subs map[string]map[*subscription]struct{}
}

// subscription is one watcher of one stream. The mutex of the hub protects it.
type subscription struct {
	// wake has a token if there are new records.
	wake chan struct{}
	// pending has the records to pass on, by version.
	pending map[int64]event.Record
	// missed is set if records were dropped or are only in the log.
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

// publish passes records to the watchers of a stream. It does not block.
func (h *hub) publish(stream string, records []event.Record) {
	if len(records) == 0 {
		return
	}
	h.each(stream, func(s *subscription) {
		if len(s.pending)+len(records) > maxPending {
			clear(s.pending)
			s.missed = true
			return
		}
		for _, r := range records {
			s.pending[r.Version] = r
		}
	})
}

// notify makes the watchers of a stream read the log.
func (h *hub) notify(stream string) { h.each(stream, func(s *subscription) { s.missed = true }) }

// each updates the subscriptions of a stream and wakes their watchers.
func (h *hub) each(stream string, update func(*subscription)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[stream] {
		update(s)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// take returns the pending records that follow after without a gap. complete is false if the log must be read.
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
