package wire_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestNestReplyFormat(t *testing.T) {
	const request = `{"pattern":"shipment.dispatched","data":{"orderId":"o-1"},"id":"req-1"}`
	invalid := fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/quantity", "must be from 1 to 100")})
	for name, test := range map[string]struct {
		body string
		err  error
		want string
	}{
		"handled":             {request, nil, `{"id":"req-1","response":{"status":"accepted","type":"shipment.dispatched","eventId":"req-1","subject":"o-1","correlationId":"req-1"},"isDisposed":true}`},
		"an event of its own": {`{"pattern":{"cmd":"ShipmentLost"},"id":"req-1","data":{"id":"e-1","aggregateId":"o-1","correlationId":"c-1","data":{}}}`, nil, `{"id":"req-1","response":{"status":"accepted","type":"shipment.lost","eventId":"e-1","subject":"o-1","correlationId":"c-1"},"isDisposed":true}`},
		"invalid":             {request, invalid, `{"id":"req-1","err":{"status":"error","code":"invalid","message":"event is invalid","errors":[{"pointer":"/data/quantity","detail":"must be from 1 to 100"}]},"isDisposed":true}`},
		"an internal error":   {request, fmt.Errorf("password is 1234"), `{"id":"req-1","err":{"status":"error","code":"internal","message":"Internal error"},"isDisposed":true}`},
		"cut off":             {`{"pattern":"shipment.dispatched","id":"req-1","data":{`, fault.New(fault.Malformed, "no JSON"), `{"id":"req-1","err":{"status":"error","code":"malformed","message":"no JSON"},"isDisposed":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			m := wire.Message{Body: []byte(test.body), ReplyTo: "replies", CorrelationID: "req-1"}
			reply, ok := wire.NestReply(m, test.err)
			require.True(t, ok)
			require.JSONEq(t, test.want, string(reply.Body))
			require.Equal(t, "req-1", reply.CorrelationID)
			require.Equal(t, "application/json", reply.ContentType)

			m.CorrelationID = "set-by-hand"
			reply, _ = wire.NestReply(m, test.err)
			require.Equal(t, "set-by-hand", reply.CorrelationID)
		})
	}
}

func TestOtherMessagesGetNoNestReply(t *testing.T) {
	for name, m := range map[string]wire.Message{
		"emit":           {Body: []byte(`{"pattern":"shipment.lost","data":{"orderId":"o-1"}}`), ReplyTo: "replies"},
		"no queue":       {Body: []byte(`{"pattern":"shipment.lost","data":{"orderId":"o-1"},"id":"req-1"}`)},
		"plain event":    {Body: []byte(`{"id":"e-1","type":"shipment.lost","data":{"orderId":"o-1"}}`), ReplyTo: "replies"},
		"CloudEvent":     {Body: []byte(`{"specversion":"1.0","pattern":"x","id":"e-1","type":"shipment.lost","data":{"orderId":"o-1"}}`), ReplyTo: "replies"},
		"a NestJS reply": {Body: []byte(`{"id":"req-1","response":{},"isDisposed":true}`), ReplyTo: "replies"},
		"no JSON":        {Body: []byte(`pattern`), ReplyTo: "replies"},
	} {
		_, ok := wire.NestReply(m, nil)
		require.False(t, ok, name)
	}
}

func FuzzNestReply(f *testing.F) {
	f.Add([]byte(`{"pattern":"shipment.dispatched","data":{"orderId":"o-1"},"id":"req-1"}`), "")
	f.Add([]byte(`{"pattern":"\ud800","id":"\u0000","data":`), "invalid")
	f.Fuzz(func(t *testing.T, body []byte, code string) {
		var err error
		if code != "" {
			err = fault.NewInvalid("event", []fault.Field{fault.Fieldf(code, "%s", code)})
		}
		reply, ok := wire.NestReply(wire.Message{Body: body, ReplyTo: "q"}, err)
		if !ok {
			return
		}
		var read map[string]any
		require.NoError(t, json.Unmarshal(reply.Body, &read))
		require.Equal(t, true, read["isDisposed"])
		_, response := read["response"]
		_, failure := read["err"]
		require.Equal(t, err == nil, response)
		require.Equal(t, err != nil, failure)
		require.NotContains(t, string(reply.Body), "\n")
	})
}
