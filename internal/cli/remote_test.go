package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/client"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestExitCodesOfTheRESTAPI(t *testing.T) {
	for status, want := range map[int]int{400: 2, 401: 5, 403: 5, 404: 3, 409: 4, 422: 2, 429: 6, 500: 1, 501: 1, 503: 6} {
		require.Equal(t, want, exitCode(fmt.Errorf("place: %w", &client.Error{Status: status})), status)
	}
	require.Equal(t, 6, exitCode(&url.Error{Op: "Post", Err: errors.New("refused")}))
	require.Equal(t, 7, exitCode(errNotCompleted))
	require.Equal(t, 1, exitCode(errNotAll))

	refused := faultOf(&client.Error{Status: 409, Code: client.CodeResolutionRefused, Detail: "it has been discarded"})
	require.True(t, isRefusal(refused))
	require.Equal(t, "it has been discarded", fault.SafeMessage(refused))
	require.Equal(t, 4, exitCode(refused))
}

func TestErrorsNameTheNextStep(t *testing.T) {
	require.Contains(t, nextStep(&client.Error{Code: client.CodeUnauthenticated}), "ORDERSAGA_API_KEY")
	require.Contains(t, nextStep(&url.Error{}), "ORDERSAGA_URL")
	require.Empty(t, nextStep(errNotAll))
	k := keyed{key: "k-1"}
	require.ErrorContains(t, k.failed(&client.Error{Status: 503}), "--key k-1")
	require.NotContains(t, k.failed(&client.Error{Status: 409}).Error(), "--key")
}

func TestLinesOfOrders(t *testing.T) {
	l, err := lineOf("gid://shop/tea:2:-450")
	require.NoError(t, err)
	require.Equal(t, client.LineRequest{SKU: "gid://shop/tea", Quantity: 2, UnitAmount: -450}, l)
	for _, wrong := range []string{"", "tea", "tea:1", "tea:one:450", "tea:1:4.50"} {
		_, err := lineOf(wrong)
		require.ErrorContains(t, err, "expected SKU:QUANTITY:AMOUNT", wrong)
	}
	f := placeFlags{data: `{"customerId": "c-1", "colour": "red"}`}
	_, err = f.request(nil)
	require.ErrorContains(t, err, "colour")
	f = placeFlags{file: "-"}
	o, err := f.request(strings.NewReader(`{"customerId": "c-1"}`))
	require.NoError(t, err)
	require.Equal(t, "c-1", o.CustomerID)
}

func TestPictureOfASaga(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	end := at.Add(12 * time.Millisecond)
	s := client.Saga{Flow: "order", ID: "shop-1001", Status: "needs_attention", Steps: []client.Step{
		{Name: "reserve", State: "done", StartedAt: &at, EndedAt: &end}, {Name: "authorize", State: "compensated", StartedAt: &at},
		{Name: "capture", State: "unknown", Error: "no\x1b answer"}, {Name: "deliver", State: "pending"},
	}, Attention: &client.Attention{Step: "capture", Error: "no answer", Actions: []string{"retry", "skip"}}}
	var out bytes.Buffer
	require.NoError(t, drawSaga(&out, s, false))
	require.Equal(t, `order shop-1001: needs_attention
  ✓ reserve    done          12ms
  ↶ authorize  compensated
  ! capture    unknown       no· answer
  · deliver    pending
  needs attention at capture: no answer; allowed actions: retry, skip
`, out.String())

	out.Reset()
	p := picture{to: &out}
	require.NoError(t, p.draw(s))
	require.NoError(t, p.draw(client.Saga{Flow: "order", ID: "shop-1001", Status: "completed"}))
	require.True(t, strings.HasSuffix(out.String(), "\x1b[6A\x1b[Jorder shop-1001: completed\n"), "the second picture takes the place of the first")
}

func TestLettersOverREST(t *testing.T) {
	payload, at := "AQI=", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l, err := letterOf(client.DeadLetter{
		ID: "l-1", Status: "open", Reason: "invalid", FailedAt: at, OriginExchange: "domain_events", Payload: &payload, PayloadEncoding: "base64",
		Properties: map[string]any{"contentType": "application/json", "timestamp": nil}, Headers: map[string]any{"x-tenant": "blue"},
		History: []client.Event{{Version: 1, Type: "dead_letter.kept", Key: "keep", Time: at, Data: []byte(`{"reason":"invalid"}`)}},
	})
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2}, l.Message.Body)
	require.Equal(t, []any{deadletter.StatusOpen, "domain_events", "application/json", at}, []any{l.Status, l.Message.Exchange, l.Message.ContentType, l.FailedAt.Time})
	require.Equal(t, "invalid", decisionOf(l.History[0]))
	_, err = remoteLetters{by: func(by string) string { return by }}.request(deadletter.Request{Body: []byte{0xff}})
	require.ErrorContains(t, err, "not UTF-8")
}
