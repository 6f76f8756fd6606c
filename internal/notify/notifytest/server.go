// Package notifytest has the contract suite of notify.Notifier, and a scripted mail server. Only tests may import it.
package notifytest

import (
	"bufio"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Script has the answers of a mail server by stage: "connect", "ehlo", "auth", "mail", "rcpt", "data" and "end", which is after the end of the
// data. Other stages succeed.
type Script map[string]string

// Special answers: Hangup closes the connection; Silence waits until the client has closed it.
const (
	Hangup  = "hang up"
	Silence = "silence"
)

// Mail is a message that a server has received.
type Mail struct {
	From, To, Data string
	// Accepted is set if the server has confirmed it, or would have.
	Accepted bool
	// Encrypted is set if it was received over TLS; User is the authenticated user.
	Encrypted bool
	User      string
}

// Header returns the value of a header, unfolded; "" if there is none.
func (m Mail) Header(name string) string {
	head, _, _ := strings.Cut(m.Data, "\r\n\r\n")
	head = strings.ReplaceAll(strings.ReplaceAll(head, "\r\n ", " "), "\r\n\t", " ")
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, ok := strings.Cut(line, ": "); ok && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// Server is a mail server on loopback.
type Server struct {
	net net.Listener
	tls *tls.Config

	mu      sync.Mutex
	script  Script
	mails   []Mail
	conns   map[net.Conn]bool
	ended   bool
	changed chan struct{}
	all     sync.WaitGroup
}

// Start starts a server that stops when the test ends; with a TLS configuration it offers STARTTLS.
func Start(t testing.TB, certificate *tls.Config) *Server {
	t.Helper()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{net: open, tls: certificate, conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	s.all.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Addr returns the address of the server.
func (s *Server) Addr() string { return s.net.Addr().String() }

// Port returns the port of the server.
func (s *Server) Port() int { return s.net.Addr().(*net.TCPAddr).Port }

// Answer changes the script.
func (s *Server) Answer(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Mails returns all received messages, accepted or not.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Changed returns a channel that is closed when the next message is received, or when the server next leaves a command unanswered.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Close stops the server and closes all connections.
func (s *Server) Close() {
	_ = s.net.Close()
	s.mu.Lock()
	s.ended = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.net.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ended {
			_ = conn.Close()
		} else {
			s.conns[conn] = true
		}
		s.mu.Unlock()
		s.all.Go(func() {
			(&session{server: s, conn: conn, reader: bufio.NewReader(conn)}).serve()
			_ = conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// at returns the answer of the script for a stage.
func (s *Server) at(point, otherwise string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer, ok := s.script[point]; ok {
		return answer
	}
	return otherwise
}

func (s *Server) got(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	s.change()
}

// change closes the channel that Changed has returned. The lock is held.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// session is one connection.
type session struct {
	server *Server
	conn   net.Conn
	reader *bufio.Reader
	mail   Mail
}

// say sends the answer for a stage. goesOn is false if the session ends.
func (c *session) say(point, otherwise string) (answer string, goesOn bool) {
	answer = c.server.at(point, otherwise)
	switch answer {
	case Hangup:
		return answer, false
	case Silence:
		c.server.mu.Lock()
		c.server.change()
		c.server.mu.Unlock()
		_, _ = c.reader.ReadByte()
		return answer, false
	}
	_, err := c.conn.Write([]byte(answer + "\r\n"))
	return answer, err == nil
}

func (c *session) serve() {
	if _, ok := c.say("connect", "220 mail.test ESMTP"); !ok {
		return
	}
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil || !c.command(strings.TrimRight(line, "\r\n")) {
			return
		}
	}
}

// command handles one command.
func (c *session) command(line string) (goesOn bool) {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		extensions := "250-mail.test\r\n250-AUTH PLAIN\r\n250-ENHANCEDSTATUSCODES\r\n"
		if c.server.tls != nil && !c.mail.Encrypted {
			extensions += "250-STARTTLS\r\n"
		}
		_, goesOn = c.say("ehlo", extensions+"250 8BITMIME")
	case "STARTTLS":
		if _, goesOn = c.say("starttls", "220 go on"); goesOn {
			encrypted := tls.Server(c.conn, c.server.tls)
			c.conn, c.reader, c.mail.Encrypted = encrypted, bufio.NewReader(encrypted), true
			goesOn = encrypted.Handshake() == nil
		}
	case "AUTH":
		_, c.mail.User, _ = strings.Cut(rest, " ")
		_, goesOn = c.say("auth", "235 2.7.0 welcome")
	case "MAIL":
		c.mail.From = address(rest)
		_, goesOn = c.say("mail", "250 2.1.0 ok")
	case "RCPT":
		c.mail.To = address(rest)
		_, goesOn = c.say("rcpt", "250 2.1.5 ok")
	case "DATA":
		var answer string
		if answer, goesOn = c.say("data", "354 go on"); goesOn && strings.HasPrefix(answer, "3") {
			goesOn = c.data()
		}
	case "QUIT":
		_, _ = c.say("quit", "221 2.0.0 bye")
	default:
		_, goesOn = c.say("other", "250 2.0.0 ok")
	}
	return goesOn
}

// data receives the message.
func (c *session) data() bool {
	var text strings.Builder
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	mail := c.mail
	mail.Data = text.String()
	answer := c.server.at("end", "250 2.0.0 taken")
	mail.Accepted = answer == Hangup || answer == Silence || strings.HasPrefix(answer, "2")
	c.server.got(mail)
	_, goesOn := c.say("end", answer)
	return goesOn
}

// address returns the text between the angle brackets.
func address(text string) string {
	_, text, _ = strings.Cut(text, "<")
	text, _, _ = strings.Cut(text, ">")
	return text
}
