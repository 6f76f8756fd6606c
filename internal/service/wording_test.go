package service

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// complaintsOverREST are what POST path says about a body, as "pointer detail".
func complaintsOverREST(t *testing.T, path, body string) []string {
	t.Helper()
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: new(inventory.MemoryRegistry)})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	server, err := api.New(api.Config{
		Sagas: struct{ api.Sagas }{}, Log: struct{ api.Log }{}, Orders: struct{ api.Orders }{}, Stock: ledger,
		DeadLetters: struct{ api.DeadLetters }{}, Ready: func(context.Context) []api.Check { return nil },
	})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	var problem struct {
		Errors []struct{ Pointer, Detail string }
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem), w.Body)
	var complaints []string
	for _, e := range problem.Errors {
		complaints = append(complaints, e.Pointer+" "+e.Detail)
	}
	return complaints
}

// complaintsOnTheBus are what is said about an event with this data, which is at /data there.
func complaintsOnTheBus(t *testing.T, eventType, subject, data string) []string {
	t.Helper()
	e, err := wire.Decode(wire.Message{Body: []byte(`{"id":"e-1","type":"` + eventType + `","source":"/shop","aggregateId":"` + subject + `","data":` + data + `}`)})
	if err == nil {
		err = inbound.Routes{}.Check(e)
	}
	require.Error(t, err)
	var complaints []string
	for _, f := range fault.FieldsOf(err) {
		complaints = append(complaints, strings.TrimPrefix(f.Pointer, "/data")+" "+f.Detail)
	}
	return complaints
}

// TestRESTAndTheBusUseTheSameWords for the same mistake.
func TestRESTAndTheBusUseTheSameWords(t *testing.T) {
	const order = `{"customerId":"c-1","currency":"EUR","lines":[{"sku":"tea","quantity":2,"unitAmount":450}],"payment":{"method":"tok_visa"},"fulfillment":"shipment"}`
	with := func(old, replacement string) string {
		require.Contains(t, order, old)
		return strings.Replace(order, old, replacement, 1)
	}
	for _, body := range []string{
		with(`"c-1"`, `7`), with(`"c-1"`, `""`), with(`"customerId":"c-1",`, ``), with(`"c-1"`, `" a"`), with(`"c-1"`, `[]`),
		with(`"EUR"`, `"euro"`), with(`"EUR"`, `true`), with(`"shipment"`, `"pigeon"`), with(`"shipment"`, `1`),
		with(`"customerId"`, `"vip":true,"customerId"`), with(`"sku"`, `"color/~":"red","sku"`), with(`"method"`, `"card":"1","method"`), with(`"customerId"`, `"CustomerID"`),
		with(`[{"sku":"tea","quantity":2,"unitAmount":450}]`, `[]`), with(`[{"sku":"tea","quantity":2,"unitAmount":450}]`, `{}`),
		with(`[{"sku":"tea","quantity":2,"unitAmount":450}]`, `"tea"`), with(`{"sku":"tea","quantity":2,"unitAmount":450}`, `7`),
		with(`{"method":"tok_visa"}`, `"tok_visa"`), with(`{"method":"tok_visa"}`, `{}`), with(`"tok_visa"`, `4711`),
		with(`"sku":"tea",`, ``), with(`"quantity":2,`, ``), with(`,"unitAmount":450`, ``),
		with(`"quantity":2`, `"quantity":"2"`), with(`"quantity":2`, `"quantity":2.5`), with(`"quantity":2`, `"quantity":0`),
		with(`"quantity":2`, `"quantity":-1`), with(`"quantity":2`, `"quantity":1000001`), with(`"quantity":2`, `"quantity":99999999999999999999`),
		with(`450`, `"450"`), with(`450`, `4.5`), with(`450`, `-1`), with(`450`, `1000000000001`), with(`450`, `9007199254740993`),
		with(`"quantity":2,"unitAmount":450`, `"quantity":2,"unitAmount":999999999999`),
		with(`}],`, `},{"sku":"tea","quantity":1000000,"unitAmount":450}],`),
		with(`[{`, `[`+strings.Repeat(`{"sku":"tea","quantity":1,"unitAmount":1},`, 100)+`{`),
	} {
		onBus := strings.Replace(body, "{", `{"orderId":"o-1",`, 1)
		require.ElementsMatch(t, complaintsOverREST(t, "/v1/orders", body), complaintsOnTheBus(t, event.OrderCreated, "o-1", onBus), body)
		require.NotEmpty(t, complaintsOverREST(t, "/v1/orders", body), body)
	}
	for _, quantity := range []string{``, `,"quantity":0`, `,"quantity":-1`, `,"quantity":1000001`, `,"quantity":"1"`, `,"quantity":1.5`} {
		body := `{` + strings.TrimPrefix(quantity, ",") + `}`
		require.NotEmpty(t, complaintsOverREST(t, "/v1/stock/tea/receipts", body), body)
		require.ElementsMatch(t, complaintsOverREST(t, "/v1/stock/tea/receipts", body),
			complaintsOnTheBus(t, event.StockReceived, "tea", `{"sku":"tea","receiptId":"r-1"`+quantity+`}`), body)
	}
}
