package mongo

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ordersaga/ordersaga/event"
)

// newCache returns a cache of so many entries, at least one.
func newCache[V any](entries int) *lru.Cache[string, V] {
	c, err := lru.New[string, V](entries)
	if err != nil {
		panic(err)
	}
	return c
}

// headCache remembers the newest record of each stream that this process has seen. What it says is true, and may be old.
type headCache struct{ *lru.Cache[string, event.Head] }

func newHeadCache(size int) headCache { return headCache{newCache[event.Head](size)} }

// get returns the zero Head for a stream that it does not know.
func (c headCache) get(stream string) event.Head {
	head, _ := c.Get(stream)
	return head
}

// put remembers a head, unless a newer one is known. One that comes at the same time may win: an older head costs a read.
func (c headCache) put(stream string, head event.Head) {
	if c.get(stream).Version <= head.Version {
		c.Add(stream, head)
	}
}

// firstCache remembers the first records of streams that this process has begun: what a stream is about stands there,
// and whoever hears of the stream's end asks for it.
type firstCache struct {
	*lru.Cache[string, event.Record]
}

func newFirstCache(size int) firstCache { return firstCache{newCache[event.Record](size)} }

// put remembers the first of records if it begins its stream.
func (c firstCache) put(records []event.Record) {
	if len(records) > 0 && records[0].Version == 1 {
		c.Add(records[0].Stream, records[0])
	}
}
