package readmodel

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestListRefuses(t *testing.T) {
	good := cursor.Orders.Format(cursor.Position{Millis: 1772366400123, ID: "o-1.a_b"})
	for name, c := range map[string]struct {
		filter  Filter
		pointer string
	}{
		"status":      {Filter{Statuses: []order.Status{order.StatusAccepted, "lost"}}, "/status"},
		"customer":    {Filter{CustomerID: "a "}, "/customerId"},
		"limit below": {Filter{Limit: -1}, "/limit"},
		"limit above": {Filter{Limit: cursor.MaxLimit + 1}, "/limit"},
		"cursor":      {Filter{Cursor: "?"}, "/cursor"},
	} {
		err := c.filter.Validate()
		require.ErrorIs(t, err, fault.Invalid, name)
		require.Len(t, fault.FieldsOf(err), 1, name)
		require.Equal(t, c.pointer, fault.FieldsOf(err)[0].Pointer, name)
	}
	require.NoError(t, Filter{Cursor: good, Limit: cursor.MaxLimit}.Validate())
	require.Len(t, fault.FieldsOf(Filter{Cursor: "?", Limit: -1, CustomerID: ".."}.Validate()), 3, "all at once")
}
