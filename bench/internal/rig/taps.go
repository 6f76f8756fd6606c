package rig

import (
	"net/url"
	"os"
	"strings"

	"github.com/ordersaga/ordersaga/bench/internal/wiretap"
)

// Taps are wire taps before the servers. A tap is nil where the wire cannot be read.
type Taps struct {
	Temporal, MongoDB, AMQP *wiretap.Proxy
	// Missing says why a tap is not there.
	Missing []string
}

// Counts are what has passed each tap; nil where there is none.
type Counts struct{ Temporal, MongoDB, AMQP *wiretap.Counts }

// Tap puts taps before the servers of a stack, and returns the stack as it is to be used then. What is encrypted cannot
// be read: it is used as it is.
func Tap(s Stack) (Stack, *Taps, error) {
	t := &Taps{}
	tapped := s
	for _, server := range []struct {
		tap      **wiretap.Proxy
		protocol wiretap.Protocol
		address  string
		blind    string
		use      func(addr string)
	}{
		{&t.Temporal, wiretap.GRPC, s.Temporal, temporalBlind(), func(addr string) { tapped.Temporal = addr }},
		{&t.MongoDB, wiretap.MongoDB, s.MongoAddress(), mongoBlind(s.MongoDB), func(addr string) { tapped.MongoDB = mongoVia(s.MongoDB, addr) }},
		{&t.AMQP, wiretap.AMQP, s.AMQPAddress(), amqpBlind(s.AMQP), func(addr string) { tapped.AMQP = via(s.AMQP, addr) }},
	} {
		if server.blind != "" {
			t.Missing = append(t.Missing, server.blind)
			continue
		}
		proxy, err := wiretap.Listen(server.protocol, server.address)
		if err != nil {
			t.Close()
			return s, nil, err
		}
		*server.tap = proxy
		server.use(proxy.Addr())
	}
	return tapped, t, nil
}

func temporalBlind() string {
	for _, line := range os.Environ() {
		name, value, _ := strings.Cut(line, "=")
		tls := strings.HasPrefix(name, "TEMPORAL_TLS") && name != "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION" && value != "" && value != "false"
		if tls || name == "TEMPORAL_API_KEY" && value != "" {
			return "the connection to Temporal is encrypted: its requests are not counted"
		}
	}
	return ""
}

func mongoBlind(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme != "mongodb" || strings.Contains(u.Host, ","):
		return "MongoDB has several hosts: its commands are not counted"
	case u.Query().Get("tls") == "true" || u.Query().Get("ssl") == "true":
		return "the connection to MongoDB is encrypted: its commands are not counted"
	}
	return ""
}

func amqpBlind(uri string) string {
	if !strings.HasPrefix(uri, "amqp://") {
		return "the connection to RabbitMQ is encrypted: its messages are not counted"
	}
	return ""
}

// via replaces the address in a URI.
func via(uri, addr string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return uri
	}
	u.Host = addr
	return u.String()
}

// mongoVia also keeps the driver from going to the members that the server names: they would not be tapped.
func mongoVia(uri, addr string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return uri
	}
	u.Host = addr
	query := u.Query()
	query.Del("replicaSet")
	query.Set("directConnection", "true")
	u.RawQuery = query.Encode()
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// Counts returns what has passed so far.
func (t *Taps) Counts() Counts {
	of := func(p *wiretap.Proxy) *wiretap.Counts {
		if p == nil {
			return nil
		}
		c := p.Counts()
		return &c
	}
	return Counts{of(t.Temporal), of(t.MongoDB), of(t.AMQP)}
}

// Minus returns what has passed since earlier.
func (c Counts) Minus(earlier Counts) Counts {
	since := func(now, then *wiretap.Counts) *wiretap.Counts {
		if now == nil || then == nil {
			return nil
		}
		d := now.Minus(*then)
		return &d
	}
	return Counts{since(c.Temporal, earlier.Temporal), since(c.MongoDB, earlier.MongoDB), since(c.AMQP, earlier.AMQP)}
}

// Close takes the taps away.
func (t *Taps) Close() {
	for _, p := range []*wiretap.Proxy{t.Temporal, t.MongoDB, t.AMQP} {
		if p != nil {
			p.Close()
		}
	}
}
