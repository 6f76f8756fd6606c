package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
)

// pipes is a listener whose connections have no network, so that time can be the test's.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// piped is a server over pipes.
type piped struct {
	t      *testing.T
	server *http.Server
	pipes  *pipes
	// open has the connections that are open.
	open sync.WaitGroup
}

func servePiped(t *testing.T, handler http.Handler) *piped {
	s := &piped{t: t, server: &http.Server{Handler: handler}, pipes: &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}}
	api.ConfigureServer(s.server)
	report := s.server.ConnState
	s.server.ConnState = func(c net.Conn, state http.ConnState) {
		switch report(c, state); state {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed:
			s.open.Done()
		}
	}
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(api.ProblemListener(s.pipes)) }()
	t.Cleanup(func() {
		require.NoError(t, s.server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		s.open.Wait()
	})
	return s
}

// client is a connection to a server.
type client struct {
	net.Conn
	t      *testing.T
	answer *bufio.Reader
}

// send opens a connection and sends text, with \n for line ends.
func (s *piped) send(text string) *client {
	s.t.Helper()
	ours, theirs := net.Pipe()
	s.t.Cleanup(func() { _ = ours.Close() })
	s.pipes.waiting <- theirs
	c := &client{Conn: ours, t: s.t, answer: bufio.NewReader(ours)}
	c.send(text)
	return c
}

// send does not wait until the text is read: a server that refuses a request need not read all of it. What was sent before
// has been read.
func (c *client) send(text string) {
	if text == "" {
		return
	}
	go func() { _, _ = c.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) }()
}

// read returns the next answer.
func (c *client) read() answer {
	c.t.Helper()
	response, err := http.ReadResponse(c.answer, nil)
	require.NoError(c.t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return answer{status: response.StatusCode, header: response.Header, body: string(body), closes: response.Close}
}

// expectClosed reads until the server closes the connection.
func (c *client) expectClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.answer)
	require.NoError(c.t, err)
	require.Empty(c.t, string(rest))
}

// unread are requests whose body is announced, is not sent, and is not needed for the answer.
var unread = map[string]int{
	"GET /livez HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n":                                                                         200,
	"GET /nowhere HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n":                                                                       404,
	"GET /livez HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n":                                                                 200,
	"GET /livez HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5\nab":                                                            200,
	"DELETE /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 9999999\n\n":                                                             405,
	"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 10\nContent-Type: text/html\n\n":                                           415,
	"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 10\nIdempotency-Key: a b\n\n":                                              422,
	"POST /v1/orders/o-1/cancellation HTTP/1.1\nHost: evil.example\nContent-Length: 10\n\n":                                                421,
	"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 9999999\nContent-Type: application/json\nExpect: 100-continue\n\n":         413,
	"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 10\nContent-Type: application/xml\nExpect: 100-continue\n\n":               415,
	"OPTIONS * HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n":                                                                          204,
	"GET /livez HTTP/1.1\nHost: localhost\nContent-Length: 10\nExpect: something\n\n":                                                      417,
	"POST /v1/dead-letters/d-1/replay HTTP/1.0\nContent-Length: 10\nContent-Type: text/plain\nConnection: keep-alive\nHost: localhost\n\n": 415,
}

func TestMissingBodyIsAnsweredAndClosed(t *testing.T) {
	for request, status := range unread {
		synctest.Test(t, func(t *testing.T) {
			s := servePiped(t, newFixture(t).server)
			began := time.Now()
			c := s.send(request)
			require.Equal(t, status, c.read().status, request)
			require.Less(t, time.Since(began), time.Second, "%s: answered", request)
			c.expectClosed()
			require.Less(t, time.Since(began), 5*time.Second, "%s: closed", request)
		})
	}
}

func TestMissingRequiredBodyHasADeadline(t *testing.T) {
	for _, request := range []string{
		"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 10\nContent-Type: application/json\n\n{",
		"POST /v1/orders HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nContent-Type: application/json\n\n1\n{\n",
		"POST /v1/orders/o-1/cancellation HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nContent-Type: application/json\n\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := servePiped(t, newFixture(t).server)
			began := time.Now()
			c := s.send(request)
			require.Equal(t, "malformed", c.read().problem(t).Code)
			c.expectClosed()
			require.Less(t, time.Since(began), 30*time.Second)
		})
	}
}

func TestConnectionsWithoutARequestHaveADeadline(t *testing.T) {
	for _, text := range []string{"", "GET /livez HT", "GET /livez HTTP/1.1\nHost: localhost\n", "GET /livez HTTP/1.1\nHost: localhost\n\n"} {
		synctest.Test(t, func(t *testing.T) {
			s := servePiped(t, newFixture(t).server)
			began := time.Now()
			c := s.send(text)
			_, err := io.ReadAll(c.answer)
			require.NoError(t, err)
			require.Less(t, time.Since(began), 3*time.Minute, text)
		})
	}
}

func TestStoppingDoesNotWaitForClients(t *testing.T) {
	requests := []string{
		"", "GET /livez HTTP/1.1\nHost: localhost\n", "GET /livez HTTP/1.1\nHost: localhost\n\n",
		"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 10\nContent-Type: application/json\n\n{",
	}
	for request := range unread {
		requests = append(requests, request)
	}
	for _, request := range requests {
		synctest.Test(t, func(t *testing.T) {
			s := servePiped(t, newFixture(t).server)
			if c := s.send(request); request != "" {
				go func() { _, _ = io.Copy(io.Discard, c.answer) }()
			}
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.NoError(t, s.server.Shutdown(ctx), request)
		})
	}
}

func TestUnreadBodyLeavesTheConnectionUsable(t *testing.T) {
	const next = "GET /v1/orders/o-9 HTTP/1.1\nHost: localhost\n\n"
	for _, first := range []string{
		"GET /livez HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n0123456789",
		"GET /livez HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n",
		"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 10\nIdempotency-Key: a b\n\n0123456789",
		"POST /v1/orders HTTP/1.1\nHost: localhost\nContent-Length: 2\nContent-Type: application/json\n\n{}",
	} {
		synctest.Test(t, func(t *testing.T) {
			c := servePiped(t, newFixture(t).server).send(first)
			a := c.read()
			require.False(t, a.closes, first)
			c.send(next)
			require.Equal(t, "not_found", c.read().problem(t).Code, first)
		})
	}
}

func TestRequestOutlivesTheReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		began := time.Now()
		var cancelled bool
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.server.ServeHTTP(w, r)
			select {
			case <-r.Context().Done():
				cancelled = true
			case <-time.After(85 * time.Second):
			}
		})
		s := servePiped(t, handler)
		for _, request := range []string{
			"GET /livez HTTP/1.1\nHost: localhost\n\n",
			"GET /livez HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}",
			"POST /v1/orders/o-1/cancellation HTTP/1.1\nHost: localhost\nContent-Length: 1\nContent-Type: application/json\n\n{",
		} {
			c := s.send(request)
			c.read()
			require.False(t, cancelled, request)
			_ = c.Close()
		}
		require.GreaterOrEqual(t, time.Since(began), 3*85*time.Second)
	})
}

func TestErrorsOfTheHTTPServerAreProblems(t *testing.T) {
	long := "X-Long: " + strings.Repeat("x", 80<<10) + "\n"
	for request, want := range map[string]struct {
		status       int
		code, detail string
	}{
		"GET /livez HTTP/1.1\n\n":                       {400, "malformed", "missing required Host header"},
		"GET /livez HTTP/1.1\nHost: a b\n\n":            {400, "malformed", "malformed Host header"},
		"GET /livez HTTP/1.1\nHost: a\nHost: b\n\n":     {400, "malformed", "the request cannot be parsed"},
		"GET /livez HTTP/1.1\nHost: a\nBad Name: x\n\n": {400, "malformed", "invalid header name"},
		"GET\n\n":                        {400, "malformed", "the request cannot be parsed"},
		"GET /%zz HTTP/1.1\nHost: a\n\n": {400, "malformed", "the request cannot be parsed"},
		"\x16\x03\x01\x02\x00\x01\n\n":   {400, "malformed", "the request cannot be parsed"},
		"POST /v1/orders HTTP/1.1\nHost: a\nContent-Length: x\n\n":                     {400, "malformed", "the request cannot be parsed"},
		"POST /v1/orders HTTP/1.1\nHost: a\nExpect: 200-ok\nContent-Length: 2\n\n{}":   {417, "expectation_failed", "100-continue"},
		"GET /livez HTTP/1.1\nHost: a\n" + long + "\n":                                 {431, "headers_too_large", "65536 bytes"},
		"POST /v1/orders HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n":               {501, "not_implemented", "chunked"},
		"POST /v1/orders HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n0\n\n": {501, "not_implemented", "chunked"},
		"GET /livez HTTP/3.0\nHost: a\n\n":                                             {505, "http_version_not_supported", "HTTP/1.1"},
	} {
		for _, before := range []string{"", "GET /v1/orders/o-9 HTTP/1.1\nHost: localhost\n\n"} {
			synctest.Test(t, func(t *testing.T) {
				s := servePiped(t, newFixture(t).server)
				c := s.send(before)
				if before != "" {
					require.Equal(t, "not_found", c.read().problem(t).Code)
				}
				c.send(request)
				a := c.read()
				require.Equal(t, want.status, a.status, request)
				p := a.problem(t)
				require.Equal(t, want.code, p.Code, request)
				require.Contains(t, p.Detail, want.detail, request)
				require.NotEmpty(t, p.CorrelationID)
				require.Equal(t, "no-store", a.header.Get("Cache-Control"))
				require.True(t, a.closes)
				c.expectClosed()
			})
		}
	}
}

// Answers of handlers are never mistaken for answers of the HTTP server.
func TestHandlerResponsesAreNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servePiped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			http.Error(w, "HTTP/1.1 400 Bad Request", http.StatusBadRequest)
		}))
		c := s.send("POST / HTTP/1.1\nHost: a\nContent-Length: 2\nExpect: 100-continue\n\n")
		continued, err := c.answer.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 100 Continue\r\n", continued)
		_, err = c.answer.ReadString('\n')
		require.NoError(t, err)
		c.send("{}")
		for range 2 {
			a := c.read()
			require.Equal(t, "text/plain; charset=utf-8", a.header.Get("Content-Type"))
			require.Equal(t, "HTTP/1.1 400 Bad Request\n", a.body)
			c.send("GET / HTTP/1.1\nHost: a\n\n")
		}
	})
}

func TestProcessWithoutAPIReturnsProblems(t *testing.T) {
	readiness := api.Readiness{Status: "ready", Checks: []api.Check{{Name: "mongodb", Status: "ok"}}}
	for _, starting := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := servePiped(t, api.Probes{
				Ready:    func(context.Context) (api.Readiness, int) { return readiness, http.StatusOK },
				Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "go_goroutines 1\n") }),
				Starting: starting,
			})
			ask := func(line string, headers ...string) answer {
				c := s.send(line + " HTTP/1.1\nHost: any.example\n" + strings.Join(append(headers, ""), "\n") + "\n")
				defer func() { _ = c.Close() }()
				a := c.read()
				require.Equal(t, "no-store", a.header.Get("Cache-Control"), line)
				require.NotEmpty(t, a.header.Get("X-Correlation-Id"), line)
				return a
			}
			require.JSONEq(t, `{"status":"alive"}`, ask("GET /livez").body)
			require.Equal(t, http.StatusOK, ask("GET /livez/").status)
			require.Equal(t, "go_goroutines 1\n", ask("GET /metrics").body)
			ready := ask("GET /readyz")
			for _, line := range []string{"GET /v1/orders/o-1", "POST /v1/orders", "GET /", "GET /docs"} {
				a := ask(line, "X-Correlation-Id: mine")
				p := a.problem(t)
				require.Equal(t, "mine", p.CorrelationID)
				if starting {
					require.Equal(t, "unavailable", p.Code)
					require.Equal(t, "1", a.header.Get("Retry-After"))
				} else {
					require.Equal(t, "not_found", p.Code)
				}
			}
			a := ask("DELETE /livez")
			require.Equal(t, "method_not_allowed", a.problem(t).Code)
			require.Equal(t, "GET, HEAD", a.header.Get("Allow"))
			var got api.Readiness
			require.NoError(t, json.Unmarshal([]byte(ready.body), &got))
			require.Equal(t, readiness.Checks, got.Checks)
			if starting {
				require.Equal(t, http.StatusServiceUnavailable, ready.status)
				require.Equal(t, "starting", got.Status)
			} else {
				require.Equal(t, http.StatusOK, ready.status)
				require.Equal(t, "ready", got.Status)
			}
		})
	}
}

func TestPreferWaitOutlivesTheDeadlineOfTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		s := servePiped(t, f.server)
		body := validOrder
		began := time.Now()
		c := s.send("POST /v1/orders HTTP/1.1\nHost: localhost\nPrefer: wait=60\nContent-Type: application/json\nContent-Length: " +
			"9999\n\n" + body + strings.Repeat(" ", 9999-len(body)))
		require.Equal(t, http.StatusAccepted, c.read().status)
		require.Equal(t, time.Minute, time.Since(began))
	})
}

// TestClientsThatDoNotReadHaveADeadline: an answer, and an event stream, whose client reads nothing more are given up.
func TestClientsThatDoNotReadHaveADeadline(t *testing.T) {
	for request, most := range map[string]time.Duration{
		"GET /openapi.yaml HTTP/1.1\nHost: localhost\n\n":                                    2 * time.Minute,
		"GET /v1/orders/o-1/events HTTP/1.1\nHost: localhost\nAccept: text/event-stream\n\n": time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t)
			f.append("o-1", timeline("o-1")[0])
			s := servePiped(t, f.server)
			began := time.Now()
			c := s.send(request)
			_, err := c.answer.ReadString('\n')
			require.NoError(t, err)
			s.open.Wait()
			require.Less(t, time.Since(began), most, request)
		})
	}
}
