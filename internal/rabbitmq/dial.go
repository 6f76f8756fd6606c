package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// dial connects. Unlike the client's own dialling it gives up when the link is stopped, and so does everything
// on the connection until settled is called, which reports whether that has not happened.
func (l *link) dial() (conn *amqp.Connection, settled func() bool, err error) {
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(l.cfg.Name)
	plain, tlsConfig, err := transport(l.cfg.URL, l.cfg.TLS)
	if err != nil {
		return nil, nil, err
	}
	var socket net.Conn
	conn, err = amqp.DialConfig(plain, amqp.Config{
		Heartbeat: l.cfg.Heartbeat, Properties: properties,
		Dial: func(network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: l.cfg.DialTimeout}).DialContext(l.ctx, network, address)
			if err != nil {
				return nil, err
			}
			socket = c
			settled = context.AfterFunc(l.ctx, func() { _ = c.SetDeadline(time.Now().Add(closeTimeout)) })
			if err := c.SetDeadline(time.Now().Add(l.cfg.DialTimeout)); err != nil { // the client takes it off after the handshake
				return nil, err
			}
			// c stays what it is: the function above may run at any time.
			if tlsConfig != nil {
				return newGuard(tls.Client(c, tlsConfig)), nil
			}
			return newGuard(c), nil
		},
	})
	if err != nil {
		if socket != nil {
			_ = socket.Close()
		}
		return nil, nil, fault.Wrap(err, fault.Unavailable, "connect")
	}
	return conn, settled, nil
}

// transport returns the URL for a client that is handed a connection which is encrypted already, and what encrypts it; nil
// when nothing does. The client would encrypt outside of the guard, which then saw nothing.
func transport(brokerURL string, given *tls.Config) (plain string, config *tls.Config, err error) {
	uri, err := amqp.ParseURI(brokerURL)
	if err != nil {
		return "", nil, fault.New(fault.Invalid, "the broker's URL is none")
	}
	if uri.Scheme != "amqps" {
		return brokerURL, nil, nil
	}
	if config = given.Clone(); config == nil {
		if config, err = tlsOf(uri); err != nil {
			return "", nil, fault.Wrap(err, fault.Unavailable, "prepare TLS")
		}
	}
	if config.ServerName == "" {
		config.ServerName = uri.Host
	}
	u, err := url.Parse(brokerURL)
	if err != nil {
		return "", nil, fault.New(fault.Invalid, "the broker's URL is none")
	}
	u.Scheme, u.Host = "amqp", net.JoinHostPort(uri.Host, fmt.Sprint(uri.Port))
	return u.String(), config, nil
}

// tlsOf reads what the URL says about certificates: cacertfile, certfile, keyfile and server_name_indication.
func tlsOf(uri amqp.URI) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: uri.ServerName}
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
