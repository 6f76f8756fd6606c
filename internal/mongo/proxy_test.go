package mongo

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// proxy is between driver and server. When it is armed, the next insert into the collection reaches the
// server, its answer is thrown away, and the connection is cut.
type proxy struct {
	listener net.Listener
	server   string
	done     sync.WaitGroup

	mu     sync.Mutex
	armed  int
	cuts   int
	opened []net.Conn
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, server: server}
	p.done.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for _, conn := range p.opened {
			_ = conn.Close()
		}
		p.mu.Unlock()
		p.done.Wait()
	})
	return p
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.opened = append(p.opened, client, server)
		p.mu.Unlock()
		p.done.Go(func() { p.pipe(client, server) })
	}
}

// pipe handles one request and its answer after the other: the driver has one request in flight on a connection.
func (p *proxy) pipe(client, server net.Conn) {
	defer func() { _ = client.Close(); _ = server.Close() }()
	var answers sync.WaitGroup
	defer answers.Wait()
	var cut sync.Once
	dropping := make(chan struct{})
	answers.Go(func() {
		defer func() { _ = client.Close(); _ = server.Close() }()
		for {
			message, err := readMessage(server)
			if err != nil {
				return
			}
			select {
			case <-dropping:
				return
			default:
			}
			if _, err := client.Write(message); err != nil {
				return
			}
		}
	})
	for {
		message, err := readMessage(client)
		if err != nil {
			_ = server.Close()
			return
		}
		if p.fires(message) {
			cut.Do(func() { close(dropping) })
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

func (p *proxy) fires(message []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed == 0 || !bytes.Contains(message, []byte("insert\x00\x07\x00\x00\x00events\x00")) {
		return false
	}
	p.armed--
	p.cuts++
	return true
}

func (p *proxy) arm(times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = times
}

// readMessage reads one message of the wire protocol: its length comes first.
func readMessage(from io.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	message := make([]byte, binary.LittleEndian.Uint32(header))
	copy(message, header)
	_, err := io.ReadFull(from, message[4:])
	return message, err
}

// The real thing: the server executes the insert, and the connection breaks before the answer.
func TestConnectionLostBeforeResponse(t *testing.T) {
	uri, _ := testenv.MongoDB(t)
	target, err := url.Parse(uri)
	require.NoError(t, err)
	if target.Scheme != "mongodb" || target.Port() == "" {
		require.False(t, os.Getenv("ORDERSAGA_REQUIRE_STACK") != "" && os.Getenv("DEVSTACK_EXTERNAL") == "", "the server of devstack is %s", target.Redacted())
		t.Skip("the proxy needs one server without TLS, named with its port")
	}
	p := newProxy(t, target.Host)
	target.Host = p.listener.Addr().String()
	query := target.Query()
	// Otherwise the driver connects to the members of the replica set directly.
	query.Set("directConnection", "true")
	query.Set("retryWrites", "false")
	target.RawQuery = query.Encode()
	if target.Path == "" {
		target.Path = "/"
	}
	log := open(t, connect(t, options.Client().ApplyURI(target.String())))

	head, _, err := log.Append(t.Context(), "order-1", event.Head{}, entries("a"))
	require.NoError(t, err)
	for i, batch := range [][]event.Entry{entries("b"), entries("c", "d", "e"), entries("f", "g")} {
		p.arm(1)
		newest, tail, err := log.Append(t.Context(), "order-1", head, batch)
		require.NoError(t, err)
		require.Len(t, tail, len(batch))
		require.Equal(t, i+1, p.cuts)
		head = newest
	}
	p.arm(3)
	_, _, err = log.Append(t.Context(), "order-1", head, entries("h", "i"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, keysOf(whole(t, log)))
}
