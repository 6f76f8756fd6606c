package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestCodecServerDecryptsHistories: what Temporal stores of an order is not readable, and the codec server makes it readable for callers that may
// operate.
func TestCodecServerDecryptsHistories(t *testing.T) {
	s := newStack(t)
	file, _ := keyFile(t)
	s.start("PAYLOAD_KEYS_FILE=" + file)
	sku := s.sku(5)
	placed := s.place(harness.NewOrder(sku, 1, "tok_visa"))
	require.Equal(t, "completed", placed.Status)
	s.closes("order-" + placed.ID)
	stored := s.storedHistory("order-" + placed.ID)
	require.NotContains(t, readable(t, stored), sku)

	out := new(recorded)
	server, err := harness.Start(s.ctx, harness.Options{
		Binary: binary, Role: "codec-server", Env: []string{"PAYLOAD_KEYS_FILE=" + file, "API_AUTH=keys", "MONGODB_DATABASE=" + s.database}, Output: out,
	})
	require.NoError(t, err)
	t.Cleanup(server.Kill)
	key := func(name, scope string) string {
		return strings.TrimSpace(printed(t, append(environ(), "MONGODB_DATABASE="+s.database), "keys", "create", "--name", name, "--scopes", scope))
	}
	decode := func(token string) error {
		remote := converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{Endpoint: server.URL, ModifyRequest: func(r *http.Request) error {
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			return nil
		}})
		return proxy.VisitPayloads(s.ctx, stored, proxy.VisitPayloadsOptions{
			SkipSearchAttributes: true,
			Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
				return remote.Decode(payloads)
			},
		})
	}
	operator, shop := key("operator", "operate"), key("reader", "orders:read")
	for _, refused := range []string{"", shop, operator + "x"} {
		require.Error(t, decode(refused))
	}
	require.NotContains(t, readable(t, stored), sku)
	require.NoError(t, decode(operator))
	require.Contains(t, readable(t, stored), sku)
	require.NoError(t, server.Stop(patience))
	require.NotContains(t, string(out.bytes()), sku)
	require.NotContains(t, string(out.bytes()), operator)
}

// storedHistory is what Temporal stores of a run, as it is.
func (s *stack) storedHistory(workflowID string) *historypb.History {
	s.t.Helper()
	history := new(historypb.History)
	for events := s.temporal.GetWorkflowHistory(s.ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		require.NoError(s.t, err)
		history.Events = append(history.Events, e)
	}
	return history
}

// readable is a history with the data of its payloads as they are.
func readable(t *testing.T, h *historypb.History) string {
	t.Helper()
	raw, err := protojson.Marshal(h)
	require.NoError(t, err)
	text := string(raw)
	require.NoError(t, proxy.VisitPayloads(context.Background(), h, proxy.VisitPayloadsOptions{
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			for _, p := range payloads {
				text += string(p.GetData())
			}
			return payloads, nil
		},
	}))
	return text
}
