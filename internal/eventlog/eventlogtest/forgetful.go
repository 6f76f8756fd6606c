package eventlogtest

import (
	"context"
	"slices"
	"sync"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// LossyLog is a log whose ordinary reads miss the newest records of some streams, as majority reads may after a failover. Appends and
// ReadCertain miss nothing.
type LossyLog struct {
	eventlog.Log

	mu sync.Mutex
	// seen is the newest version that ordinary reads return, by stream.
	seen map[string]int64
}

var _ eventlog.CertainReader = (*LossyLog)(nil)

// NewLossyLog wraps a log. At first it hides nothing.
func NewLossyLog(log eventlog.Log) *LossyLog {
	return &LossyLog{Log: log, seen: make(map[string]int64)}
}

// Forget hides the records of a stream above a version.
func (f *LossyLog) Forget(stream string, above int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[stream] = above
}

// Remember shows all records again.
func (f *LossyLog) Remember() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.seen)
}

// hides reports whether a record is hidden.
func (f *LossyLog) hides(r event.Record) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	above, forgotten := f.seen[r.Stream]
	return forgotten && r.Version > above
}

// Read implements eventlog.Reader.
func (f *LossyLog) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	records, err := f.Log.Read(ctx, stream, after, limit)
	return slices.DeleteFunc(records, f.hides), err
}

// ReadCertain implements eventlog.CertainReader.
func (f *LossyLog) ReadCertain(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return f.Log.Read(ctx, stream, after, limit)
}

// Head implements eventlog.Reader.
func (f *LossyLog) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	records, err := f.Read(ctx, stream, 0, 0)
	if err != nil || len(records) == 0 {
		return event.Record{}, false, err
	}
	return records[len(records)-1], true, nil
}

// Find implements eventlog.Reader.
func (f *LossyLog) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	r, ok, err := f.Log.Find(ctx, stream, key)
	if ok && f.hides(r) {
		return event.Record{}, false, err
	}
	return r, ok, err
}

// FindAll implements eventlog.Reader.
func (f *LossyLog) FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	found, err := f.Log.FindAll(ctx, stream, keys)
	for key, r := range found {
		if f.hides(r) {
			delete(found, key)
		}
	}
	return found, err
}
