package harness

import (
	"bytes"
	"io"
	"net"
	"sync"
)

// Stall is a TCP proxy in front of a server that stalls a connection over which a client sends a certain text: the message with the text, and
// everything after it, never reaches the server. A test can kill a process between two of its requests.
type Stall struct {
	listener net.Listener
	target   string
	text     []byte

	mu      sync.Mutex
	conns   []net.Conn
	stalled chan struct{}
	once    sync.Once
	all     sync.WaitGroup
}

// NewStall listens on loopback in front of target.
func NewStall(target, text string) (*Stall, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Stall{listener: l, target: target, text: []byte(text), stalled: make(chan struct{})}
	s.all.Go(s.accept)
	return s, nil
}

// Addr is where clients connect.
func (s *Stall) Addr() string { return s.listener.Addr().String() }

// Stalled is closed when the text was sent.
func (s *Stall) Stalled() <-chan struct{} { return s.stalled }

// Close cuts every connection.
func (s *Stall) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
}

func (s *Stall) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", s.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		s.mu.Lock()
		s.conns = append(s.conns, client, server)
		s.mu.Unlock()
		s.all.Go(func() { s.forward(server, client) })
		s.all.Go(func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		})
	}
}

// forward copies what the client sends up to the text. A read may cut the text: then the server has received the beginning of the message, which
// is incomplete.
func (s *Stall) forward(server, client net.Conn) {
	defer server.Close()
	buffer := make([]byte, 64<<10)
	var seen []byte // the end of what was sent before
	for {
		n, err := client.Read(buffer)
		seen = append(seen, buffer[:n]...)
		if bytes.Contains(seen, s.text) {
			s.once.Do(func() { close(s.stalled) })
			_, _ = io.Copy(io.Discard, client)
			return
		}
		seen = append(seen[:0], seen[max(0, len(seen)-len(s.text)+1):]...)
		if n > 0 {
			if _, writeErr := server.Write(buffer[:n]); writeErr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
