package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/client"
)

// service answers without a network: time is virtual in these tests.
type service struct {
	requests []*http.Request
	bodies   []string
	// answers are used one after the other, the last one again and again.
	answers []func(*http.Request) (*http.Response, error)
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(raw)
	}
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, body)
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return answer(r)
}

func (s *service) client(t *testing.T, change ...func(*client.Config)) *client.Client {
	t.Helper()
	config := client.Config{URL: "https://orders.example.com/", APIKey: "osk_test", HTTP: &http.Client{Transport: s}}
	for _, do := range change {
		do(&config)
	}
	c, err := client.New(config)
	require.NoError(t, err)
	return c
}

func answer(status int, contentType, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {contentType}}
		for i := 0; i+1 < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func order(status int, state string) func(*http.Request) (*http.Response, error) {
	return answer(status, "application/json", `{"id":"order-1","status":"`+state+`","reason":null}`)
}

func problem(status int, code string, headers ...string) func(*http.Request) (*http.Response, error) {
	return answer(status, "application/problem+json", `{"title":"No","code":"`+code+`","detail":"because","errors":[{"pointer":"/lines/0/quantity","detail":"must be from 1 to 1000000"}]}`, headers...)
}

func unreachable(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func TestCallsAreRepeatedWithTheirKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answers: []func(*http.Request) (*http.Response, error){
			unreachable, problem(503, "unavailable"), problem(429, "rate_limited", "Retry-After", "7"), answer(502, "text/html", "<h1>"), order(202, "accepted"),
		}}
		began := time.Now()
		o, err := s.client(t).PlaceOrder(t.Context(), client.OrderRequest{CustomerID: "c-1"})
		require.NoError(t, err)
		require.Equal(t, "order-1", o.ID)
		require.Len(t, s.requests, 5)
		require.GreaterOrEqual(t, time.Since(began), 7*time.Second, "it waits as long as the service asks")
		for i, r := range s.requests {
			require.Equal(t, s.requests[0].Header, r.Header)
			require.Equal(t, s.bodies[0], s.bodies[i])
		}
		require.NotEmpty(t, s.requests[0].Header.Get("Idempotency-Key"))
		require.Equal(t, "Bearer osk_test", s.requests[0].Header.Get("Authorization"))

		_, err = s.client(t).PlaceOrder(t.Context(), client.OrderRequest{}, client.WithIdempotencyKey("mine"), client.WithCorrelationID("checkout-42"))
		require.NoError(t, err)
		require.Equal(t, "mine", s.requests[5].Header.Get("Idempotency-Key"))
		require.Equal(t, "checkout-42", s.requests[5].Header.Get("X-Correlation-Id"))
	})
}

func TestRefusedCallsAreNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{400, 401, 403, 404, 409, 422, 500, 501} {
			s := &service{answers: []func(*http.Request) (*http.Response, error){problem(status, "code")}}
			_, err := s.client(t).PlaceOrder(t.Context(), client.OrderRequest{})
			var refused *client.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, status, refused.Status)
			require.False(t, refused.Retryable())
			require.Equal(t, []client.FieldError{{Pointer: "/lines/0/quantity", Detail: "must be from 1 to 1000000"}}, refused.Fields)
			require.EqualError(t, err, "No: because; /lines/0/quantity: must be from 1 to 1000000 (code)")
			require.Len(t, s.requests, 1)
		}
	})
}

func TestRepetitionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answers: []func(*http.Request) (*http.Response, error){problem(503, "unavailable")}}
		began := time.Now()
		_, err := s.client(t).Order(t.Context(), "order-1")
		var refused *client.Error
		require.ErrorAs(t, err, &refused)
		require.True(t, refused.Retryable())
		require.InDelta(t, client.DefaultRetryTime.Seconds(), time.Since(began).Seconds(), 10)

		s.requests = nil
		_, err = s.client(t, func(c *client.Config) { c.RetryTime = -1 }).Order(t.Context(), "order-1")
		require.ErrorAs(t, err, &refused)
		require.Len(t, s.requests, 1)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.client(t).Order(ctx, "order-1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorAs(t, err, &refused, "the last answer is in the error")
	})
}

// An attempt that hangs is ended, and the call is repeated.
func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		s := &service{answers: []func(*http.Request) (*http.Response, error){hang, order(200, "completed")}}
		o, err := s.client(t).Order(t.Context(), "order-1")
		require.NoError(t, err)
		require.True(t, o.Ended())
	})
}

func TestPlaceOrderAndWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answers: []func(*http.Request) (*http.Response, error){order(202, "accepted"), unreachable, order(202, "authorized"), order(201, "completed")}}
		o, err := s.client(t).PlaceOrderAndWait(t.Context(), client.OrderRequest{})
		require.NoError(t, err)
		require.Equal(t, client.StatusCompleted, o.Status)
		keys := map[string]bool{}
		for _, r := range s.requests {
			require.Equal(t, "wait=60", r.Header.Get("Prefer"))
			keys[r.Header.Get("Idempotency-Key")] = true
		}
		require.Len(t, keys, 1)

		s.answers = []func(*http.Request) (*http.Response, error){order(202, "awaiting_payment")}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		s.requests = nil
		o, err = s.client(t).PlaceOrderAndWait(ctx, client.OrderRequest{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "awaiting_payment", o.Status, "the order is returned with the error")
		require.Equal(t, "wait=2", s.requests[0].Header.Get("Prefer"))
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answers: []func(*http.Request) (*http.Response, error){problem(503, "unavailable"), order(200, "completed")}}
		tokens := []string{"old", "new"}
		c := s.client(t, func(c *client.Config) {
			c.Token = func(context.Context) (token string, err error) {
				if len(tokens) == 0 {
					return "", errors.New("no provider")
				}
				token, tokens = tokens[0], tokens[1:]
				return token, nil
			}
		})
		_, err := c.Order(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, "Bearer new", s.requests[1].Header.Get("Authorization"))
		_, err = c.Order(t.Context(), "order-1")
		require.ErrorContains(t, err, "no provider")
		require.Len(t, s.requests, 2, "a token that is missing is no reason to repeat")
	})
}

func TestListsReadEveryPage(t *testing.T) {
	pages := []func(*http.Request) (*http.Response, error){
		answer(200, "application/json", `{"items":[{"id":"1"},{"id":"2"}],"nextCursor":"c+1"}`), answer(200, "application/json", `{"items":[{"id":"3"}],"nextCursor":null}`),
	}
	s := &service{answers: pages}
	c := s.client(t)
	orders, err := client.Collect(c.Orders(t.Context(), client.Filter{Statuses: []string{"completed", "failed"}, From: time.Unix(0, 0), MinAmount: 5}))
	require.NoError(t, err)
	require.Len(t, orders, 3)
	require.Equal(t, "from=1970-01-01T00%3A00%3A00Z&minAmount=5&status=completed&status=failed", s.requests[0].URL.RawQuery)
	require.Equal(t, "c+1", s.requests[1].URL.Query().Get("cursor"))

	s = &service{answers: pages}
	for o, err := range s.client(t).Orders(t.Context(), client.Filter{}) {
		require.NoError(t, err)
		if o.ID == "2" {
			break
		}
	}
	require.Len(t, s.requests, 1, "a page that is not read is not requested")
	s = &service{answers: []func(*http.Request) (*http.Response, error){pages[0], problem(422, "invalid")}}
	orders, err = client.Collect(s.client(t).Orders(t.Context(), client.Filter{}))
	require.Error(t, err)
	require.Len(t, orders, 2)
}

func TestIDsAreEscaped(t *testing.T) {
	s := &service{answers: []func(*http.Request) (*http.Response, error){order(200, "completed")}}
	_, err := s.client(t).Order(t.Context(), "gid://shop/Order 1?x")
	require.NoError(t, err)
	require.Equal(t, "/v1/orders/gid:%2F%2Fshop%2FOrder%201%3Fx", s.requests[0].URL.EscapedPath())
}

func events(body string) func(*http.Request) (*http.Response, error) {
	return answer(200, "text/event-stream", body)
}

func TestWatchContinuesAfterTheLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answers: []func(*http.Request) (*http.Response, error){
			events("retry: 2000\n\nid: 1\ndata: {\"version\":1}\n\nid: 2\ndata: {\"version\":2}\n\n: heartbeat\n\n"), unreachable,
			events("id: 2\ndata: {\"version\":2}\n\nid: 3\ndata: {\"version\":3}\n\n"), problem(503, "unavailable"), answer(204, "", ""),
		}}
		var versions []int64
		for e, err := range s.client(t).WatchOrder(t.Context(), "order-1", 0) {
			require.NoError(t, err)
			versions = append(versions, e.Version)
		}
		require.Equal(t, []int64{1, 2, 3}, versions)
		require.Len(t, s.requests, 5)
		var after []string
		for _, r := range s.requests {
			require.Equal(t, "text/event-stream", r.Header.Get("Accept"))
			after = append(after, r.Header.Get("Last-Event-ID"))
		}
		require.Equal(t, []string{"", "2", "2", "3", "3"}, after)
	})
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answers: []func(*http.Request) (*http.Response, error){problem(404, "not_found")}}
		_, err := client.Collect(s.client(t).WatchOrder(t.Context(), "order-1", 0))
		var refused *client.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, client.CodeNotFound, refused.Code)

		s = &service{answers: []func(*http.Request) (*http.Response, error){unreachable}}
		_, err = client.Collect(s.client(t).WatchOrder(t.Context(), "order-1", 0))
		require.ErrorContains(t, err, "connection refused", "it does not try forever")

		s = &service{answers: []func(*http.Request) (*http.Response, error){events("data: {\"version\":1}\n\ndata: {\"version\":2}\n\n")}}
		for _, err := range s.client(t).WatchOrder(t.Context(), "order-1", 0) {
			require.NoError(t, err)
			break
		}
		require.Len(t, s.requests, 1)

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		got, err := client.Collect(s.client(t).WatchOrder(ctx, "order-1", 0))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, got, 2)
	})
}

// A connection on which nothing arrives any more is replaced.
func TestSilentStreamsAreOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(r *http.Request) (*http.Response, error) {
			reader, writer := io.Pipe()
			context.AfterFunc(r.Context(), func() { _ = writer.CloseWithError(r.Context().Err()) })
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: reader}, nil
		}
		s := &service{answers: []func(*http.Request) (*http.Response, error){silent, events("data: {\"version\":1}\n\n"), answer(204, "", "")}}
		got, err := client.Collect(s.client(t).WatchOrder(t.Context(), "order-1", 0))
		require.NoError(t, err)
		require.Len(t, got, 1)
	})
}

func TestInvalidURLs(t *testing.T) {
	for _, address := range []string{"", "orders.example.com", "amqp://orders.example.com", "https://", "https://orders.example.com?x=1"} {
		_, err := client.New(client.Config{URL: address})
		require.Error(t, err, address)
	}
}

func TestErrorsOfOthers(t *testing.T) {
	s := &service{answers: []func(*http.Request) (*http.Response, error){answer(404, "text/html", "<h1>nginx</h1>")}}
	_, err := s.client(t).Order(t.Context(), "order-1")
	require.EqualError(t, err, "status 404: Not Found")
	s.answers = slices.Insert(s.answers, 0, answer(200, "text/html", "<h1>"))
	_, err = s.client(t).Order(t.Context(), "order-1")
	require.ErrorContains(t, err, "read the answer")
}

func TestReturns(t *testing.T) {
	body := `{"id":"r 1","status":"partly_received","lines":[{"line":1,"sku":"tea","quantity":2,"received":1}],"refund":true,"refundId":null,"refundedAmount":null}`
	s := &service{answers: []func(*http.Request) (*http.Response, error){answer(201, "application/json", body)}}
	c := s.client(t)
	lines := []client.RefundLine{{Line: 1, Quantity: 2}}
	r, err := c.AnnounceReturnAndWait(t.Context(), "o/1", client.ReturnRequest{ID: "r 1", Lines: lines})
	require.NoError(t, err)
	require.Equal(t, []client.ReturnLine{{Line: 1, SKU: "tea", Quantity: 2, Received: 1}}, r.Lines)
	_, err = c.ReceiveReturn(t.Context(), "o/1", r.ID, client.Receipt{})
	require.NoError(t, err)
	require.Equal(t, "/v1/orders/o%2F1/returns", s.requests[0].URL.EscapedPath())
	require.JSONEq(t, `{"id":"r 1","lines":[{"line":1,"quantity":2}]}`, s.bodies[0])
	require.Equal(t, "/v1/orders/o%2F1/returns/r%201/receipts", s.requests[1].URL.EscapedPath())
	require.NotEqual(t, s.requests[0].Header.Get("Idempotency-Key"), s.requests[1].Header.Get("Idempotency-Key"))
}
