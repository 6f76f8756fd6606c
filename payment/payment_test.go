package payment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/payment"
)

func TestPaymentsOfDifferentFlowsDiffer(t *testing.T) {
	order, card := payment.Payment{OrderID: "42"}, payment.Payment{Flow: "voucher", OrderID: "42"}
	require.Equal(t, "42/capture", order.Key("capture"), "the keys of orders are those of earlier versions")
	require.NotEqual(t, order.Key("capture"), card.Key("capture"))
	require.NotEqual(t, card.Key("void"), card.Key("capture"))
	// No ID of an order makes the key of another flow's payment.
	for _, id := range []string{"voucher 42", "voucher/42", "voucher-42"} {
		require.NotEqual(t, payment.Payment{OrderID: id}.Key("capture"), card.Key("capture"))
	}
	require.Equal(t, "order 42", order.String())
	require.Equal(t, "voucher 42", card.String())
}
