// Package memlog is an event log in memory, for unit tests and workflow tests. It fulfils the contract of eventlog.Log except durability, and
// passes the same contract suite as other adapters.
package memlog

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Log is an event log in memory. Use New to create it.
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

var (
	_ eventlog.Log    = (*Log)(nil)
	_ eventlog.Lister = (*Log)(nil)
	_ eventlog.Walker = (*Log)(nil)
)

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
	if head.Version > int64(len(s.records)) {
		return event.Head{}, nil, fault.Missing("version %d of stream %s, the head of the append, was not found", head.Version, name)
	}
	if head.Version > 0 && s.records[head.Version-1].Hash != head.Hash {
		return event.Head{}, nil, fault.New(fault.Corrupt, "head %d is not part of stream %s", head.Version, name)
	}
	tail := s.records[head.Version:]
	state, err := eventlog.Reconcile(name, head, tail, entries)
	if err != nil {
		return state.Head, clone(tail), err
	}
	newest, taken := state.Head, (*eventlog.TakenError)(nil)
	if len(state.Remaining) > 0 {
		records, err := eventlog.Seal(name, state.Head, state.Remaining)
		if err != nil {
			return event.Head{}, nil, err
		}
		newest, taken = s.write(name, state.Head, records)
		l.streams[name] = s
	}
	tail = clone(s.records[head.Version:])
	if taken != nil {
		return newest, tail, taken
	}
	return newest, tail, nil
}

// write writes like an ordered insert: it stops at the first record whose key is taken.
func (s *stream) write(name string, head event.Head, records []event.Record) (event.Head, *eventlog.TakenError) {
	for _, r := range records {
		if at, taken := s.keys[r.Key]; taken {
			return head, &eventlog.TakenError{Stream: name, Key: r.Key, Existing: clone(s.records[at : at+1])[0]}
		}
		r.Data = bytes.Clone(r.Data)
		s.keys[r.Key] = len(s.records)
		s.records = append(s.records, r)
		head = r.HeadOf()
	}
	return head, nil
}

// Read implements eventlog.Reader.
func (l *Log) Read(ctx context.Context, name string, after int64, limit int) ([]event.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "read %s", name)
	}
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
func (l *Log) Head(ctx context.Context, name string) (event.Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return event.Record{}, false, fault.Wrap(err, fault.Unavailable, "read head of %s", name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[name]
	if s == nil || len(s.records) == 0 {
		return event.Record{}, false, nil
	}
	return clone(s.records[len(s.records)-1:])[0], true, nil
}

// FindAll implements eventlog.Reader.
func (l *Log) FindAll(ctx context.Context, name string, keys []string) (map[string]event.Record, error) {
	found := make(map[string]event.Record, len(keys))
	for _, key := range keys {
		r, ok, err := l.Find(ctx, name, key)
		if err != nil {
			return nil, err
		}
		if ok {
			found[key] = r
		}
	}
	return found, nil
}

// Find implements eventlog.Reader.
func (l *Log) Find(ctx context.Context, name, key string) (event.Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return event.Record{}, false, fault.Wrap(err, fault.Unavailable, "find %s in %s", key, name)
	}
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
	return clone(s.records[at : at+1])[0], true, nil
}

// Streams implements eventlog.Lister. It yields the streams that exist when the iteration starts.
func (l *Log) Streams(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range l.Names() {
			if !strings.HasPrefix(name, prefix) || name <= after {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield("", fault.Wrap(err, fault.Unavailable, "list streams"))
				return
			}
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Walk implements eventlog.Walker. It yields the streams that exist when the iteration starts.
func (l *Log) Walk(ctx context.Context, s eventlog.Selection) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for _, name := range l.Names() {
			if !s.Selects(name) {
				continue
			}
			records, err := l.Read(ctx, name, 0, 0)
			if err != nil {
				yield(event.Record{}, err)
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// Names returns the sorted names of all streams, for assertions.
func (l *Log) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.streams))
}

// clone returns a deep copy, so that callers cannot change the log.
func clone(records []event.Record) []event.Record {
	copies := slices.Clone(records)
	for i := range copies {
		copies[i].Data = bytes.Clone(copies[i].Data)
	}
	return copies
}
