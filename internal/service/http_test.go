package service

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// ask sends a request over a connection of its own and returns the answer, whose body has been read.
func ask(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(testenv.Timeout)))
	_, err = fmt.Fprint(c, request)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

func TestAStartingProcessAnswersProblems(t *testing.T) {
	s := &Service{logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
	s.cfg.HTTPAddr = "127.0.0.1:0"
	l, err := s.listen(t.Context(), s.probes(true, func(context.Context) []api.Check { return nil }))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Timeout)
	defer cancel()

	response, body := ask(t, l.addr(), "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.JSONEq(t, `{"status":"starting","checks":[]}`, body)
	for request, code := range map[string]string{
		"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n": "unavailable",
		"GET /livez HTTP/1.1\r\n\r\n":                                        "malformed",
	} {
		response, body = ask(t, l.addr(), request)
		require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
		require.Contains(t, body, `"code":"`+code+`"`)
	}
	response, _ = ask(t, l.addr(), "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	require.Equal(t, http.StatusOK, response.StatusCode)
	// None of these connections has been closed by its client.
	require.NoError(t, l.server.Shutdown(ctx))
}
