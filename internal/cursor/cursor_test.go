package cursor_test

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/cursor"
)

// Clients keep cursors: those that were given out must stay good.
func TestCursorFormatIsStable(t *testing.T) {
	p := cursor.Position{Millis: 1772366400123, ID: "o-1.a_b"}
	for list, text := range map[cursor.List]string{
		cursor.Orders: "YS5tbTdwNnlyZi5vLTEuYV9i", cursor.DeadLetters: "ZC5tbTdwNnlyZi5vLTEuYV9i",
	} {
		require.Equal(t, text, list.Format(p))
		got, ok := list.Parse(text)
		require.True(t, ok)
		require.Equal(t, p, got)
	}
	_, ok := cursor.DeadLetters.Parse(cursor.Orders.Format(p))
	require.False(t, ok, "a cursor of another list")
}

func TestBadCursorsAndLimits(t *testing.T) {
	good := cursor.Orders.Format(cursor.Position{Millis: 1772366400123, ID: "o-1.a_b"})
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, bad := range map[string]string{
		"no base64": "?", "a text": encode("hello"), "another form": encode("b.1.o-1"), "no number": encode("a.?.o-1"),
		"big number": encode("a.zzzzzzzzzzzzzzzzz.o-1"), "leading zero": encode("a.01.o-1"), "no id": encode("a.1."),
		"padded": good + "=", "cut": good[:4],
	} {
		wrong := cursor.Orders.Check(bad, 1)
		require.Len(t, wrong, 1, name)
		require.Equal(t, "/cursor", wrong[0].Pointer, name)
	}
	require.Empty(t, cursor.Orders.Check(good, cursor.MaxLimit))
	require.Empty(t, cursor.Orders.Check("", 0))
	require.Len(t, cursor.Orders.Check("?", -1), 2, "all at once")
	require.Len(t, cursor.Orders.Check("", cursor.MaxLimit+1), 1)
}

func FuzzParse(f *testing.F) {
	f.Add(cursor.Orders.Format(cursor.Position{Millis: 1772366400123, ID: "o-1"}))
	f.Add("ZC4xLm8")
	f.Fuzz(func(t *testing.T, text string) {
		for _, list := range []cursor.List{cursor.Orders, cursor.DeadLetters} {
			if p, ok := list.Parse(text); ok {
				require.Equal(t, text, list.Format(p), "one cursor a position")
			}
		}
	})
}
