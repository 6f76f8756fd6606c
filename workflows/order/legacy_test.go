package order_test

import (
	"encoding/json"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/order"
)

// legacy is a state as a version before the kit would have handed it on.
func legacy(t require.TestingT, s order.State) order.State {
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	m := map[string]any{}
	require.NoError(t, json.Unmarshal(raw, &m))
	delete(m, "slots")
	delete(m, "id")
	for slot, name := range map[string]string{order.SlotPending: "paymentExpiresAt", order.SlotConfirm: "dispatchExpiresAt", order.SlotShip: "deliveryExpiresAt"} {
		if at := s.Slot(slot).ExpiresAt; !at.IsZero() {
			m[name] = at
		}
	}
	raw, err = json.Marshal(m)
	require.NoError(t, err)
	var back order.State
	require.NoError(t, json.Unmarshal(raw, &back))
	return back
}
