package rabbitmq

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Config has the settings that publishers, consumers and listeners share.
type Config struct {
	// URL is amqp:// or amqps://, with user, password and virtual host. Required.
	URL string
	// TLS returns the certificate authorities and the client's certificate for amqps, or nil; it is called for every connection. The files that
	// the URL names (cacertfile, certfile and keyfile) have precedence. Default: the authorities of the system.
	TLS func() (*tls.Config, error)
	// Name is shown for the connection in the management UI. Default "ordersaga".
	Name string
	// Topology names exchanges and queues. Its zero value has the production names.
	Topology Topology
	// Logger default: no logs.
	Logger *slog.Logger
	// Metrics default: metrics that are not registered.
	Metrics *Metrics
	// DialTimeout bounds connecting: TCP, TLS and AMQP handshake. Default 10 s.
	DialTimeout time.Duration
	// Heartbeat is the interval of heartbeats in both directions; a connection ends after three missed ones. A heartbeat in the URL
	// has precedence. Default 10 s.
	Heartbeat time.Duration
	// ReconnectMin and ReconnectMax bound the delay before the next attempt to connect. Default 100 ms and 5 s.
	ReconnectMin, ReconnectMax time.Duration
}

func (c Config) withDefaults() Config {
	c.Topology = c.Topology.withDefaults()
	c.Name = cmp.Or(c.Name, "ordersaga")
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.DialTimeout = cmp.Or(c.DialTimeout, 10*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 10*time.Second)
	c.ReconnectMin = cmp.Or(c.ReconnectMin, 100*time.Millisecond)
	c.ReconnectMax = cmp.Or(c.ReconnectMax, 5*time.Second)
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	return c
}

func (c Config) problems() problems {
	p := c.Topology.problems()
	_, err := amqp.ParseURI(c.URL) // the error would quote the URL with its password
	p.require(err == nil, "/url", "must be an AMQP URL such as amqp://user:password@host:5672/")
	p.require(min(c.DialTimeout, c.ReconnectMin) >= 0 && c.ReconnectMax >= c.ReconnectMin,
		"/reconnectMax", "must not be below reconnectMin, and no time below 0")
	p.require(c.Heartbeat >= time.Second, "/heartbeat", "must be at least 1s")
	return p
}

// problems collects the errors of a configuration or a message.
type problems []fault.Field

func (p *problems) require(ok bool, at, format string, args ...any) {
	if !ok {
		*p = append(*p, fault.Fieldf(at, format, args...))
	}
}
