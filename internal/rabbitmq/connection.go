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

// closeTimeout bounds closing a connection: the broker may not answer.
const closeTimeout = 2 * time.Second

// connection is one connection to the broker. A lost connection is not re-established.
type connection struct {
	*amqp.Connection
	// released is closed when all resources of the connection are released.
	released <-chan *amqp.Error
}

// dial connects once, until ctx ends. Errors: Unavailable; Invalid for the URL.
func dial(ctx context.Context, cfg Config, role string) (*connection, error) {
	plain, encryption, err := transport(cfg.URL, cfg.TLS)
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

// closeAfter closes the connection when ctx ends, unless stop is called first and returns true. It bounds the setup of a session,
// which waits for the broker.
func (c *connection) closeAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.CloseDeadline(time.Now().Add(closeTimeout)) })
}

// close closes the connection and returns when all its resources are released.
func (c *connection) close() {
	_ = c.CloseDeadline(time.Now().Add(closeTimeout)) // the broker's answer changes nothing
	for range c.released {
	}
}

// transport returns the URL without encryption, and the TLS configuration for amqps; nil for amqp. TLS is set up outside the client,
// because the header filter must see decrypted bytes.
func transport(brokerURL string, base func() (*tls.Config, error)) (plain string, encryption *tls.Config, err error) {
	uri, err := amqp.ParseURI(brokerURL)
	u, parseErr := url.Parse(brokerURL)
	if err != nil || parseErr != nil {
		return "", nil, fault.New(fault.Invalid, "the broker URL is not a valid AMQP URL")
	}
	if uri.Scheme != "amqps" {
		return brokerURL, nil, nil
	}
	u.Scheme, u.Host = "amqp", net.JoinHostPort(uri.Host, fmt.Sprint(uri.Port))
	encryption, err = tlsOf(uri, base)
	return u.String(), encryption, fault.Wrap(err, fault.Unavailable, "prepare TLS")
}

// tlsOf returns the TLS configuration: base, which may be nil, and the parameters of the URL: cacertfile, certfile, keyfile and
// server_name_indication.
func tlsOf(uri amqp.URI, base func() (*tls.Config, error)) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		switch own, err := base(); {
		case err != nil:
			return nil, err
		case own != nil:
			config = own
		}
	}
	config.ServerName = cmp.Or(uri.ServerName, uri.Host)
	if uri.CACertFile != "" {
		authorities, err := os.ReadFile(uri.CACertFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("%s contains no certificate", uri.CACertFile)
		}
	}
	if uri.CertFile != "" && uri.KeyFile != "" {
		own, err := tls.LoadX509KeyPair(uri.CertFile, uri.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates, config.GetClientCertificate = []tls.Certificate{own}, nil
	}
	return config, nil
}
