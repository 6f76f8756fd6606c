// Package memlog is an event log in memory, for unit tests and workflow tests. It keeps the whole contract of
// eventlog.Log but durability, and passes the same suite as every other adapter.
package memlog

import (
	"context"
	"sort"
	"sync"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Log is an event log in memory. The zero value is not usable; call New.
type Log struct {
	mu      sync.Mutex
	streams map[string]*stream
}

type stream struct {
	records []event.Record
	keys    map[string]int
}

// New returns an empty log.
func New() *Log { return &Log{streams: make(map[string]*stream)} }

var _ eventlog.Log = (*Log)(nil)

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, name string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	if err := ctx.Err(); err != nil {
		return event.Head{}, nil, fault.Wrap(err, fault.Unavailable, "append to %s", name)
	}
	if _, err := eventlog.Seal(name, head, entries); err != nil {
		return event.Head{}, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[name]
	if s == nil {
		s = &stream{keys: make(map[string]int)}
	}
	if head.Version > int64(len(s.records)) || (head.Version > 0 && s.records[head.Version-1].Hash != head.Hash) {
		return event.Head{}, nil, fault.New(fault.Corrupt, "head %d is not part of stream %s", head.Version, name)
	}
	tail := s.records[head.Version:]
	settled, err := eventlog.Settle(name, head, tail, entries)
	if err != nil {
		return settled.Head, clone(tail), err
	}
	for _, e := range settled.Remaining {
		if at, taken := s.keys[e.Key]; taken && int64(at) < head.Version {
			standing := s.records[at]
			return settled.Head, clone(tail), &eventlog.TakenError{Stream: name, Key: e.Key, Standing: standing}
		}
	}
	if len(settled.Remaining) > 0 {
		records, err := eventlog.Seal(name, settled.Head, settled.Remaining)
		if err != nil {
			return event.Head{}, nil, err
		}
		for _, r := range records {
			s.keys[r.Key] = len(s.records)
			s.records = append(s.records, r)
		}
		l.streams[name] = s
	}
	tail = s.records[head.Version:]
	newest := head
	if n := len(tail); n > 0 {
		newest = tail[n-1].HeadOf()
	}
	return newest, clone(tail), nil
}

// Read implements eventlog.Reader.
func (l *Log) Read(_ context.Context, name string, after int64, limit int) ([]event.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[name]
	if s == nil || after >= int64(len(s.records)) {
		return nil, nil
	}
	records := s.records[max(after, 0):]
	if limit > 0 && len(records) > limit {
		records = records[:limit]
	}
	return clone(records), nil
}

// Head implements eventlog.Reader.
func (l *Log) Head(_ context.Context, name string) (event.Record, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[name]
	if s == nil || len(s.records) == 0 {
		return event.Record{}, false, nil
	}
	return s.records[len(s.records)-1], true, nil
}

// Find implements eventlog.Reader.
func (l *Log) Find(_ context.Context, name, key string) (event.Record, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[name]
	if s == nil {
		return event.Record{}, false, nil
	}
	at, ok := s.keys[key]
	if !ok {
		return event.Record{}, false, nil
	}
	return s.records[at], true, nil
}

// Streams returns the names of all streams, sorted; for assertions.
func (l *Log) Streams() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make([]string, 0, len(l.streams))
	for name := range l.streams {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func clone(records []event.Record) []event.Record {
	return append([]event.Record(nil), records...)
}
