package order_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestMoneyIsWrittenByItsCurrency(t *testing.T) {
	for want, amount := range map[string]struct {
		minor    int64
		currency string
	}{
		"19.99 EUR": {1999, "EUR"}, "0.05 EUR": {5, "EUR"}, "0.00 USD": {0, "USD"}, "1999 JPY": {1999, "JPY"}, "1.999 KWD": {1999, "KWD"},
		"0.001 BHD": {1, "BHD"}, "-0.50 EUR": {-50, "EUR"}, "0.1999 CLF": {1999, "CLF"}, "-92233720368547758.08 EUR": {math.MinInt64, "EUR"},
	} {
		require.Equal(t, want, order.Money(amount.minor, amount.currency))
	}
}
