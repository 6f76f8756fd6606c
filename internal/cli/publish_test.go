package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/wire"
)

// publishArgs runs the command as far as its input goes: no broker listens at its address.
func publishArgs(t *testing.T, stdin string, args ...string) error {
	t.Helper()
	t.Setenv("AMQP_URL", "amqp://127.0.0.1:1/")
	cmd := root("test")
	cmd.SetArgs(append([]string{"publish", "--timeout", "1ms"}, args...))
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(new(bytes.Buffer))
	cmd.SetErr(new(bytes.Buffer))
	return cmd.ExecuteContext(t.Context())
}

func TestPublishValidatesLikeTheService(t *testing.T) {
	const order = `{"orderId":"o-1","customerId":"c-1","currency":"EUR","lines":[{"sku":"tea","quantity":1,"unitAmount":450}],"payment":{"method":"tok_visa"}}`
	good := filepath.Join(t.TempDir(), "order.json")
	require.NoError(t, os.WriteFile(good, []byte(order), 0o600))
	for name, c := range map[string]struct {
		args  []string
		stdin string
		want  string // "" when it would be sent
	}{
		"data":                {args: []string{"stock.received", "--data", `{"sku":"tea","quantity":3}`}},
		"a file":              {args: []string{"order.created", "--file", good}},
		"an alias":            {args: []string{"OrderCreated", "--file", good}},
		"standard input":      {args: []string{"order.created", "--file", "-"}, stdin: order + "\n" + strings.Replace(order, "o-1", "o-2", 1)},
		"a plain event":       {args: []string{"--data", `{"eventType":"ShipmentLost","aggregateId":"o-1","data":{}}`}},
		"a CloudEvent":        {args: []string{"--data", `{"specversion":"1.0","type":"payment.failed","id":"1","source":"/psp","subject":"o-1","data":{}}`}},
		"a NestJS packet":     {args: []string{"--data", `{"pattern":"shipment.delivered","data":{"orderId":"o-1"}}`}},
		"a subject":           {args: []string{"shipment.delivered", "--subject", "o-1", "--data", `{}`}},
		"no input":            {args: []string{"order.created"}, want: "[file data]"},
		"nothing":             {args: []string{"order.created", "--file", "-"}, want: "the input is empty"},
		"no file":             {args: []string{"order.created", "--file", good + ".no"}, want: "no such file"},
		"no type":             {args: []string{"--data", `{"sku":"tea"}`}, want: "it has no type"},
		"no such type":        {args: []string{"order.creatd", "--data", `{}`}, want: "inbound types are order.created,"},
		"our own type":        {args: []string{"order.completed", "--data", `{}`}, want: "is not an inbound event type"},
		"another type":        {args: []string{"order.created", "--data", `{"type":"stock.received","data":{"sku":"tea","quantity":1}}`}, want: "of type stock.received, not order.created"},
		"a field is missing":  {args: []string{"stock.received", "--data", `{"quantity":3}`}, want: "/data/sku: is missing"},
		"a field is wrong":    {args: []string{"stock.received", "--data", `{"sku":"tea","quantity":0}`}, want: "/data/quantity: must be from 1 to"},
		"a field is unknown":  {args: []string{"order.created", "--file", "-"}, stdin: strings.Replace(order, "{", `{"vip":true,`, 1), want: "/data/vip: is not a known field"},
		"the second is wrong": {args: []string{"stock.received", "--file", "-"}, stdin: `{"sku":"tea","quantity":1} {"sku":"tea"}`, want: "event 2 would be refused"},
		"one id for two":      {args: []string{"stock.received", "--id", "1", "--file", "-"}, stdin: `{"sku":"tea","quantity":1} {"sku":"tea","quantity":1}`, want: "--id requires exactly one event"},
		"not JSON":            {args: []string{"order.created", "--data", "order"}, want: "is not JSON"},
		"not an object":       {args: []string{"stock.received", "--data", `[1]`}, want: "must be an object"},
		"no repeats":          {args: []string{"stock.received", "--repeat", "0", "--data", `{"sku":"tea","quantity":1}`}, want: "--repeat"},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			if want == "" {
				want = "no connection to the broker at 127.0.0.1:1"
			}
			require.ErrorContains(t, publishArgs(t, c.stdin, c.args...), want)
		})
	}
}

func TestFullEventIsNotChanged(t *testing.T) {
	in := publishInput{data: `{"specversion":"1.0","type":"stock.received","id":"r-1","source":"/wms","time":"2026-11-21T12:00:00Z","correlationid":"c-1","data":{"sku":"tea","quantity":1}}`}
	list, err := in.read()
	require.NoError(t, err)
	e := list[0].event
	require.Equal(t, []string{"r-1", "/wms", "tea", "c-1", "2026-11-21T12:00:00Z"}, []string{e.ID, e.Source, e.Subject, e.CorrelationID, e.Time.Format("2006-01-02T15:04:05Z07:00")})

	in.id, in.source, in.correlation = "r-2", "/me", "c-2"
	list, err = in.read()
	require.NoError(t, err)
	e = list[0].event
	require.Equal(t, []string{"r-2", "/me", "c-2"}, []string{e.ID, e.Source, e.CorrelationID})

	in = publishInput{typ: "stock.received", data: `{"sku":"tea","quantity":1}`}
	list, err = in.read()
	require.NoError(t, err)
	e = list[0].event
	require.NotEmpty(t, e.ID)
	require.Equal(t, e.ID, e.CorrelationID)
	require.Equal(t, cliSource, e.Source)
	require.False(t, e.Time.IsZero())
	require.Equal(t, wire.ContentType, list[0].message.ContentType)

	in = publishInput{data: `{"type":"stock.received","data":{"sku":"tea","quantity":1}}`}
	first, err := in.read()
	require.NoError(t, err)
	second, err := in.read()
	require.NoError(t, err)
	require.NotEqual(t, first[0].event.ID, second[0].event.ID, "two events without ids are two")
}
