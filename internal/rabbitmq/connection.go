package rabbitmq

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// closeTimeout bounds closing a connection to a broker that may not answer any more.
const closeTimeout = 2 * time.Second

// connection is a connection to the broker that is not made anew when it is lost.
type connection struct {
	*amqp.Connection
	// released is closed when every resource of the connection is gone.
	released <-chan *amqp.Error
}

// dial connects once. It gives up when ctx ends. The error is Unavailable, or Invalid for the URL.
func dial(ctx context.Context, cfg Config, role string) (*connection, error) {
	plain, encryption, err := transport(cfg.URL)
	if err != nil {
		return nil, err
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(cfg.Name + " " + role)
	closeSocket, stop := func() error { return nil }, func() bool { return true }
	conn, err := amqp.DialConfig(plain, amqp.Config{
		Heartbeat: cfg.Heartbeat, Properties: properties,
		Dial: func(network, address string) (net.Conn, error) {
			socket, err := (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			closeSocket = socket.Close
			if err := socket.SetDeadline(time.Now().Add(cfg.DialTimeout)); err != nil { // the client removes it after the handshake
				return nil, err
			}
			stop = context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Now()) })
			if encryption != nil {
				return newHeaderFilter(tls.Client(socket, encryption)), nil
			}
			return newHeaderFilter(socket), nil
		},
	})
	stop()
	if err != nil {
		_ = closeSocket()
		return nil, fault.Wrap(errors.Join(err, ctx.Err()), fault.Unavailable, "connect")
	}
	return &connection{conn, conn.NotifyClose(make(chan *amqp.Error, 1))}, nil
}

// closeAfter closes the connection when ctx ends, unless stop is called before and returns true. Setting a session up waits for
// answers of the broker, and a write for as long as the broker does not read.
func (c *connection) closeAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.CloseDeadline(time.Now().Add(closeTimeout)) })
}

// close closes the connection and returns when every resource of it is gone.
func (c *connection) close() {
	_ = c.CloseDeadline(time.Now().Add(closeTimeout)) // the broker's answer changes nothing
	for range c.released {
	}
}

// transport returns the URL for a client that is given an encrypted connection, and how to encrypt it; nil for amqp. If the client
// encrypted the connection itself, the header filter would see nothing.
func transport(brokerURL string) (plain string, encryption *tls.Config, err error) {
	uri, err := amqp.ParseURI(brokerURL)
	u, parseErr := url.Parse(brokerURL)
	if err != nil || parseErr != nil {
		return "", nil, fault.New(fault.Invalid, "the broker's URL is none")
	}
	if uri.Scheme != "amqps" {
		return brokerURL, nil, nil
	}
	u.Scheme, u.Host = "amqp", net.JoinHostPort(uri.Host, fmt.Sprint(uri.Port))
	encryption, err = tlsOf(uri)
	return u.String(), encryption, fault.Wrap(err, fault.Unavailable, "prepare TLS")
}

// tlsOf reads what the URL says about certificates: cacertfile, certfile, keyfile and server_name_indication.
func tlsOf(uri amqp.URI) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cmp.Or(uri.ServerName, uri.Host)}
	if uri.CACertFile != "" {
		authorities, err := os.ReadFile(uri.CACertFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("%s has no certificate", uri.CACertFile)
		}
	}
	if uri.CertFile != "" && uri.KeyFile != "" {
		own, err := tls.LoadX509KeyPair(uri.CertFile, uri.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}
