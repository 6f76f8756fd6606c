package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// with returns validOrder with a part of it replaced.
func with(old, replacement string) string {
	changed := strings.Replace(validOrder, old, replacement, 1)
	if changed == validOrder {
		panic("validOrder has no " + old)
	}
	return changed
}

func TestPlaceRefusesBadBodies(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		// want is the code, and for each place what is wrong there.
		code  string
		wrong []string
	}{
		"empty":               {" ", "malformed", []string{" is not valid JSON: it ends too early"}},
		"not json":            {"{not json}", "malformed", []string{" is not valid JSON, near byte 1"}},
		"cut off":             {validOrder[:60], "malformed", []string{"/lines/0/sku is not valid JSON: it ends too early"}},
		"array":               {"[]", "malformed", []string{" must be a JSON object"}},
		"null":                {"null", "malformed", []string{" must be a JSON object"}},
		"trailing":            {validOrder + "{}", "malformed", []string{" is not valid JSON: unexpected data after the JSON object"}},
		"trailing garbage":    {validOrder + "x", "malformed", []string{" is not valid JSON: unexpected data after the JSON object"}},
		"not utf-8":           {with("customer-7", "\xff"), "malformed", []string{" is not valid UTF-8"}},
		"twice":               {with(`"currency"`, `"customerId":"x","currency"`), "malformed", []string{"/customerId occurs twice"}},
		"twice, escaped":      {with(`"currency"`, `"customer\u0049d":"x","currency"`), "malformed", []string{"/customerId occurs twice"}},
		"twice in a line":     {with(`"quantity":2`, `"quantity":2,"quantity":2`), "malformed", []string{"/lines/0/quantity occurs twice"}},
		"deep":                {with(`"tok_visa"`, strings.Repeat("[", 99)+strings.Repeat("]", 99)), "malformed", nil},
		"unknown field":       {with(`"currency"`, `"email":"a@b.c","currency"`), "invalid", []string{"/email is not a known field"}},
		"order id":            {with(`"currency"`, `"orderId":"o-1","currency"`), "invalid", []string{"/orderId is not a known field"}},
		"other case":          {with(`"customerId"`, `"CustomerID"`), "invalid", []string{"/CustomerID is not a known field", "/customerId is missing"}},
		"unknown nested":      {with(`"quantity":2`, `"quantity":2,"a/b~":1`), "invalid", []string{"/lines/0/a~1b~0 is not a known field"}},
		"fraction":            {with(`"quantity":2`, `"quantity":1.5`), "invalid", []string{"/lines/0/quantity must be an integer, without a fraction"}},
		"fraction, exponent":  {with(`1999`, `1999e-1`), "invalid", []string{"/lines/0/unitAmount must be an integer in minor units, without a fraction"}},
		"text for a number":   {with(`300`, `"3"`), "invalid", []string{"/lines/1/unitAmount must be an integer in minor units, written as a JSON number"}},
		"huge":                {with(`300`, `99999999999999999999`), "invalid", []string{"/lines/1/unitAmount must be an integer in minor units, below 2^53"}},
		"zero":                {with(`"quantity":2`, `"quantity":0`), "invalid", []string{"/lines/0/quantity must be from 1 to 1000000"}},
		"null number":         {with(`"quantity":2`, `"quantity":null`), "invalid", []string{"/lines/0/quantity must be an integer, written as a JSON number"}},
		"missing number":      {with(`,"unitAmount":300`, ``), "invalid", []string{"/lines/1/unitAmount is missing"}},
		"lines an object":     {`{"customerId":"c","currency":"EUR","lines":{},"payment":{"method":"m"}}`, "invalid", []string{"/lines must be an array"}},
		"no lines":            {`{"customerId":"c","currency":"EUR","lines":[],"payment":{"method":"m"}}`, "invalid", []string{"/lines must have at least one line"}},
		"a line a text":       {with(`{"sku":"filter","quantity":1,"unitAmount":300}`, `"filter"`), "invalid", []string{"/lines/1 must be an object"}},
		"negative price":      {with(`"unitAmount":300`, `"unitAmount":-300`), "invalid", []string{"/lines/1/unitAmount must be from 0 to 1000000000000, in minor units; negative only where stocked is false"}},
		"negative total":      {with(`"unitAmount":300`, `"unitAmount":-9999,"stocked":false`), "invalid", []string{"/lines must not have a negative total"}},
		"stocked a text":      {with(`"unitAmount":300`, `"unitAmount":300,"stocked":"no"`), "invalid", []string{"/lines/1/stocked must be true or false"}},
		"metadata a text":     {with(`"fulfillment"`, `"metadata":"x","fulfillment"`), "invalid", []string{"/metadata must be an object"}},
		"metadata of numbers": {with(`"fulfillment"`, `"metadata":{"a/b":1},"fulfillment"`), "invalid", []string{"/metadata/a~1b must be a string"}},
		"payment a text":      {with(`{"method":"tok_visa"}`, `"tok_visa"`), "invalid", []string{"/payment must be an object"}},
		"fulfillment":         {with(`"immediate"`, `"drone"`), "invalid", []string{`/fulfillment must be "immediate" or "shipment"`}},
		"currency":            {with(`EUR`, `EURO`), "invalid", []string{"/currency must be an ISO 4217 code of three letters"}},
		"an unread line":      {with(`"unitAmount":1999},{"sku":"filter","quantity":1`, `"unitAmount":true},{"quantity":0`), "invalid", []string{"/lines/0/unitAmount must be an integer in minor units, written as a JSON number", "/lines/1/sku is missing"}},
		"several places":      {`{"customerId":7,"currency":"EUR","lines":[{"sku":true,"quantity":"2","unitAmount":1}]}`, "invalid", []string{"/customerId must be a string", "/lines/0/sku must be a string", "/lines/0/quantity must be an integer, written as a JSON number", "/payment/method is missing"}},
		"more than all lines": {fmt.Sprintf(`{"customerId":"c","currency":"EUR","payment":{"method":"m"},"lines":[%s1]}`, strings.Repeat("1,", 100)), "invalid", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			a := f.do(http.MethodPost, "/v1/orders", test.body)
			p := a.problem(t)
			require.Equal(t, test.code, p.Code)
			require.Equal(t, map[string]int{"malformed": 400, "invalid": 422}[test.code], a.status)
			require.NotEmpty(t, p.Errors)
			if test.wrong != nil {
				var wrong []string
				for _, e := range p.Errors {
					require.NotNil(t, e.Pointer)
					wrong = append(wrong, *e.Pointer+" "+e.Detail)
				}
				require.Equal(t, test.wrong, wrong)
			}
			require.Empty(t, f.sagas.placed)
		})
	}
}

func TestPlaceRefusesUnknownCurrencies(t *testing.T) {
	f := newFixture(t)
	body := with(`"EUR"`, `"XYZ"`)
	for _, headers := range [][]string{nil, {"Idempotency-Key", "key-1"}} {
		a := f.do(http.MethodPost, "/v1/orders", body, headers...)
		require.Equal(t, http.StatusUnprocessableEntity, a.status)
		p := a.problem(t)
		require.Equal(t, "invalid", p.Code)
		require.Equal(t, "/currency", *p.Errors[0].Pointer)
	}
	require.Empty(t, f.sagas.placed)
}

func TestProblemGolden(t *testing.T) {
	f := newFixture(t)
	golden(t, "problem.json", f.do(http.MethodPost, "/v1/orders", with(`"quantity":2`, `"quantity":-2`),
		"X-Correlation-Id", "correlation-1").body)
}

func TestPlaceRefusesBadHeaders(t *testing.T) {
	f := newFixture(t)
	for _, key := range []string{"", "with blank", "tab\t", "é", strings.Repeat("x", 256)} {
		p := f.do(http.MethodPost, "/v1/orders", validOrder, "Idempotency-Key", key).problem(t)
		require.Equal(t, "invalid", p.Code, "%q", key)
		require.Equal(t, "Idempotency-Key", p.Errors[0].Header)
	}
	for _, contentType := range []string{"", "text/plain", "application/xml", "application/json; charset=latin1", "json"} {
		a := f.do(http.MethodPost, "/v1/orders", validOrder, "Content-Type", contentType)
		require.Equal(t, http.StatusUnsupportedMediaType, a.status, contentType)
		require.Equal(t, "unsupported_media_type", a.problem(t).Code)
	}
	require.Equal(t, "malformed", f.do(http.MethodPost, "/v1/orders", "").problem(t).Code)
	require.Empty(t, f.sagas.placed)
	require.Equal(t, http.StatusAccepted,
		f.do(http.MethodPost, "/v1/orders", validOrder, "Content-Type", "Application/JSON; charset=UTF-8",
			"Idempotency-Key", strings.Repeat("x", 255)).status)
}

// FuzzDecodeOrder holds the decoder to this: it never panics, its errors are Malformed or Invalid and name a
// place, what it refuses as Malformed is not what encoding/json and it read alike, and what it accepts survives
// being written and read again.
func FuzzDecodeOrder(f *testing.F) {
	for _, seed := range []string{
		validOrder, `{}`, `[]`, `{"lines":[{"quantity":1.5}]}`, `{"lines":[[]]}`, `{"customerId":"a","customerId":"a"}`,
		`{"customerId":"c","currency":"EUR","lines":[{"sku":"s","quantity":1,"unitAmount":-0}],"payment":{"method":"m"}}`,
		`{"a":"\ud800"}`, validOrder + " ", `{"payment":{"method":"m"},"lines":{"0":1}}`, "\ufeff{}",
		`{"customerId":"c","currency":"EUR","lines":[{"sku":"s","quantity":1000000,"unitAmount":1000000000000}],"payment":{"method":"m"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := api.DecodeOrder(body)
		if err != nil {
			if !errors.Is(err, fault.Malformed) && !errors.Is(err, fault.Invalid) {
				t.Fatalf("error without its code: %v", err)
			}
			if len(fault.FieldsOf(err)) == 0 {
				t.Fatalf("error without a place: %v", err)
			}
			if errors.Is(err, fault.Invalid) && !json.Valid(body) {
				t.Fatalf("%q is not JSON, and was read", body)
			}
			return
		}
		if err := o.Validate(); err != nil {
			t.Fatalf("accepted %+v: %v", o, err)
		}
		written, err := json.Marshal(map[string]any{
			"customerId": o.CustomerID, "currency": o.Currency, "lines": o.Lines, "payment": o.Payment, "fulfillment": o.Fulfillment,
			"metadata": maps.Collect(maps.All(o.Metadata)),
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := api.DecodeOrder(written)
		if err != nil {
			t.Fatalf("cannot read %s again: %v", written, err)
		}
		again.ID = o.ID
		if !reflect.DeepEqual(again, o) || o.TotalAmount > order.MaxAmount || o.TotalAmount < 0 {
			t.Fatalf("%+v became %+v", o, again)
		}
	})
}
