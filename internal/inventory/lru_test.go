package inventory

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLRUForgetsWhatWasNotUsedForLongest(t *testing.T) {
	c := newLRU[string, int](2)
	c.put("a", 1)
	c.put("b", 2)
	c.put("a", 3)
	c.put("c", 4)
	_, ok := c.get("b")
	require.False(t, ok)
	got, ok := c.get("a")
	require.True(t, ok)
	require.Equal(t, 3, got)
	c.put("d", 5)
	_, ok = c.get("c")
	require.False(t, ok)
	require.Len(t, c.items, 2)
	require.Equal(t, 2, c.byUse.Len())
}
