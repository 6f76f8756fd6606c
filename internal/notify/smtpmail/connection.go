package smtpmail

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// connection is the connection of one message. Only this type closes it: after an interruption within the data, the library must not send QUIT,
// which would end the data, so that half a message would be delivered.
type connection struct {
	mu     sync.Mutex
	net    net.Conn
	closed bool
}

// dial connects, with TLS from the first byte if that is the policy.
func (c *connection) dial(ctx context.Context, n *Notifier, network, address string) (net.Conn, error) {
	plain, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if !c.keep(plain) {
		_ = plain.Close()
		return nil, net.ErrClosed
	}
	if n.cfg.TLS != Implicit {
		return plain, nil
	}
	encrypted := tls.Client(plain, n.tls())
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return encrypted, nil
}

// keep stores a connection, unless c is closed.
func (c *connection) keep(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.net = conn
	return true
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.net != nil {
		_ = c.net.Close()
	}
}
