package rabbitmqtest

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy forwards connections to a broker and fails on demand.
type Proxy struct {
	// URL is the broker's URL with the address of the proxy.
	URL string

	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu      sync.Mutex
	refuse  bool
	gate    chan struct{} // closed while bytes pass
	answers chan struct{} // closed while the broker's bytes pass
	sockets map[net.Conn]struct{}
}

// NewProxy starts a proxy that stops when the test ends.
func NewProxy(t testing.TB, brokerURL string) *Proxy {
	t.Helper()
	u, err := url.Parse(brokerURL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{listener: listener, target: u.Host, sockets: make(map[net.Conn]struct{}), gate: make(chan struct{}), answers: make(chan struct{})}
	close(p.gate)
	close(p.answers)
	if u.Port() == "" {
		p.target = net.JoinHostPort(u.Hostname(), "5672")
	}
	u.Host = listener.Addr().String()
	p.URL = u.String()
	p.wg.Add(1)
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.Refuse()
		p.Thaw()
		p.wg.Wait()
	})
	return p
}

func (p *Proxy) accept() {
	defer p.wg.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil || !p.keep(client, server) {
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.wg.Add(2)
		go p.pump(client, server, true)
		go p.pump(server, client, false)
	}
}

func (p *Proxy) keep(sockets ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return false
	}
	for _, s := range sockets {
		p.sockets[s] = struct{}{}
	}
	return true
}

func (p *Proxy) pump(to, from net.Conn, answers bool) {
	defer p.wg.Done()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.pass(answers)
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sockets, to)
	delete(p.sockets, from)
}

// pass waits while the proxy is frozen.
func (p *Proxy) pass(answer bool) {
	p.mu.Lock()
	gate, answers := p.gate, p.answers
	p.mu.Unlock()
	<-gate
	if answer {
		<-answers
	}
}

// Freeze stops forwarding in both directions and keeps the connections open, like a broker that hangs, until Thaw.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
}

// FreezeAnswers stops forwarding from the broker to the client, until Thaw.
func (p *Proxy) FreezeAnswers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = make(chan struct{})
}

// Thaw ends Freeze and FreezeAnswers.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, gate := range []chan struct{}{p.gate, p.answers} {
		select {
		case <-gate:
		default:
			close(gate)
		}
	}
}

// Cut closes all connections. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sockets {
		_ = s.Close()
	}
}

// Refuse closes all connections and accepts no new ones until Serve.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.refuse = true
	p.mu.Unlock()
	p.Cut()
}

// Serve ends Refuse.
func (p *Proxy) Serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
}
