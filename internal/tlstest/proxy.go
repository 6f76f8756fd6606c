package tlstest

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy puts TLS in front of a server without it until the test ends, and returns the address of the proxy. It offers HTTP/2, which gRPC
// requires; other clients do not look at it.
func Proxy(t testing.TB, target string, config *tls.Config) (address string) {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(t, err)
	p := &proxy{target: target, open: make(map[net.Conn]bool)}
	p.all.Go(func() { p.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.close()
		p.all.Wait()
	})
	return listener.Addr().String()
}

type proxy struct {
	target string
	all    sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

func (p *proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(client) })
	}
}

// serve copies in both directions until one of them ends.
func (p *proxy) serve(client net.Conn) {
	defer p.forget(client)
	if !p.keep(client) || client.(*tls.Conn).Handshake() != nil {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(server)
	if !p.keep(server) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	back.Wait()
}

// keep stores a connection, unless the proxy is closed.
func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.open[c] = true
	}
	return !p.closed
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	_ = c.Close()
}

func (p *proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		_ = c.Close()
	}
}
