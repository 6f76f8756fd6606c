// Package wiretap counts what goes over the wire: a TCP proxy before a server that understands just enough of its
// protocol to name the requests in it. It changes nothing and answers nothing itself. Whatever it cannot read any more
// is still forwarded and counted in bytes.
//
// It costs time, so what is timed does not go through it.
package wiretap

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"sync"
)

// Protocol names what a proxy reads.
type Protocol int

const (
	// MongoDB is the wire protocol of MongoDB: commands are counted by name ("insert"), by name and collection ("insert events"),
	// and so are the documents and the statements inside of them ("insert: documents", "insert events: documents").
	MongoDB Protocol = iota
	// AMQP is AMQP 0-9-1: publishes, deliveries, acknowledgements and confirms.
	AMQP
	// GRPC is HTTP/2 as gRPC clients speak it: requests are counted by method.
	GRPC
)

// Counts are what has passed.
type Counts struct {
	// Requests are counted by name.
	Requests map[string]int64 `json:"requests"`
	// Sent and Received are the bytes to and from the server.
	Sent     int64 `json:"sentBytes"`
	Received int64 `json:"receivedBytes"`
}

// Minus returns what has passed since earlier.
func (c Counts) Minus(earlier Counts) Counts {
	difference := Counts{Requests: map[string]int64{}, Sent: c.Sent - earlier.Sent, Received: c.Received - earlier.Received}
	for name, n := range c.Requests {
		if d := n - earlier.Requests[name]; d != 0 {
			difference.Requests[name] = d
		}
	}
	return difference
}

// Total is the number of requests that are counted. Names that say more about requests with another name do not count again.
func (c Counts) Total() int64 {
	var total int64
	for name, n := range c.Requests {
		if !detail(name) {
			total += n
		}
	}
	return total
}

// Proxy listens on loopback before a server.
type Proxy struct {
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	target   string
	protocol Protocol
	all      sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	counts Counts
}

// Listen makes a proxy before target, host:port.
func Listen(protocol Protocol, target string) (*Proxy, error) {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return nil, err
	}
	p := &Proxy{listener: l, ctx: ctx, cancel: cancel, target: target, protocol: protocol, conns: map[net.Conn]bool{}, counts: Counts{Requests: map[string]int64{}}}
	p.all.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Counts returns what has passed so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	c.Requests = maps.Clone(c.Requests)
	return c
}

// Close cuts every connection and waits until all is over.
func (p *Proxy) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

func (p *Proxy) count(name string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Requests[name] += n
}

// keep remembers a connection, or closes it when the proxy is closed already.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(client) })
	}
}

// serve forwards one connection until one side ends it.
func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	server, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	toServer, fromServer := p.readers()
	var both sync.WaitGroup
	both.Go(func() {
		p.forward(server, client, &p.counts.Sent, toServer)
		_ = server.Close()
	})
	both.Go(func() {
		p.forward(client, server, &p.counts.Received, fromServer)
		_ = client.Close()
	})
	both.Wait()
}

// reader reads one direction of a connection and counts what it finds. It returns when it cannot read on.
type reader func(r io.Reader, count func(name string, n int64)) error

// readers returns the readers of both directions; nil where only bytes are counted.
func (p *Proxy) readers() (toServer, fromServer reader) {
	switch p.protocol {
	case MongoDB:
		return readMongo, nil
	case AMQP:
		return readAMQPClient, readAMQPServer
	default:
		return readGRPC, nil
	}
}

// forward copies from one side to the other. The reader gets a copy first: what a server answers has been counted. When the reader
// gives up, the copying goes on.
func (p *Proxy) forward(to io.Writer, from io.Reader, bytes *int64, read reader) {
	copied, feed := io.Pipe()
	var reading sync.WaitGroup
	reading.Go(func() {
		if read != nil {
			if err := read(copied, p.count); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				p.count("(unreadable)", 1)
			}
		}
		_, _ = io.Copy(io.Discard, copied)
	})
	defer reading.Wait()
	defer feed.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.mu.Lock()
			*bytes += int64(n)
			p.mu.Unlock()
			_, _ = feed.Write(buffer[:n])
			_, _ = feed.Write(nil) // returns when the reader asks for more: it has read all that there is
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
