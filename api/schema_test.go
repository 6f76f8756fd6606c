package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// compileRequest compiles a schema of the specification: OpenAPI 3.1 has JSON Schema, draft 2020-12.
func compileRequest(t *testing.T, pointer string) *jsonschema.Schema {
	t.Helper()
	var doc any
	require.NoError(t, yaml.Unmarshal(api.Specification, &doc))
	raw, err := json.Marshal(doc)
	require.NoError(t, err)
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("openapi.json", doc))
	schema, err := compiler.Compile("openapi.json#" + pointer)
	require.NoError(t, err)
	return schema
}

// TestRequestSchemasMatchTheDecoder: a body is accepted if and only if it matches the schema of the specification.
func TestRequestSchemasMatchTheDecoder(t *testing.T) {
	at := func(path string) string {
		return "/paths/" + strings.ReplaceAll(path, "/", "~1") + "/post/requestBody/content/application~1json/schema"
	}
	for path, test := range map[string]struct{ schema, example string }{
		"/v1/orders":                      {at("/v1/orders"), validOrder},
		"/v1/stock/coffee/receipts":       {at("/v1/stock/{sku}/receipts"), `{"quantity":5}`},
		"/v1/stock/coffee/adjustments":    {at("/v1/stock/{sku}/adjustments"), `{"quantity":5,"note":"counted"}`},
		"/v1/orders/order-1/cancellation": {at("/v1/orders/{id}/cancellation"), `{"reason":"ordered twice"}`},
	} {
		t.Run(path, func(t *testing.T) {
			f := newFixture(t)
			f.append("order-1", timeline("order-1")[:1]...)
			f.sagas.cancel = func(context.Context, string, order.Cancellation) (saga.CancelAnswer, error) {
				return saga.CancelAnswer{Accepted: true}, nil
			}
			schema := compileRequest(t, test.schema)
			accepted, refused := 0, 0
			rapid.Check(t, func(rt *rapid.T) {
				value, err := jsonschema.UnmarshalJSON(strings.NewReader(test.example))
				require.NoError(rt, err)
				for range rapid.IntRange(0, 2).Draw(rt, "changes") {
					value = changeBody(rt, value)
				}
				body, err := json.Marshal(value)
				require.NoError(rt, err)
				a := f.do(http.MethodPost, path, string(body))
				wrong := schema.Validate(value)
				switch {
				case wrong == nil && a.status == http.StatusUnprocessableEntity && path == "/v1/orders" && beyondSchema(body):
				case wrong == nil:
					require.NotContains(rt, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, a.status, "the schema takes %s: %s", body, a.body)
					accepted++
				default:
					require.Contains(rt, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, a.status, "the schema refuses %s: %v", body, wrong)
					refused++
				}
			})
			require.NotZero(t, accepted)
			require.NotZero(t, refused)
		})
	}
}

// beyondSchema reports whether an order breaks a rule that its schema does not express: the currency must be known, and the
// rules about the total and several lines of one SKU.
func beyondSchema(body []byte) bool {
	var o struct {
		Currency string
		Lines    []struct {
			SKU                  string
			Quantity, UnitAmount json.Number
			Stocked              *bool
		}
		Payment *struct{}
	}
	if json.Unmarshal(body, &o) != nil {
		return false
	}
	if !order.KnownCurrency(o.Currency) {
		return true
	}
	total := new(big.Rat)
	most, quantities := new(big.Rat).SetInt64(order.MaxAmount), map[string]*big.Rat{}
	for _, l := range o.Lines {
		quantity, _ := new(big.Rat).SetString(l.Quantity.String())
		price, _ := new(big.Rat).SetString(l.UnitAmount.String())
		stocked := l.Stocked == nil || *l.Stocked
		if stocked && price.Sign() < 0 {
			return true
		}
		if quantities[l.SKU] == nil {
			quantities[l.SKU] = new(big.Rat)
		}
		if stocked {
			quantities[l.SKU].Add(quantities[l.SKU], quantity)
		}
		if quantities[l.SKU].Cmp(new(big.Rat).SetInt64(order.MaxQuantity)) > 0 {
			return true
		}
		amount := quantity.Mul(quantity, price)
		if new(big.Rat).Abs(amount).Cmp(most) > 0 {
			return true
		}
		total.Add(total, amount)
	}
	return total.Sign() < 0 || total.Cmp(most) > 0 || total.Sign() > 0 && o.Payment == nil
}

// unusualValues are values that a client may send.
var unusualValues = []any{
	nil, false, "", "a", "a b", "a\n", "ü", "\u00a0", "EUR", "XYZ", "eur", "pigeon", "shipment", strings.Repeat("x", 251), strings.Repeat("ü", 500),
	strings.Repeat("ü", 501), []any{}, map[string]any{},
	json.Number("0"), json.Number("-0.0"), json.Number("1"), json.Number("-1"), json.Number("2.0"), json.Number("1e2"), json.Number("15e-1"),
	json.Number("1.50e1"), json.Number("1e-1"), json.Number("1000000"), json.Number("1.000001e6"), json.Number("1000001"), json.Number("1e12"),
	json.Number("1000000000001"), json.Number("9007199254740993"), json.Number("9223372036854775808"), json.Number("1e30"), json.Number("-1e30"),
}

// changeBody replaces, removes or adds something anywhere in a body.
func changeBody(t *rapid.T, value any) any {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			break
		}
		v = maps.Clone(v)
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "field")
		switch rapid.SampledFrom([]string{"within", "within", "replace", "remove", "add"}).Draw(t, "change") {
		case "within":
			v[name] = changeBody(t, v[name])
		case "replace":
			v[name] = rapid.SampledFrom(unusualValues).Draw(t, "value")
		case "remove":
			if delete(v, name); len(v) == 0 {
				v["more"] = nil
			}
		case "add":
			v[strings.ToUpper(name)] = rapid.SampledFrom(unusualValues).Draw(t, "value")
		}
		return v
	case []any:
		if len(v) > 0 {
			v = slices.Clone(v)
			i := rapid.IntRange(0, len(v)-1).Draw(t, "index")
			v[i] = changeBody(t, v[i])
			return v
		}
	}
	return rapid.SampledFrom(unusualValues).Draw(t, "value")
}
