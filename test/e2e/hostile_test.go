package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
	"github.com/ordersaga/ordersaga/test/hostile"
)

// hostileRequests is how many requests TestHostileRequests sends.
func hostileRequests(t *testing.T) int {
	t.Helper()
	text := os.Getenv("ORDERSAGA_HOSTILE_REQUESTS")
	if text == "" {
		return 3000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// maxGrowth is how much more heap the service may use, in bytes, after nine tenths of the requests than after the first tenth. One request of
// 64 KiB in a hundred that is never freed would be more with 100,000 requests.
const maxGrowth = 24 << 20

// TestHostileRequests sends requests that are generated from openapi.yaml, valid and invalid ones, to every operation. Every answer is as
// described, none is an internal error, the memory of the service does not grow with the number of requests, and it still completes orders.
// A failure prints the seed and the number of the request; ORDERSAGA_SEED repeats the same requests.
func TestHostileRequests(t *testing.T) {
	s := newStack(t)
	profiler, err := harness.FreeAddr()
	require.NoError(t, err)
	service := s.start("API_AUTH=keys", "DEBUG_ADDR="+profiler, "WORKER_CACHE=20", "LOG_LEVEL=warn")
	key := func(name, scopes string) string {
		return strings.TrimSpace(printed(t, append(environ(), "MONGODB_DATABASE="+s.database), "keys", "create", "--name", name, "--scopes", scopes))
	}
	all := key("all", "orders:read,orders:write,sagas:write,stock:read,stock:write,operate")
	s.client.Token = all
	values := s.hostileValues()
	values.Tokens = []string{all, key("reader", "orders:read"), "osk_" + strings.Repeat("A", 43), ""}
	document, err := s.client.Do(s.ctx, http.MethodGet, "/openapi.yaml", nil)
	require.NoError(t, err)
	spec, err := hostile.Load(document.Body)
	require.NoError(t, err)

	seed := rand.Uint64()
	if text := os.Getenv("ORDERSAGA_SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	requests := hostileRequests(t)
	t.Logf("ORDERSAGA_SEED=%d ORDERSAGA_HOSTILE_REQUESTS=%d", seed, requests)
	address, err := url.Parse(service.URL)
	require.NoError(t, err)
	run := func(first, number int) {
		report := spec.Run(s.ctx, hostile.Options{Addr: address.Host, Seed: seed, First: first, Requests: number, Clients: 16, Patience: patience, Values: values})
		t.Logf("requests %d to %d: answers by status %v", first, first+number-1, report.Statuses)
		for _, failure := range report.Failures {
			t.Error(failure)
		}
	}
	run(0, requests/10)
	before := s.heap(profiler)
	run(requests/10, requests-requests/10)
	after := s.heap(profiler)
	t.Logf("heap after a tenth of the requests: %d KiB, after all: %d KiB", before>>10, after>>10)
	require.Less(t, after, before+maxGrowth)

	end := s.place(harness.NewOrder(s.sku(1), 1, "tok_visa"))
	require.Equal(t, "completed", end.Status)
	require.NotContains(t, service.Log(), "panic")
	report, err := audit.Run(s.ctx, s.db)
	require.NoError(t, err)
	require.Empty(t, report.Violations)
}

// heap returns what the service's heap has after a collection, in bytes.
func (s *stack) heap(profiler string) int {
	s.t.Helper()
	response, err := harness.Client{URL: "http://" + profiler}.Do(s.ctx, http.MethodGet, "/debug/pprof/heap?gc=1&debug=1", nil)
	require.NoError(s.t, err)
	found := regexp.MustCompile(`# HeapAlloc = (\d+)`).FindSubmatch(response.Body)
	require.NotNil(s.t, found)
	bytes, err := strconv.Atoi(string(found[1]))
	require.NoError(s.t, err)
	return bytes
}

// hostileValues has orders, SKUs and dead letters that exist.
func (s *stack) hostileValues() hostile.Values {
	s.t.Helper()
	sku, empty := s.sku(1_000_000), s.sku(1)
	var orders []string
	for _, fulfillment := range []string{"", "shipment"} {
		o := harness.NewOrder(sku, 1, "tok_visa")
		o.Fulfillment = fulfillment
		placed, err := s.client.Place(s.ctx, o, 0)
		require.NoError(s.t, err)
		orders = append(orders, placed.ID)
	}
	letters := make([]string, 3)
	for i := range letters {
		id := fmt.Sprintf("hostile-%d", i)
		require.NoError(s.t, s.bus.PublishRaw(s.ctx, harness.Exchange, "order.created", amqp.Publishing{MessageId: id, Body: []byte("{")}))
		dead, err := s.client.AwaitDead(s.ctx, func(l harness.DeadLetter) bool { return l.Properties.MessageID == id })
		require.NoError(s.t, err)
		letters[i] = dead.ID
	}
	return hostile.Values{Known: func(path, parameter string) []string {
		switch {
		case parameter == "sku":
			return []string{sku, empty, "tea", "coffee"}
		case parameter == "flow":
			return []string{"order", "late-payment", "onboarding", "notification"}
		case parameter == "code":
			return []string{"invalid", "not_found"}
		case parameter == "type":
			return []string{"order.accepted", "stock.received"}
		case parameter == "version":
			return []string{"1", "2"}
		case strings.HasPrefix(path, "/v1/dead-letters"):
			return letters
		}
		return orders
	}}
}

// TestSlowClients: thousands of connections that send nothing, a part of a request, or read nothing are closed, and orders complete meanwhile.
func TestSlowClients(t *testing.T) {
	s := newStack(t)
	service := s.start("LOG_LEVEL=warn")
	waiting := s.ship(s.sku(10), "tok_visa")
	address, err := url.Parse(service.URL)
	require.NoError(t, err)
	var connections []net.Conn
	for text, number := range map[string]int{
		"": crowd(1500, 5000),
		"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ":                                                                       300,
		"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{":            300,
		"GET /v1/orders/" + waiting + "/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\nGET / HTTP/1.1\r\n": 100,
	} {
		for range number {
			c, err := (&net.Dialer{}).DialContext(s.ctx, "tcp", address.Host)
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
			_, err = io.WriteString(c, text)
			require.NoError(t, err)
			if !strings.Contains(text, "event-stream") {
				connections = append(connections, c)
			}
		}
	}
	sku := s.sku(20)
	for range 20 {
		require.Equal(t, "completed", s.place(harness.NewOrder(sku, 1, "tok_visa")).Status)
	}
	for _, c := range connections {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, c)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the service closes the connection")
	}
	answer, err := s.client.Cancel(s.ctx, waiting, "the test is over")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status)
	_, err = s.client.AwaitEnd(s.ctx, waiting)
	require.NoError(t, err)
	require.NoError(t, service.Stop(patience))
	s.audit()
}
