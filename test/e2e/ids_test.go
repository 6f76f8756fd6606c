package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestIDsOfShops: orders, customers and SKUs keep the IDs of their shops, over REST and by event, until the orders are cancelled or complete.
func TestIDsOfShops(t *testing.T) {
	s := newStack(t)
	s.start()
	own := uuid.NewString()[:8]
	sku := "ABC/1 ü " + own
	require.NoError(t, s.client.Receive(s.ctx, sku, 100))
	for _, id := range []string{"gid://shopify/Order/" + own, "T3JkZXI6" + own + "=", "auth0|" + own, "100% %2F " + own, own + strings.Repeat("注", 64)} {
		o := harness.NewOrder(sku, 1, "tok_visa")
		body := map[string]any{
			"id": id, "customerId": "auth0|" + own, "currency": "eur", "lines": o.Lines, "payment": o.Payment, "fulfillment": "shipment",
			"metadata": map[string]string{"basket": "a/b ü"},
		}
		var placed harness.Resource
		response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", body)
		require.NoError(t, err)
		require.NoError(t, response.Into(http.StatusAccepted, &placed))
		require.Equal(t, id, placed.ID)
		require.Equal(t, "/v1/orders/"+url.PathEscape(id), response.Header.Get("Location"))
		_, err = s.client.AwaitStatus(s.ctx, id, "awaiting_shipment")
		require.NoError(t, err)
		cancelled, err := s.client.Cancel(s.ctx, id, "another ID")
		require.NoError(t, err)
		require.NoError(t, cancelled.Into(http.StatusOK, nil))

		o.ID = "bus " + id[:len(own)] + " " + id[:min(len(id), 60)]
		o.ID = strings.ToValidUTF8(o.ID, "")
		_, err = s.bus.Publish(s.ctx, "order.created", o.ID, o)
		require.NoError(t, err)
		_, err = s.client.AwaitStatus(s.ctx, o.ID, "completed")
		require.NoError(t, err)
	}
	report := s.audit()
	require.Equal(t, int64(5), report.Committed[sku])
	require.Empty(t, report.Open())
}

// TestAnOrderOfAnotherContentUnderAShopsID: an order that is placed over REST and by event with one ID is one order.
func TestAnOrderOfAnotherContentUnderAShopsID(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(10)
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.ID = "shop/" + sku
	_, err := s.bus.Publish(s.ctx, "order.created", o.ID, o)
	require.NoError(t, err)
	_, err = s.client.AwaitStatus(s.ctx, o.ID, "completed")
	require.NoError(t, err)
	for quantity, want := range map[int64]int{1: http.StatusAccepted, 2: http.StatusConflict} {
		body := map[string]any{
			"id": o.ID, "customerId": o.CustomerID, "currency": "EUR", "payment": o.Payment,
			"lines": []harness.Line{{SKU: sku, Quantity: quantity, UnitAmount: 1000}},
		}
		response, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders", body)
		require.NoError(t, err)
		require.NoError(t, response.Into(want, nil))
	}
}
