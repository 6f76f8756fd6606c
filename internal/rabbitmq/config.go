package rabbitmq

import (
	"crypto/tls"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Config is what publishers and consumers have in common.
type Config struct {
	// URL is amqp:// or amqps://, with user, password and virtual host. Required.
	URL string
	// TLS is used for amqps; the default trusts the system's authorities.
	TLS *tls.Config
	// Name is shown for the connection in the management UI. Default "ordersaga".
	Name string
	// Topology names exchanges and queues; its zero value is the one of production.
	Topology Topology
	// Logger is where the package writes. Default: nowhere.
	Logger *slog.Logger
	// Metrics counts what happens. Default: nobody reads them.
	Metrics *Metrics
	// DialTimeout bounds connecting: TCP, TLS and AMQP handshake. Default 10 s.
	DialTimeout time.Duration
	// Heartbeat is how often each side shows that it lives; three missed ones end a connection. Default 10 s; a
	// heartbeat in the URL wins.
	Heartbeat time.Duration
	// ReconnectMin and ReconnectMax bound the delay before the next attempt to connect. Default 100 ms and 5 s.
	ReconnectMin, ReconnectMax time.Duration
}

func (c Config) withDefaults() Config {
	c.Topology = c.Topology.withDefaults()
	if c.Name == "" {
		c.Name = "ordersaga"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = unregistered()
	}
	setDefault(&c.DialTimeout, 10*time.Second)
	setDefault(&c.Heartbeat, 10*time.Second)
	setDefault(&c.ReconnectMin, 100*time.Millisecond)
	setDefault(&c.ReconnectMax, 5*time.Second)
	return c
}

// setDefault sets a value that was left out.
func setDefault[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

// problems returns what is wrong with a configuration that has its defaults.
func (c Config) problems() []fault.Field {
	fields := c.Topology.problems()
	if _, err := amqp.ParseURI(c.URL); err != nil {
		// The cause would quote the URL with its password.
		fields = append(fields, fault.Fieldf("/url", "must be an AMQP URL such as amqp://user:password@host:5672/"))
	}
	if c.DialTimeout < 0 || c.ReconnectMin < 0 || c.ReconnectMax < c.ReconnectMin {
		fields = append(fields, fault.Fieldf("/reconnectMax", "must not be below reconnectMin, and no time below 0"))
	}
	if c.Heartbeat < time.Second {
		fields = append(fields, fault.Fieldf("/heartbeat", "must be at least 1s"))
	}
	return fields
}

// Validate reports everything that is wrong, defaults applied. The error is Invalid.
func (c Config) Validate() error {
	return fault.NewInvalid("broker configuration", c.withDefaults().problems())
}
