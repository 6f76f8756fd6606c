package inventory

import (
	"container/list"
	"sync"
)

// lru is a map that forgets what was not used for longest. It may be used by any number of goroutines.
type lru[K comparable, V any] struct {
	mu    sync.Mutex
	limit int
	// byUse holds pairs, the last used one in front.
	byUse *list.List
	items map[K]*list.Element
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{limit: limit, byUse: list.New(), items: make(map[K]*list.Element)}
}

func (c *lru[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.items[key]
	if !ok {
		var none V
		return none, false
	}
	c.byUse.MoveToFront(item)
	return item.Value.(*pair[K, V]).value, true
}

func (c *lru[K, V]) put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if item, ok := c.items[key]; ok {
		item.Value.(*pair[K, V]).value = value
		c.byUse.MoveToFront(item)
		return
	}
	c.items[key] = c.byUse.PushFront(&pair[K, V]{key, value})
	for c.byUse.Len() > c.limit {
		oldest := c.byUse.Back()
		delete(c.items, oldest.Value.(*pair[K, V]).key)
		c.byUse.Remove(oldest)
	}
}
