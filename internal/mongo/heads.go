package mongo

import (
	"sync"

	"github.com/ordersaga/ordersaga/event"
)

// generations is a map that keeps between size and twice size entries: two generations, of which the older one is
// dropped as a whole. Safe for concurrent use.
type generations[V any] struct {
	mu         sync.Mutex
	size       int
	young, old map[string]V
}

func newGenerations[V any](size int) *generations[V] {
	return &generations[V]{size: size, young: make(map[string]V)}
}

func (g *generations[V]) get(name string) (v V, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.find(name)
}

// find needs the lock.
func (g *generations[V]) find(name string) (v V, known bool) {
	if v, known = g.young[name]; known {
		return v, true
	}
	v, known = g.old[name]
	return v, known
}

// put remembers v, unless keep says that what is known is to stay.
func (g *generations[V]) put(name string, v V, keep func(known V) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known, there := g.find(name); there && keep(known) {
		v = known
	}
	if _, young := g.young[name]; !young && len(g.young) >= g.size {
		g.old, g.young = g.young, make(map[string]V)
	}
	g.young[name] = v
}

func (g *generations[V]) forget(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.young, name)
	delete(g.old, name)
}

// headCache remembers the newest record of each stream that this process has seen. What it says is true, and may be old.
type headCache struct{ *generations[event.Head] }

func newHeadCache(size int) *headCache { return &headCache{newGenerations[event.Head](size)} }

// get returns the zero Head for a stream that it does not know.
func (c *headCache) get(stream string) event.Head {
	head, _ := c.generations.get(stream)
	return head
}

// put remembers a head, unless a newer one is known.
func (c *headCache) put(stream string, head event.Head) {
	c.generations.put(stream, head, func(known event.Head) bool { return known.Version > head.Version })
}

// firstCache remembers the first records of streams that this process has begun: what a stream is about stands there,
// and whoever hears of the stream's end asks for it.
type firstCache struct{ *generations[event.Record] }

func newFirstCache(size int) *firstCache { return &firstCache{newGenerations[event.Record](size)} }

// put remembers the first of records if it begins its stream.
func (c *firstCache) put(records []event.Record) {
	if len(records) > 0 && records[0].Version == 1 {
		c.generations.put(records[0].Stream, records[0], func(event.Record) bool { return false })
	}
}
