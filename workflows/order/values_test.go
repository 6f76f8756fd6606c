package order_test

import (
	"strings"
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
		{"currency of four letters", func(o *order.Order) { o.Currency = "euro" }, "/currency"},
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
		{"line too large", func(o *order.Order) {
			o.Lines[1].Quantity, o.Lines[1].UnitAmount, o.Lines[1].Stocked = order.MaxQuantity, -order.MaxAmount, &no
		}, "/lines/1"},
		{"total below zero", func(o *order.Order) { o.Lines[1].UnitAmount, o.Lines[1].Stocked = -901, &no }, "/lines"},
		{"too many of one sku", func(o *order.Order) { o.Lines[1] = order.Line{SKU: "tea", Quantity: order.MaxQuantity} }, "/lines/1/quantity"},
		{"too much metadata", func(o *order.Order) { o.Metadata = metadata(21) }, "/metadata"},
		{"key with a dot", func(o *order.Order) { o.Metadata = map[string]string{"a.b": "x"} }, "/metadata/a.b"},
		{"key with a dollar", func(o *order.Order) { o.Metadata = map[string]string{"$x": "x"} }, "/metadata/$x"},
		{"no key", func(o *order.Order) { o.Metadata = map[string]string{"": "x"} }, "/metadata"},
		{"long key", func(o *order.Order) { o.Metadata = map[string]string{strings.Repeat("ü", 41): "x"} }, "/metadata"},
		{"long value", func(o *order.Order) { o.Metadata = map[string]string{"a/b~": strings.Repeat("ü", 501)} }, "/metadata/a~1b~0"},
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
	require.True(t, order.KnownCurrency("eur"))
	require.False(t, order.KnownCurrency(""))
}

func TestNormalize(t *testing.T) {
	yes := true
	o := valid()
	o.Fulfillment, o.Currency, o.Metadata = "", "jpy", map[string]string{}
	o.Lines = append(o.Lines, order.Line{SKU: "tea", Quantity: 3, UnitAmount: 450, Stocked: &yes}, order.Line{SKU: "voucher", Quantity: 1, UnitAmount: -100, Stocked: &no})
	require.NoError(t, o.Validate())
	o = o.Normalize()
	require.Equal(t, []order.Line{
		{SKU: "tea", Quantity: 2, UnitAmount: 450}, {SKU: "pot", Quantity: 1, UnitAmount: 2900}, {SKU: "tea", Quantity: 3, UnitAmount: 450},
		{SKU: "voucher", Quantity: 1, UnitAmount: -100, Stocked: &no},
	}, o.Lines, "lines keep their positions")
	require.Equal(t, []order.Item{{SKU: "tea", Quantity: 5}, {SKU: "pot", Quantity: 1}}, o.Items(), "what is stocked of one SKU is reserved together")
	require.Equal(t, int64(5*450+2900-100), o.TotalAmount)
	require.Equal(t, order.Immediate, o.Fulfillment)
	require.Equal(t, "JPY", o.Currency)
	require.Nil(t, o.Metadata)
	require.Equal(t, o, o.Normalize(), "normalizing twice changes nothing")
}

// TestSameContent: an order that an earlier version accepted had its lines merged.
func TestSameContent(t *testing.T) {
	old := valid().Normalize()
	again := valid()
	again.Currency = "eur"
	again.Lines = []order.Line{
		{SKU: "tea", Quantity: 1, UnitAmount: 450}, {SKU: "pot", Quantity: 1, UnitAmount: 2900}, {SKU: "tea", Quantity: 1, UnitAmount: 450},
	}
	require.True(t, old.Same(again.Normalize()))
	require.True(t, again.Same(old))
	for name, change := range map[string]func(*order.Order){
		"a price":     func(o *order.Order) { o.Lines[0].UnitAmount++ },
		"a quantity":  func(o *order.Order) { o.Lines[0].Quantity++ },
		"stocked":     func(o *order.Order) { o.Lines[0].Stocked = &no },
		"metadata":    func(o *order.Order) { o.Metadata = map[string]string{"a": "b"} },
		"the payment": func(o *order.Order) { o.Payment.Method = "" },
		"the ID":      func(o *order.Order) { o.ID += "1" },
		"fulfillment": func(o *order.Order) { o.Fulfillment = order.Shipment },
	} {
		other := valid()
		change(&other)
		require.False(t, old.Same(other), name)
	}
}

func TestOrdersOfEveryKindAreAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		lines   []order.Line
		payment string
	}{
		"two prices":         {[]order.Line{{SKU: "tea", Quantity: 1, UnitAmount: 450}, {SKU: "tea", Quantity: 1, UnitAmount: 400}}, "tok_visa"},
		"free":               {[]order.Line{{SKU: "tea", Quantity: 1}}, ""},
		"free with a method": {[]order.Line{{SKU: "tea", Quantity: 1}}, "tok_visa"},
		"a discount to 0": {[]order.Line{
			{SKU: "tea", Quantity: 2, UnitAmount: 450}, {SKU: "off", Quantity: 1, UnitAmount: -900, Stocked: &no},
		}, ""},
		"only a fee": {[]order.Line{{SKU: "fee", Quantity: 1, UnitAmount: 300, Stocked: &no}}, "tok_visa"},
		"as much as allowed": {[]order.Line{
			{SKU: "gold", Quantity: 1, UnitAmount: order.MaxAmount}, {SKU: "gold", Quantity: 1, UnitAmount: order.MaxAmount},
			{SKU: "off", Quantity: 1, UnitAmount: -order.MaxAmount, Stocked: &no},
		}, "tok_visa"},
	} {
		o := valid()
		o.Lines, o.Payment.Method, o.Metadata = c.lines, c.payment, metadata(20)
		require.NoError(t, o.Validate(), name)
	}
	o := valid()
	o.Payment = order.PaymentMethod{}
	require.ErrorIs(t, o.Validate(), fault.Invalid, "what costs something is paid")
	for _, code := range []string{"JPY", "jpy", "KWD", "Kwd", "eur"} {
		o := valid()
		o.Currency = code
		require.NoError(t, o.Validate())
		require.NoError(t, o.ValidateNew())
	}
	require.Equal(t, "1999 JPY", order.Money(1999, "JPY"))
	require.Equal(t, "1.999 KWD", order.Money(1999, "KWD"))
	require.Equal(t, "-0.05 EUR", order.Money(-5, "EUR"))
}

// no is the stocked of what has no stock.
var no = false

// metadata has so many keys.
func metadata(n int) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[strings.Repeat("k", 38)+string(rune('a'+i))] = strings.Repeat("ü", 500)
	}
	return m
}
