package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/browser"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestConsole is an operator's morning: log in, watch an order, cancel one whose payment cannot be voided, decide about it, and repair a message.
func TestConsole(t *testing.T) {
	s := newStack(t)
	b := browser.Start(s.ctx, t, 1280, 900)
	service := s.start("API_AUTH=keys", earlyAttention)
	b.At(service.URL)
	env := append(environ(), "MONGODB_DATABASE="+s.database)
	key := strings.TrimSpace(printed(t, env, "keys", "create", "--name", "ada", "--scopes",
		"orders:read,orders:write,sagas:write,refunds:write,stock:read,stock:write,operate"))
	s.client.Token = key
	b.Open("/")
	b.Enter("#key", key)
	b.Click("main button", "#live")

	sku := s.sku(10)
	place := func(method, fulfillment string) string {
		order := harness.NewOrder(sku, 2, method)
		order.Fulfillment = fulfillment
		placed, err := s.client.Place(s.ctx, order, 0)
		require.NoError(t, err)
		return placed.ID
	}

	// The page follows the order without being loaded again.
	watched := place("tok_visa", "shipment")
	b.Open("/console/sagas/order/" + watched)
	b.Says("awaiting shipment")
	_, err := s.bus.Publish(s.ctx, "shipment.dispatched", watched, map[string]string{"orderId": watched, "carrier": "dhl"})
	require.NoError(t, err)
	b.Says("order.shipped", "payment.captured")
	_, err = s.bus.Publish(s.ctx, "shipment.delivered", watched, map[string]string{"orderId": watched})
	require.NoError(t, err)
	b.Says("order.completed")

	b.Run(`(e => { e.value = 2; e.dispatchEvent(new Event("change", {bubbles: true})); })(document.getElementById("version")), ""`)
	b.Says("inventory.reserved", "2 of ")
	b.Await(`!document.getElementById("event-3")`)
	b.Click("#latest", "#event-3")

	// One unit comes back by a return, which refunds it, and a part of the other's price is refunded.
	b.Click("#return", "#continue")
	b.Enter("#line-1", "1")
	b.Click("#continue", "#confirm")
	b.Says("announced to the warehouse: 1 × " + sku)
	b.Click("#confirm", "#after-title")
	b.Says("The return is accepted.")
	b.Click("#receive-0", "#continue")
	b.Click("#continue", "#confirm")
	b.Click("#confirm", "#after-title")
	b.Says("1 of 1 × " + sku)
	b.Await(`[...document.querySelectorAll("section[aria-labelledby=after-title] .badge.done")].some(e => e.innerText === "completed")`)
	b.Click("#refund", "#continue")
	b.Enter("#amount", "2.50")
	b.Click("#continue", "#confirm")
	b.Says("2.50 EUR are refunded to the customer.")
	b.Click("#confirm", "#after-title")
	b.Says("The refund is accepted.", "7.50 EUR")

	// A cancellation whose void is stuck.
	stuck := place("tok_void_stuck", "shipment")
	b.Open("/console/sagas/order/" + stuck)
	b.Says("awaiting shipment")
	b.Click("#cancel", "#confirm")
	b.Enter("#reason", "the customer called")
	b.Click("#confirm", "#live")
	b.Says("The cancellation is recorded.", "The compensation of authorize is stuck")
	b.Open("/console/attention")
	b.Click("#decide-0-substitute", "#confirm")
	b.Enter("#reference", "transfer 4711")
	b.Click("#confirm", "#live")
	b.Says("order.cancelled")
	decided := s.decision(stuck, "order.step_substituted")
	require.Equal(t, "ada", decided.By)
	require.Equal(t, "transfer 4711", decided.Reference)

	// A message without a quantity.
	repaired := "repaired-" + uuid.NewString()[:8]
	broken := fmt.Sprintf(`{"orderId":%q,"customerId":"c-1","currency":"EUR","lines":[{"sku":%q,"unitAmount":1000}],"payment":{"method":"tok_visa"}}`, repaired, sku)
	event, err := s.bus.Publish(s.ctx, "order.created", repaired, json.RawMessage(broken))
	require.NoError(t, err)
	letter := s.dead(event)
	b.Open("/console/dead-letters")
	b.Click("#letter-0", "#payload")
	b.Says("the error is in line")
	b.Run(`(e => e.value = e.value.replace('"unitAmount"', '"quantity": 2, "unitAmount"'))(document.getElementById("payload"))`)
	b.Click("#dry", "#send")
	b.Says("would start order " + repaired)
	b.Click("#send", "main > .notice[role=status]")
	b.Says("The message was sent to its queue again.")
	s.letter(letter.ID, "replayed")
	s.ends(repaired, "completed", "")

	b.Open("/console/sagas")
	b.Click("#count-cancelled", "#count-cancelled[aria-current]")
	b.Says(stuck)
	b.Open("/console/stock/" + url.PathEscape(sku))
	b.Enter("#received", "5")
	b.Click("#receive", "main > .notice[role=status]")
	b.Says("The receipt is in the ledger.", "stock.reserved")
	b.Open("/console/health")
	b.Says("mongodb", "temporal", "No reconcile of the schedule has ended yet")
}
