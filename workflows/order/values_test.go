package order_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func valid() order.Order {
	return order.Order{
		ID: "42", CustomerID: "c-7", Currency: "EUR",
		Lines:   []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: 450}, {SKU: "pot", Quantity: 1, UnitAmount: 2900}},
		Payment: order.PaymentMethod{Method: "tok_visa"}, Fulfillment: order.Immediate,
	}
}

func TestValidateNamesTheField(t *testing.T) {
	cases := []struct {
		name    string
		spoil   func(*order.Order)
		pointer string
	}{
		{"no customer", func(o *order.Order) { o.CustomerID = "" }, "/customerId"},
		{"customer with a line break", func(o *order.Order) { o.CustomerID = "a\nb" }, "/customerId"},
		{"currency in small letters", func(o *order.Order) { o.Currency = "eur" }, "/currency"},
		{"no lines", func(o *order.Order) { o.Lines = nil }, "/lines"},
		{"too many lines", func(o *order.Order) { o.Lines = make([]order.Line, order.MaxLines+1) }, "/lines"},
		{"no sku", func(o *order.Order) { o.Lines[1].SKU = "" }, "/lines/1/sku"},
		{"quantity zero", func(o *order.Order) { o.Lines[0].Quantity = 0 }, "/lines/0/quantity"},
		{"negative quantity", func(o *order.Order) { o.Lines[0].Quantity = -1 }, "/lines/0/quantity"},
		{"quantity too large", func(o *order.Order) { o.Lines[0].Quantity = order.MaxQuantity + 1 }, "/lines/0/quantity"},
		{"negative price", func(o *order.Order) { o.Lines[0].UnitAmount = -1 }, "/lines/0/unitAmount"},
		{"total too large", func(o *order.Order) {
			o.Lines[0].Quantity, o.Lines[0].UnitAmount = order.MaxQuantity, order.MaxAmount
		}, "/lines/0"},
		{"two prices for one sku", func(o *order.Order) { o.Lines[1].SKU = "tea" }, "/lines/1/unitAmount"},
		{"everything is free", func(o *order.Order) { o.Lines = []order.Line{{SKU: "tea", Quantity: 1}} }, "/lines"},
		{"no method", func(o *order.Order) { o.Payment.Method = "" }, "/payment/method"},
		{"another fulfillment", func(o *order.Order) { o.Fulfillment = "drone" }, "/fulfillment"},
	}
	require.NoError(t, valid().Validate())
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := valid()
			c.spoil(&o)
			err := o.Validate()
			require.ErrorIs(t, err, fault.Invalid)
			require.NotEmpty(t, fault.FieldsOf(err))
			require.Equal(t, c.pointer, fault.FieldsOf(err)[0].Pointer)
		})
	}
}

func TestUnknownCurrenciesAreRefusedInNewOrdersOnly(t *testing.T) {
	for _, code := range []string{"EUR", "JPY", "KWD", "CLF", "UYW", "VES", "SLE", "XCG", "ZWG", "MRU", "XAF", "DEM", "XAU"} {
		o := valid()
		o.Currency = code
		require.NoError(t, o.Validate(), code)
		require.NoError(t, o.ValidateNew(), code)
	}
	want := []fault.Field{{Pointer: "/currency", Detail: "is not a currency of ISO 4217"}}
	for _, code := range []string{"XYZ", "AAA", "XXX", "EUX"} {
		o := valid()
		o.Currency = code
		require.NoError(t, o.Validate(), "an order that exists may have it")
		require.ErrorIs(t, o.ValidateNew(), fault.Invalid)
		require.Equal(t, want, fault.FieldsOf(o.ValidateNew()))

		o.CustomerID = ""
		require.Contains(t, fault.FieldsOf(o.Validate()), want[0], "everything that is wrong is named at once")
	}
	require.False(t, order.KnownCurrency("eur"), "x/text takes small letters")
	require.False(t, order.KnownCurrency(""))
}

func TestNormalizeMergesLinesOfOneSKU(t *testing.T) {
	o := valid()
	o.Fulfillment = ""
	o.Lines = append(o.Lines, order.Line{SKU: "tea", Quantity: 3, UnitAmount: 450})
	require.NoError(t, o.Validate())
	o = o.Normalize()
	require.Equal(t, []order.Line{{SKU: "tea", Quantity: 5, UnitAmount: 450}, {SKU: "pot", Quantity: 1, UnitAmount: 2900}}, o.Lines)
	require.Equal(t, int64(5*450+2900), o.TotalAmount)
	require.Equal(t, order.Immediate, o.Fulfillment)
	require.Equal(t, o, o.Normalize(), "normalizing twice changes nothing")
}
