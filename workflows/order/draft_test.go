package order_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestDraftBoundsItsLines(t *testing.T) {
	lines, ok := reflect.TypeFor[order.Draft]().FieldByName("Lines")
	require.True(t, ok)
	require.Equal(t, fmt.Sprintf("%d lines", order.MaxLines), lines.Tag.Get("most"))
}

func TestRulesAboutSeveralLinesIgnoreUnreadLines(t *testing.T) {
	d := order.Draft{CustomerID: "c-7", Currency: "EUR", Payment: order.PaymentMethod{Method: "tok_visa"}, Lines: []order.Line{
		{SKU: "tea", Quantity: 1, UnitAmount: 450}, {SKU: "tea", Quantity: order.MaxQuantity}, {SKU: "cup", Quantity: 1, UnitAmount: -900, Stocked: new(bool)},
	}}
	none := func(string) bool { return false }
	require.Error(t, d.Order(none).Validate(), "too many of one SKU, and a total below zero")
	o := d.Order(func(pointer string) bool { return pointer == "/lines/1" })
	require.NoError(t, o.Validate())
	require.Equal(t, "unread.line.1", o.Lines[1].SKU)
}
