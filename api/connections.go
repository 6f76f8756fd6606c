package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Bounds of a connection, for ConfigureServer.
const (
	// ReadHeaderTimeout is how long a client may take to send its headers.
	ReadHeaderTimeout = 5 * time.Second
	// IdleTimeout is how long a connection may wait for its next request: longer than the usual proxy keeps it,
	// so that it is the proxy that closes.
	IdleTimeout = 120 * time.Second
	// MaxHeaderBytes is the most that a request's headers may take.
	MaxHeaderBytes = 64 << 10

	// readTimeout bounds what net/http may read before a handler has the request, which sets its own bounds.
	readTimeout = time.Minute
	// writeTimeout bounds how long an answer may take, the longest Prefer: wait included. Event streams renew it.
	writeTimeout = maxWait + 30*time.Second

	// bodyTimeout is how long a client may take to send its body.
	bodyTimeout = 15 * time.Second
	// unreadTimeout is how long an answer waits for the rest of a body that the handler did not read: most of the time it
	// has arrived, and the connection can be used again. maxUnread bounds it in bytes.
	unreadTimeout = 250 * time.Millisecond
	maxUnread     = 256 << 10
	// lingerTimeout is how long a connection that will be closed is read after the answer, so that a client that is still
	// sending reads the answer and no reset.
	lingerTimeout = time.Second
	// stoppingTimeout is how long a client may take for the rest of its body when the server stops.
	stoppingTimeout = 2 * time.Second
)

// ConfigureServer bounds everything that a client can make the server wait for, and makes the errors of net/http itself
// problems on the connections of a ProblemListener. The server has its handler, and is not started yet.
//
// A server's own ReadTimeout would cut event streams and Prefer: wait, so each request has its read deadline cleared, or
// set for its body: see boundBodies.
func ConfigureServer(s *http.Server) {
	s.ReadHeaderTimeout, s.IdleTimeout, s.MaxHeaderBytes = ReadHeaderTimeout, IdleTimeout, MaxHeaderBytes
	s.ReadTimeout, s.WriteTimeout = readTimeout, writeTimeout
	// net/http's own handler of OPTIONS * reads a body without a deadline.
	s.DisableGeneralOptionsHandler = true
	stopping, stop := context.WithCancel(context.Background())
	s.RegisterOnShutdown(stop)
	s.Handler = handlerReached(boundBodies(stopping, s.Handler))
	s.ConnContext = problemConnContext
	s.ConnState = problemConnState
}

// boundBodies gives the body of every request a deadline, whether or not the handler reads it. Without one net/http waits for
// the rest of an unread body before it answers and after it, forever.
func boundBodies(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		if r.Body == nil || r.Body == http.NoBody {
			// Not every ResponseWriter has deadlines: those of tests have none.
			_ = controller.SetReadDeadline(time.Time{})
			next.ServeHTTP(w, r)
			return
		}
		b := &boundBody{ReadCloser: r.Body, controller: controller}
		b.setDeadline(bodyTimeout)
		defer context.AfterFunc(stopping, func() { b.setDeadline(stoppingTimeout) })()
		answer := &answerAfterBody{ResponseWriter: w, body: b, expectsContinue: strings.EqualFold(r.Header.Get("Expect"), "100-continue")}
		r = r.WithContext(r.Context())
		r.Body = b
		next.ServeHTTP(answer, r)
		answer.begin()
	})
}

// boundBody is a body with a deadline, which ends when the body has been read.
type boundBody struct {
	io.ReadCloser
	controller *http.ResponseController

	// used reports that it was read from, failed that this failed.
	used, failed bool

	mu sync.Mutex
	// complete reports that everything has been read.
	complete bool
}

// Read implements io.Reader.
func (b *boundBody) Read(p []byte) (int, error) {
	b.used = true
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.complete {
			b.complete = true
			// From here on net/http reads, to learn when the client is gone: that may take as long as the answer.
			_ = b.controller.SetReadDeadline(time.Time{})
		}
	case err != nil:
		b.failed = true
	}
	return n, err
}

func (b *boundBody) setDeadline(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.complete {
		_ = b.controller.SetReadDeadline(time.Now().Add(d))
	}
}

func (b *boundBody) isComplete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.complete
}

// answerAfterBody is the answer to a request with a body. A body that was not read is read before the answer begins, if it
// arrives at once; if not, the connection is closed after the answer: later bytes could not be distinguished from a request.
type answerAfterBody struct {
	http.ResponseWriter
	body            *boundBody
	expectsContinue bool
	begun           bool
}

// Unwrap is for http.ResponseController.
func (a *answerAfterBody) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answerAfterBody) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.begin()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answerAfterBody) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}

// begin is called before anything of the answer is sent.
func (a *answerAfterBody) begin() {
	if a.begun {
		return
	}
	a.begun = true
	h := a.Header()
	// A client that waits for permission to send its body (RFC 9110, 10.1.1) has sent nothing: it is not asked to.
	if waits := a.expectsContinue && !a.body.used; !waits && !a.body.failed && h.Get(echo.HeaderConnection) != "close" && !a.body.isComplete() {
		a.body.setDeadline(unreadTimeout)
		_, _ = io.CopyN(io.Discard, a.body, maxUnread)
	}
	if !a.body.isComplete() {
		h.Set(echo.HeaderConnection, "close")
		a.body.setDeadline(lingerTimeout)
	}
}
