package console_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/test/browser"
)

// images is the folder of the documentation's pictures, which ORDERSAGA_SCREENSHOTS=1 has this test write.
const images = "../../docs/images"

// shop is an API with orders as a shop has them, for people who look at the pages.
func shop() map[string]any {
	const events = `{"items":[
		{"version":1,"type":"order.accepted","key":"accept","id":"e-1","time":"2026-11-21T18:29:00.000Z","data":{"customerId":"customer-7","lines":[{"sku":"tea","quantity":2}]},"hash":"9b1c","prevHash":""},
		{"version":2,"type":"inventory.reserved","key":"reserve","id":"e-2","causationId":"e-1","time":"2026-11-21T18:29:00.005Z","data":{"lines":[{"sku":"tea","quantity":2}]},"hash":"4fe0","prevHash":"9b1c"},
		{"version":3,"type":"payment.authorized","key":"authorize","id":"e-3","causationId":"e-2","time":"2026-11-21T18:29:00.009Z","data":{"amount":4498,"currency":"EUR","paymentId":"sim_2959fe4d"},"hash":"77ad","prevHash":"4fe0"}
		],"nextCursor":null}`
	answers := world()
	item := func(id, status, reason, total string) string {
		return `{"flow":"order","id":"` + id + `","status":"` + status + `","reason":"` + reason + `","createdAt":"2026-11-21T18:29:00.000Z","updatedAt":"2026-11-21T18:29:30.000Z",
			"links":{},"customerId":"customer-7","currency":"EUR","totalAmount":` + total + `}`
	}
	answers["GET /v1/sagas"] = text(`{"items":[` + strings.Join([]string{
		item("shop-1008", "awaiting_shipment", "", "4498"), item("shop-1007", "needs_attention", "requested", "4498"), item("shop-1006", "completed", "", "123400"),
		item("shop-1005", "rejected", "payment_declined", "450"), item("shop-1004", "completed", "", "900"), item("shop-1003", "cancelled", "requested", "2900"),
		item("shop-1002", "awaiting_payment", "", "2900"), item("shop-1001", "completed", "", "1350"),
	}, ",") + `],"nextCursor":"x","counts":{"completed":1000,"rejected":14,"cancelled":3,"needs_attention":1,"awaiting_shipment":41,"awaiting_payment":2}}`)
	waits := sagaJSON("shop-1008", "awaiting_shipment", "null", step("reserve", "compensable", "done"), step("authorize", "compensable", "done"),
		step("confirm", "compensable", "done"), step("ship", "await", "running"), step("decide", "pivot", "pending"), step("capture", "forward", "pending"),
		step("commit", "forward", "pending"), step("deliver", "await", "pending"))
	stuck := sagaJSON("shop-1007", "needs_attention", voidStuck, step("reserve", "compensable", "compensating"), step("authorize", "compensable", "compensating"),
		step("confirm", "compensable", "compensated"), step("ship", "await", "skipped"), step("decide", "pivot", "skipped"), step("capture", "forward", "skipped"),
		step("commit", "forward", "skipped"), step("deliver", "await", "skipped"))
	for id, saga := range map[string]string{"shop-1008": waits, "shop-1007": stuck} {
		answers["GET /v1/sagas/order/"+id] = text(saga)
		answers["GET /v1/sagas/order/"+id+"/events"] = text(events)
		answers["GET /v1/orders/"+id+"/ledger"] = text(`{"items":[],"refundable":0}`)
		answers["GET /v1/orders/"+id] = text(`{"customerId":"customer-7","currency":"EUR","totalAmount":4498,"fulfillment":"shipment","payment":{"method":"tok_visa"},
			"metadata":{"channel":"web"},"lines":[{"line":1,"sku":"tea","quantity":2,"unitAmount":1999,"stocked":true},{"line":2,"sku":"gift wrap","quantity":1,"unitAmount":500,"stocked":false}]}`)
		answers["POST /v1/sagas/order/"+id+"/cancellation"] = text(saga)
		answers["POST /v1/sagas/order/"+id+"/resolutions"] = text("{}")
	}
	paid := sagaJSON("shop-1006", "completed", "null", step("reserve", "compensable", "done"), step("authorize", "compensable", "done"),
		step("decide", "pivot", "done"), step("capture", "forward", "done"), step("commit", "forward", "done"))
	answers["GET /v1/sagas/order/shop-1006"], answers["GET /v1/sagas/order/shop-1006/events"] = text(paid), text(events)
	answers["GET /v1/orders/shop-1006"] = text(`{"customerId":"customer-7","currency":"EUR","totalAmount":4498,"fulfillment":"immediate","payment":{"method":"tok_visa"},
		"lines":[{"line":1,"sku":"tea","quantity":2,"unitAmount":1999,"stocked":true},{"line":2,"sku":"gift wrap","quantity":1,"unitAmount":500,"stocked":false}]}`)
	answers["GET /v1/orders/shop-1006/ledger"] = text(`{"refundable":1500,"items":[
		{"key":"refund-3f0c","flow":"refund","id":"3f0c","source":"captured","status":"refunded","amount":999,"currency":"EUR"},
		{"key":"dispute-dp_1Q","flow":"dispute","id":"dp_1Q","source":"captured","status":"released","amount":3499,"currency":"EUR"},
		{"key":"refund-77aa","flow":"refund","id":"77aa","source":"captured","status":"reserved","amount":1999,"currency":"EUR"}]}`)
	answers["GET /v1/orders/shop-1006/refunds"] = text(`{"items":[
		{"id":"3f0c","status":"refunded","amount":999,"currency":"EUR","lines":[],"createdAt":"2026-11-21T18:29:10.000Z"},
		{"id":"77aa","status":"accepted","amount":1999,"currency":"EUR","lines":[],"createdAt":"2026-11-21T18:29:20.000Z"}]}`)
	back := `{"id":"r-1","status":"announced","refund":true,"restock":true,"lines":[{"line":1,"sku":"tea","quantity":1,"received":0}],"createdAt":"2026-11-21T18:29:25.000Z"}`
	answers["GET /v1/orders/shop-1006/returns"] = text(`{"items":[` + back + `]}`)
	answers["GET /v1/orders/shop-1006/returns/r-1"] = text(back)
	answers["POST /v1/orders/shop-1006/refunds"] = text(`{"amount":500,"currency":"EUR","lines":[{"line":2,"quantity":1,"amount":500}]}`)
	answers["POST /v1/orders/shop-1006/returns"] = text("{}")
	answers["POST /v1/orders/shop-1006/returns/r-1/receipts"] = text("{}")
	early := sagaJSON("shop-1008", "reserved", "null", step("reserve", "compensable", "done"), step("authorize", "compensable", "running"), step("decide", "pivot", "pending"))
	answers["GET /v1/sagas/order/shop-1008?version=2"] = text(strings.Replace(early, `"version":3`, `"version":2`, 1))
	answers["GET /v1/stock/tea"] = text(`{"sku":"tea","onHand":100,"reserved":4,"available":96,"version":2}`)
	answers["GET /v1/dead-letters/letter-2"] = text(`{"id":"266d4173-b1ee-5d28-bf9c-b5f1c14a9c73","status":"open","reason":"invalid","detail":"event is invalid; /data/lines/0/quantity: is missing",
		"type":"order.created","subject":"shop-1009","eventId":"evt-41","originExchange":"domain_events","originRoutingKey":"order.created","attempts":1,
		"failedAt":"2026-11-21T18:29:00.000Z","payload":"{\"id\":\"evt-41\",\"data\":{\"orderId\":\"shop-1009\",\"lines\":[{\"sku\":\"tea\",\"unitAmount\":450}]}}","payloadEncoding":"text","history":[]}`)
	answers["POST /v1/dead-letters/266d4173-b1ee-5d28-bf9c-b5f1c14a9c73/replay"] = text(`{"outcome":"start","would":"would start order shop-1009","orderId":"shop-1009","refusal":null}`)
	answers["GET /v1/dead-letters/266d4173-b1ee-5d28-bf9c-b5f1c14a9c73"] = answers["GET /v1/dead-letters/letter-2"]
	return answers
}

// TestInABrowser clicks through the pages in a headless browser. Every page on the way is checked for accessibility and the security policy, in
// the light and the dark scheme.
func TestInABrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	b := browser.Start(ctx, t, 1280, 900)
	f := newVisitor(t, keys{"osk_all": {Namespace: "ada", Actor: "ada", Scopes: auth.Scopes}}, shop())
	server := httptest.NewServer(f.console)
	defer server.Close()
	b.At(server.URL)
	picture := func(name string) {
		if os.Getenv("ORDERSAGA_SCREENSHOTS") != "" {
			b.Picture(filepath.Join(images, name+".png"))
		}
	}
	b.Scheme("light")
	b.Open("/console")
	b.Enter("#key", "osk_wrong")
	b.Click("main button", "[role=alert]")
	b.Enter("#key", "osk_all")
	b.Click("main button", "#count-completed")
	b.Size(1280, 620)
	picture("console-sagas")
	b.Click("#saga-0", "#drawing-title")
	b.Says("awaiting shipment", "if it turns back", "44.98 EUR")
	b.Size(1280, 900)
	picture("console-saga")
	// What is open stays open when the page is refreshed, and a status that has changed is announced.
	b.Click("#summary-1", "#details-1 pre")
	f.rest.set("GET /v1/sagas/order/shop-1008", text(strings.Replace(string(f.rest.answers["GET /v1/sagas/order/shop-1008"].(json.RawMessage)), "awaiting_shipment", "shipped", 1)))
	b.Run(`htmx.trigger(document.getElementById("live"), "refresh"), ""`)
	b.Says("The status is shipped.")
	b.Shows("#details-1 pre")

	// The slider shows the state after an earlier event.
	move := func(version string) {
		b.Run(`(e => { e.value = ` + version + `; e.dispatchEvent(new Event("change", {bubbles: true})); })(document.getElementById("version")), ""`)
		b.Says(version + " of 3")
		b.Check()
	}
	move("2")
	b.Await(`!document.getElementById("event-3") && !document.getElementById("cancel") && location.search === "?version=2"`)
	b.Says("if it turns back")
	move("3")
	b.Shows("#event-3")
	move("2")
	b.Click("#latest", "#event-3")

	b.Click("#cancel", "#confirm")
	b.Says("These steps are compensated, in this order: confirm, authorize, reserve.")
	b.Enter("#reason", "the customer called")
	b.Click("#confirm", "#drawing-title")
	b.Says("The cancellation is recorded.")
	require.Equal(t, map[string]any{"reason": "the customer called"}, f.rest.last("cancellation"))

	b.Open("/console/sagas/order/shop-1007")
	b.Scheme("dark")
	b.Check()
	picture("console-attention")
	b.Click("#resolve-substitute", "#confirm")
	b.Enter("#reference", "transfer 4711")
	b.Click("#confirm", "#drawing-title")
	b.Says("The decision is recorded.")
	require.Equal(t, map[string]any{"action": "substitute", "attention": 1.0, "reference": "transfer 4711"}, f.rest.last("resolutions"))

	b.Scheme("light")
	b.Open("/console/sagas/order/shop-1006")
	b.Says("Refund ledger", "15.00 EUR")
	b.Size(1280, 960)
	picture("console-refunds")
	b.Size(1280, 900)
	b.Click("#refund", "#continue")
	b.Enter("#line-2", "1")
	b.Click("#continue", "#confirm")
	b.Says("5.00 EUR are refunded to the customer.", "1 × gift wrap: 5.00 EUR.", "Afterwards 10.00 EUR can still be refunded.")
	b.Click("#confirm", "#after-title")
	b.Says("The refund is accepted.")
	require.Equal(t, map[string]any{"lines": []any{map[string]any{"line": 2.0, "quantity": 1.0}}, "restock": false}, f.rest.last("refunds"))
	b.Click("#return", "#continue")
	b.Enter("#line-1", "1")
	b.Click("#continue", "#confirm")
	b.Click("#confirm", "#after-title")
	b.Click("#receive-0", "#continue")
	b.Click("#continue", "#confirm")
	b.Says("everything that is missing")
	b.Click("#confirm", "#after-title")
	b.Says("The receipt of the returned goods is reported.")

	b.Open("/console/dead-letters/letter-2")
	b.Says("the error is in line 6")
	b.Run(`(e => e.value = e.value.replace('"unitAmount"', '"quantity": 2, "unitAmount"'))(document.getElementById("payload"))`)
	b.Click("#dry", "#send")
	b.Says("would start order shop-1009")
	b.Click("#send", "main > .notice[role=status]")
	require.Contains(t, f.rest.last("replay")["body"], `"quantity":2`)

	for _, scheme := range []string{"light", "dark"} {
		b.Scheme(scheme)
		for _, path := range pages {
			b.Open(path)
		}
	}
	b.Size(390, 844)
	for _, path := range append([]string{"/console/sagas/order/shop-1007", "/console/sagas/order/shop-1006"}, pages...) {
		b.Open(path)
		b.Fits(390)
	}
	b.Scheme("light")
	b.Open("/console/dead-letters/letter-2")
	picture("console-phone")
	b.Click("header form button", "#key")
	b.Open("/console/sagas?customerId=" + url.QueryEscape(hostile))
	b.Shows("#key")
}
