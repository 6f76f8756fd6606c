package mongolog

import (
	"context"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ordersaga/ordersaga/event"
)

const (
	// keysPage is how many records of a stream are read for their keys at a time.
	keysPage = 256
	// keyStreams is how many streams' keys are remembered.
	keyStreams = 256
)

// keyCache is the index over keys that FerretDB 1 does not have: for streams in which keys were looked for, the
// version of each key, as far as the stream was read. Records never change, so what it says is true, and what it does
// not say is read behind it. It is for a stand-in with small streams: it holds every key of a stream.
type keyCache struct {
	*lru.Cache[string, *streamKeys]
}

// streamKeys are the keys of one stream up to a version.
type streamKeys struct {
	mu       sync.Mutex
	through  int64
	versions map[string]int64
}

// of returns the keys of a stream.
func (c keyCache) of(stream string) *streamKeys {
	if known, ok := c.Get(stream); ok {
		return known
	}
	fresh := &streamKeys{versions: make(map[string]int64)}
	if known, ok, _ := c.PeekOrAdd(stream, fresh); ok {
		return known
	}
	return fresh
}

// findProbe returns the records of stream that hold one of keys.
func (l *Log) findProbe(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	known := l.keys.of(stream)
	versions, err := known.find(ctx, l, stream, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]event.Record, len(keys))
	for key, version := range versions {
		r, ok, err := l.get(ctx, stream, version)
		if err != nil {
			return nil, err
		}
		if !ok || r.Key != key {
			// The collection was emptied under this process.
			l.keys.Remove(stream)
			return l.findProbe(ctx, stream, keys)
		}
		found[key] = r
	}
	return found, nil
}

// find returns the versions of those keys that stand in the stream now. Callers that look at the same time read on
// together: one reads, the others wait.
func (k *streamKeys) find(ctx context.Context, l *Log, stream string, keys []string) (map[string]int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.pick(keys)
	if len(found) == len(keys) {
		return found, nil
	}
	for {
		// A page at a time, so that what a caller with little time has read is kept for the next one. A scan of the
		// collection would be no quicker for any stream of a size that this server can bear.
		records, err := l.readProbe(ctx, stream, k.through, keysPage)
		if err != nil {
			return nil, err
		}
		k.add(records)
		if len(records) < keysPage {
			break
		}
	}
	return k.pick(keys), nil
}

func (k *streamKeys) add(records []event.Record) {
	for _, r := range records {
		k.versions[r.Key] = r.Version
		k.through = r.Version
	}
}

func (k *streamKeys) pick(keys []string) map[string]int64 {
	found := make(map[string]int64, len(keys))
	for _, key := range keys {
		if version, ok := k.versions[key]; ok {
			found[key] = version
		}
	}
	return found
}
