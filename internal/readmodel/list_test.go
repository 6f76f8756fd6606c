package readmodel

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

func TestListRefuses(t *testing.T) {
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	good := position{createdAt: 1772366400123, id: "o-1.a_b"}.String()
	for name, c := range map[string]struct {
		filter  Filter
		pointer string
	}{
		"status":             {Filter{Statuses: []order.Status{order.StatusAccepted, "lost"}}, "/status"},
		"customer":           {Filter{CustomerID: "a b"}, "/customerId"},
		"limit below":        {Filter{Limit: -1}, "/limit"},
		"limit above":        {Filter{Limit: MaxLimit + 1}, "/limit"},
		"cursor of nothing":  {Filter{Cursor: "?"}, "/cursor"},
		"cursor of a text":   {Filter{Cursor: encode("hello")}, "/cursor"},
		"cursor of a future": {Filter{Cursor: encode("b.1.o-1")}, "/cursor"},
		"cursor, no number":  {Filter{Cursor: encode("a.?.o-1")}, "/cursor"},
		"cursor, big number": {Filter{Cursor: encode("a.zzzzzzzzzzzzzzzzz.o-1")}, "/cursor"},
		"cursor, other form": {Filter{Cursor: encode("a.01.o-1")}, "/cursor"},
		"cursor, no id":      {Filter{Cursor: encode("a.1.")}, "/cursor"},
		"cursor, padded":     {Filter{Cursor: good + "="}, "/cursor"},
		"cursor, cut":        {Filter{Cursor: good[:4]}, "/cursor"},
	} {
		err := c.filter.Validate()
		require.ErrorIs(t, err, fault.Invalid, name)
		require.Len(t, fault.FieldsOf(err), 1, name)
		require.Equal(t, c.pointer, fault.FieldsOf(err)[0].Pointer, name)
	}
	require.NoError(t, Filter{Cursor: good, Limit: MaxLimit}.Validate())
	require.Len(t, fault.FieldsOf(Filter{Cursor: "?", Limit: -1, CustomerID: "?"}.Validate()), 3, "all at once")
}

func FuzzCursor(f *testing.F) {
	f.Add(position{createdAt: 1772366400123, id: "o-1"}.String())
	f.Add("YS4xLm8")
	f.Fuzz(func(t *testing.T, cursor string) {
		p, ok := parseCursor(cursor)
		if ok {
			require.Equal(t, cursor, p.String(), "one cursor a position")
		}
	})
}
