package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// listen serves the fixture on loopback. The deadlines of its connections are over when a test says so: they are not what a slow
// machine fails.
func (f *fixture) listen() *httptest.Server {
	f.t.Helper()
	server := httptest.NewUnstartedServer(f.server)
	api.ConfigureServer(server.Config)
	// A deadline that a stream must outlive.
	server.Config.ReadTimeout = time.Minute
	f.connections = &connections{Listener: server.Listener}
	server.Listener = f.connections
	server.Start()
	f.t.Cleanup(server.Close)
	f.t.Cleanup(server.Client().CloseIdleConnections)
	return server
}

// connections are those of a server.
type connections struct {
	net.Listener
	mu   sync.Mutex
	list []*connection
}

func (l *connections) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, &connection{TCPConn: c.(*net.TCPConn)})
	return l.list[len(l.list)-1], nil
}

// readDeadlinePasses makes it as late as the deadline of every connection that has one.
func (l *connections) readDeadlinePasses() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.list {
		c.mu.Lock()
		if c.bounded {
			_ = c.TCPConn.SetReadDeadline(over)
		}
		c.mu.Unlock()
	}
}

// connection keeps to itself that it has a deadline.
type connection struct {
	*net.TCPConn
	mu      sync.Mutex
	bounded bool
}

// over is a deadline that is over. net/http interrupts its own reads with such a one.
var over = time.Unix(1, 0)

func (c *connection) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bounded = t.After(over); c.bounded {
		t = time.Time{}
	}
	return c.TCPConn.SetReadDeadline(t)
}

func (c *connection) SetWriteDeadline(time.Time) error { return nil }

// subscription is an open event stream.
type subscription struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
	cancel   context.CancelFunc
}

func subscribe(t *testing.T, server *httptest.Server, path string, headers ...string) *subscription {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return &subscription{t: t, response: response, lines: bufio.NewScanner(response.Body), cancel: cancel}
}

// next returns the fields of the next block that is not a comment and has data; ok is false when the stream has ended.
func (s *subscription) next() (block map[string]string, ok bool) {
	s.t.Helper()
	block = map[string]string{}
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" && block["data"] != "" {
			return block, true
		}
		if name, value, isField := strings.Cut(line, ": "); isField && name != "" {
			block[name] = value
		}
	}
	return nil, false
}

// expect reads events until that version.
func (s *subscription) expect(versions ...int) {
	s.t.Helper()
	for _, version := range versions {
		block, ok := s.next()
		require.True(s.t, ok, "the stream ended before version %d", version)
		require.Equal(s.t, strconv.Itoa(version), block["id"])
		require.NotContains(s.t, block, "event")
		var item struct{ Version int }
		require.NoError(s.t, json.Unmarshal([]byte(block["data"]), &item))
		require.Equal(s.t, version, item.Version)
	}
}

func (s *subscription) expectEnd() {
	s.t.Helper()
	_, ok := s.next()
	require.False(s.t, ok)
	require.NoError(s.t, s.lines.Err(), "the stream ends properly")
}

func TestStreamFollowsToTheEnd(t *testing.T) {
	f := newFixture(t)
	server, entries := f.listen(), timeline("o-1")
	f.append("o-1", entries[:2]...)
	s := subscribe(t, server, "/v1/orders/o-1/events")
	require.Equal(t, "text/event-stream", s.response.Header.Get("Content-Type"))
	require.Equal(t, "no-store", s.response.Header.Get("Cache-Control"))
	s.expect(1, 2)
	f.append("o-1", entries[2])
	s.expect(3)
	f.append("o-1", entries[3:]...)
	s.expect(4, 5, 6, 7)
	s.expectEnd()
}

func TestStreamResumes(t *testing.T) {
	f := newFixture(t)
	server, entries := f.listen(), timeline("o-1")
	f.append("o-1", entries...)
	s := subscribe(t, server, "/v1/orders/o-1/events?cursor=1", "Last-Event-ID", "5")
	s.expect(6, 7)
	s.expectEnd()
	s = subscribe(t, server, "/v1/orders/o-1/events?cursor=4")
	s.expect(5, 6, 7)
	s.expectEnd()
	// After the terminal event, an EventSource is told not to reconnect.
	for _, id := range []string{"7", "8"} {
		require.Equal(t, http.StatusNoContent, subscribe(t, server, "/v1/orders/o-1/events", "Last-Event-ID", id).response.StatusCode)
	}
	require.Equal(t, http.StatusUnprocessableEntity, subscribe(t, server, "/v1/orders/o-1/events", "Last-Event-ID", "x").response.StatusCode)
	require.Equal(t, http.StatusNotFound, subscribe(t, server, "/v1/orders/o-2/events").response.StatusCode)
}

func TestStreamBeforeTheFirstEvent(t *testing.T) {
	f := newFixture(t, func(c *api.Config) { c.Heartbeat = 20 * time.Millisecond })
	server := f.listen()
	f.sagas.placed["o-1"] = sagaclient.Placement{Order: placedOrder("o-1")}
	s := subscribe(t, server, "/v1/orders/o-1/events")
	// The stream outlives the server's ReadTimeout.
	for comments := 0; comments < 10; {
		require.True(t, s.lines.Scan(), "the stream ended: %v", s.lines.Err())
		if s.lines.Text() == ": heartbeat" {
			comments++
			f.connections.readDeadlinePasses()
		}
	}
	f.append("o-1", timeline("o-1")[0])
	s.expect(1)
}

func TestStreamEndsOnDrain(t *testing.T) {
	f := newFixture(t)
	server := f.listen()
	f.append("o-1", timeline("o-1")[0])
	s := subscribe(t, server, "/v1/orders/o-1/events")
	s.expect(1)
	f.server.Drain()
	f.server.Drain()
	s.expectEnd()
	require.Equal(t, http.StatusServiceUnavailable, subscribe(t, server, "/v1/orders/o-1/events").response.StatusCode)
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/v1/orders/o-1", "").status)
}

func TestStreamsAreBounded(t *testing.T) {
	f := newFixture(t, func(c *api.Config) { c.MaxStreams = 1 })
	server := f.listen()
	f.append("o-1", timeline("o-1")[0])
	first := subscribe(t, server, "/v1/orders/o-1/events")
	first.expect(1)
	require.Equal(t, http.StatusServiceUnavailable, subscribe(t, server, "/v1/orders/o-1/events").response.StatusCode)
}

func TestStreamEndsWhenClientDisconnects(t *testing.T) {
	f := newFixture(t)
	server := f.listen()
	f.append("o-1", timeline("o-1")[0])
	for range 5 {
		s := subscribe(t, server, "/v1/orders/o-1/events")
		s.expect(1)
		s.cancel()
		_, _ = io.Copy(io.Discard, s.response.Body)
	}
	// Close waits for every request; none of them may still follow the log.
	server.Close()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	require.NotContains(t, string(stacks), "eventlog.(*Follower).Follow")
}

func TestHeadNeverStreams(t *testing.T) {
	f := newFixture(t)
	server := f.listen()
	f.append("o-1", timeline("o-1")[0])
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+"/v1/orders/o-1/events", nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
}

func TestStreamOfDamagedEvents(t *testing.T) {
	f := newFixture(t)
	server := f.listen()
	id := "o-1"
	f.append(id, event.New(event.OrderStream(id), order.SlotEnd, event.OrderCompleted, id, at, order.Ending{OrderID: id}))
	s := subscribe(t, server, "/v1/orders/o-1/events")
	s.expect(1)
	s.expectEnd()
}
