package mongo

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
)

func TestHeadCacheIsBoundedAndMonotonic(t *testing.T) {
	const size = 10
	c := headCache{newCache[event.Head](size)}
	for round := range 3 {
		for i := range 100 {
			stream := fmt.Sprintf("s%d", i)
			c.put(stream, event.Head{Version: int64(100 - round), Hash: "h"})
			require.Equal(t, "h", c.get(stream).Hash)
			require.LessOrEqual(t, c.Len(), size)
		}
	}
	c.put("s", event.Head{Version: 7})
	c.put("s", event.Head{Version: 6})
	require.Equal(t, int64(7), c.get("s").Version)
	c.Remove("s")
	require.Zero(t, c.get("s"))
}

func TestFirstCacheHoldsFirstRecordsOnly(t *testing.T) {
	c := firstRecordCache{newCache[event.Record](2)}
	c.put(nil)
	c.put([]event.Record{{Stream: "a", Version: 2}, {Stream: "a", Version: 3}})
	_, known := c.Get("a")
	require.False(t, known)
	c.put([]event.Record{{Stream: "a", Version: 1, Hash: "h"}, {Stream: "a", Version: 2}})
	first, known := c.Get("a")
	require.True(t, known)
	require.Equal(t, "h", first.Hash)
	for i := range 4 {
		c.put([]event.Record{{Stream: fmt.Sprint(i), Version: 1}})
	}
	_, known = c.Get("a")
	require.False(t, known, "it is withTimeout")
}
