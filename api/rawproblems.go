package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// ProblemListener returns a listener for a server of ConfigureServer. On its connections the answers that net/http writes
// itself, to requests that it refuses before any handler, are problems as all others are.
//
// net/http has no hook for them: it writes text to the connection. But it says when a connection waits for a request
// (http.StateIdle), and the handler knows when a request has reached it. What is written between the two is net/http's own.
//
// Connections with TLS are wrapped as well: net/http takes them for connections without it, and the first read makes the handshake.
func ProblemListener(l net.Listener) net.Listener { return problemListener{l} }

type problemListener struct{ net.Listener }

// Accept implements net.Listener.
func (l problemListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &problemConn{Conn: c}, nil
}

// problemConn is a connection on which net/http's own errors are problems.
type problemConn struct {
	net.Conn
	// inHandler reports that a handler has got the request that is being answered.
	inHandler atomic.Bool
}

type problemConnKey struct{}

// problemConnContext, problemConnState and handlerReached track the state of a connection's request.
func problemConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, problemConnKey{}, c)
}

func problemConnState(c net.Conn, state http.ConnState) {
	if p, ok := c.(*problemConn); ok && state == http.StateIdle {
		p.inHandler.Store(false)
	}
}

func handlerReached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := r.Context().Value(problemConnKey{}).(*problemConn); ok {
			p.inHandler.Store(true)
		}
		next.ServeHTTP(w, r)
	})
}

// methods are how records begin that are requests without TLS.
var methods = []string{"GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO"}

// Read implements net.Conn. A request without TLS to a port with TLS is answered without TLS; the server of net/http sees the end of the
// connection.
func (c *problemConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	var plain tls.RecordHeaderError
	if !errors.As(err, &plain) || plain.Conn == nil || !slices.Contains(methods, string(plain.RecordHeader[:])) {
		return n, err
	}
	answer, _ := rawProblem(fault.New(fault.Malformed, "the request came without TLS, which this port requires: use https://"), http.StatusBadRequest)
	deadline := time.Now().Add(lingerTimeout)
	if plain.Conn.SetDeadline(deadline) == nil {
		_, _ = plain.Conn.Write(answer)
		if half, ok := plain.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		_, _ = io.CopyN(io.Discard, plain.Conn, maxUnread)
	}
	return 0, io.EOF
}

// Write implements net.Conn. net/http writes each of its own errors at once.
func (c *problemConn) Write(p []byte) (int, error) {
	if c.inHandler.Load() {
		return c.Conn.Write(p)
	}
	answer, ok := problemInstead(p)
	if !ok {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(answer); err != nil {
		return 0, err
	}
	// net/http may read the rest of the request before it closes the connection.
	_ = c.SetReadDeadline(time.Now().Add(lingerTimeout))
	return len(p), nil
}

// CloseWrite is how net/http closes a connection whose client may still be sending.
func (c *problemConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ownErrors are the errors of net/http that have a code besides Malformed.
var ownErrors = map[int]error{
	http.StatusExpectationFailed:           fault.New(fault.ExpectationFailed, "the Expect header must be 100-continue"),
	http.StatusRequestHeaderFieldsTooLarge: fault.New(fault.HeadersTooLarge, "the headers have more than %d bytes", MaxHeaderBytes),
	http.StatusNotImplemented:              fault.New(fault.NotImplemented, "the transfer encoding is not supported: send chunked, or a Content-Length"),
	http.StatusHTTPVersionNotSupported:     fault.New(fault.VersionNotSupported, "only HTTP/1.1 is supported"),
}

// problemInstead returns the problem that takes the place of an answer of net/http's own; ok is false when it is no error.
func problemInstead(answer []byte) (problem []byte, ok bool) {
	line, _, _ := bytes.Cut(answer, []byte("\r\n"))
	version, rest, _ := strings.Cut(string(line), " ")
	number, text, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(number)
	if err != nil || !strings.HasPrefix(version, "HTTP/1.") || status < http.StatusBadRequest {
		return nil, false
	}
	cause, known := ownErrors[status]
	if !known {
		// "400 Bad Request: missing required Host header"
		_, detail, _ := strings.Cut(text, ": ")
		if detail == "" {
			detail = "the request cannot be parsed"
		}
		cause = fault.New(fault.Malformed, "%s", detail)
	}
	return rawProblem(cause, status)
}

// rawProblem is a whole answer with a problem, for a connection that is closed after it.
func rawProblem(cause error, status int) (answer []byte, ok bool) {
	p := problemOf(cause)
	p.Status = status
	p.CorrelationID = uuid.NewString()
	body, err := json.Marshal(p)
	if err != nil {
		return nil, false
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\nContent-Type: %s\r\nDate: %s\r\n"+
		"Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n%s: %s\r\n\r\n%s",
		status, http.StatusText(status), len(body), problemType, time.Now().UTC().Format(http.TimeFormat), headerCorrelationID, p.CorrelationID, body)
	return b.Bytes(), true
}
