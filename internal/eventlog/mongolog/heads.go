package mongolog

import (
	"sync"

	"github.com/ordersaga/ordersaga/internal/event"
)

// headCache remembers the newest record of each stream that this process has seen. What it says is true, and
// may be old. It keeps between size and twice size streams: two generations, of which the older one is dropped
// as a whole.
type headCache struct {
	mu         sync.Mutex
	size       int
	young, old map[string]event.Head
}

func newHeadCache(size int) *headCache {
	return &headCache{size: size, young: make(map[string]event.Head)}
}

// get returns the zero Head for a stream that it does not know.
func (c *headCache) get(stream string) event.Head {
	c.mu.Lock()
	defer c.mu.Unlock()
	if head, ok := c.young[stream]; ok {
		return head
	}
	return c.old[stream]
}

// put remembers a head, unless a newer one is known.
func (c *headCache) put(stream string, head event.Head) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, young := c.young[stream]
	if !young {
		known = c.old[stream]
	}
	if known.Version > head.Version {
		head = known
	}
	if !young && len(c.young) >= c.size {
		c.old, c.young = c.young, make(map[string]event.Head)
	}
	c.young[stream] = head
}

func (c *headCache) forget(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, stream)
	delete(c.old, stream)
}
