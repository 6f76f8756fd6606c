package reconcile_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
)

// store is an event log whose records may be damaged in every way.
type store struct {
	mu      sync.Mutex
	streams map[string][]event.Record
	// ids are the _ids of documents that differ from their stream and version, by both.
	ids map[string]string
}

var _ reconcile.Log = (*store)(nil)

func (s *store) Walk(_ context.Context, sel eventlog.Selection) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		s.mu.Lock()
		names := slices.Sorted(maps.Keys(s.streams))
		s.mu.Unlock()
		for _, name := range names {
			if !sel.Selects(name) {
				continue
			}
			for _, r := range s.records(name) {
				var damaged error
				if id := s.ids[documentID(r)]; id != "" {
					damaged = fault.New(fault.Corrupt, "version %d of stream %s has the _id %q", r.Version, name, id)
				}
				if !yield(r, damaged) {
					return
				}
			}
		}
	}
}

func (s *store) records(stream string) []event.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	records := slices.Clone(s.streams[stream])
	slices.SortStableFunc(records, func(a, b event.Record) int { return int(a.Version - b.Version) })
	return records
}

func (s *store) Read(_ context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	records := slices.DeleteFunc(s.records(stream), func(r event.Record) bool { return r.Version <= after })
	if limit > 0 {
		records = records[:min(limit, len(records))]
	}
	return records, nil
}

func (s *store) Head(_ context.Context, stream string) (event.Record, bool, error) {
	records := s.records(stream)
	if len(records) == 0 {
		return event.Record{}, false, nil
	}
	return records[len(records)-1], true, nil
}

func (s *store) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	found, err := s.FindAll(ctx, stream, []string{key})
	r, ok := found[key]
	return r, ok, err
}

func (s *store) FindAll(_ context.Context, stream string, keys []string) (map[string]event.Record, error) {
	found := make(map[string]event.Record)
	for _, r := range s.records(stream) {
		if _, first := found[r.Key]; !first && slices.Contains(keys, r.Key) {
			found[r.Key] = r
		}
	}
	return found, nil
}

func (s *store) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	newest, _, _ := s.Head(ctx, stream)
	tail, _ := s.Read(ctx, stream, head.Version, 0)
	for _, e := range entries {
		if standing, taken, _ := s.Find(ctx, stream, e.Key); taken {
			return newest.HeadOf(), tail, &eventlog.TakenError{Stream: stream, Key: e.Key, Existing: standing}
		}
	}
	if newest.HeadOf() != head {
		return newest.HeadOf(), tail, fault.New(fault.Concurrency, "stream %s has gone on", stream)
	}
	records, err := eventlog.Seal(stream, head, entries)
	if err != nil {
		return event.Head{}, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[stream] = append(s.streams[stream], records...)
	return records[len(records)-1].HeadOf(), records, nil
}

// edit changes a stream and seals its records again: the chain is intact afterwards.
func (s *store) edit(stream string, change func([]event.Record) []event.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := event.Head{}
	records := change(slices.Clone(s.streams[stream]))
	sealed := make([]event.Record, 0, len(records))
	for _, r := range records {
		one, err := eventlog.Seal(stream, head, []event.Entry{r.Entry})
		if err != nil {
			panic(err)
		}
		sealed, head = append(sealed, one[0]), one[0].HeadOf()
	}
	s.streams[stream] = sealed
}

// damage changes a stream without sealing it again.
func (s *store) damage(stream string, change func([]event.Record) []event.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[stream] = change(slices.Clone(s.streams[stream]))
}
