package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// TestExamplesOfRequestsAreAccepted sends the example of every request body of the specification. TestSpecificationIsValid checks the examples of
// answers.
func TestExamplesOfRequestsAreAccepted(t *testing.T) {
	doc, _ := specified()
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			medium := operation.RequestBody.Value.Content["application/json"]
			if path == "/v1/webhooks/stripe" {
				continue // its body is Stripe's
			}
			require.NotNil(t, medium.Example, "%s %s has no example", method, path)
			body, err := json.Marshal(medium.Example)
			require.NoError(t, err)
			orders := &flowSagas{
				Definer: &order.Flow, content: make(map[string]json.RawMessage),
				cancel: func(string, saga.Cancellation) (saga.CancelAnswer, error) {
					return saga.CancelAnswer{Accepted: true}, nil
				},
				decide: func(_ string, r saga.Resolution, _ string) (saga.Resolution, saga.ResolveAnswer, error) {
					return r, saga.ResolveAnswer{Accepted: true}, nil
				},
			}
			f := newRefundsFixture(t, func(c *api.Config) {
				orders.log, c.Flows[0].Sagas = c.Log, orders
				returned := &flowSagas{Definer: &returns.Flow, content: make(map[string]json.RawMessage), log: c.Log}
				c.Flows = append(c.Flows, api.Flow{Definer: &returns.Flow, Sagas: returned})
				c.DeadLetters = &letters{detail: letter([]byte("{}"))}
			})
			f.sagas.cancel = func(context.Context, string, order.Cancellation) (saga.CancelAnswer, error) {
				return saga.CancelAnswer{Accepted: true}, nil
			}
			f.sagas.resolve = func(_ context.Context, _ string, d order.Resolution, _ string) (order.Resolution, saga.ResolveAnswer, error) {
				return d, saga.ResolveAnswer{Accepted: true}, nil
			}
			f.do(http.MethodPost, "/v1/stock/coffee-500g/receipts", `{"quantity":10}`)
			target := strings.NewReplacer("{id}", "shop-1", "{sku}", "coffee-500g", "{flow}", "order", "{returnId}", "return-1").Replace(path)
			a := f.do(method, target, string(body))
			switch path {
			case "/v1/sagas/{flow}":
				require.Equal(t, http.StatusUnprocessableEntity, a.status, "orders are not started there: %s", a.body)
			case "/v1/orders/{id}/returns/{returnId}/receipts":
				require.Equal(t, http.StatusNotFound, a.status, "the order has no return: %s", a.body)
			default:
				require.Less(t, a.status, 300, "%s %s: %s", method, path, a.body)
			}
		}
	}
}
