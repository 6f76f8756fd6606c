package hostile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are those of Run.
type Options struct {
	// Addr is where the service listens.
	Addr string
	Seed uint64
	// First is the number of the first request, Requests how many are sent, by Clients at once.
	First, Requests, Clients int
	// Patience bounds the time for one answer.
	Patience time.Duration
	Values   Values
}

// maxFailures is how many failures a run reports. It ends after them.
const maxFailures = 10

// Report is what came of a run.
type Report struct {
	// Statuses counts the answers.
	Statuses map[int]int
	// Failures are answers that are not as described, with their requests.
	Failures []error
}

// Run sends requests and checks the answers.
func (s *Spec) Run(ctx context.Context, o Options) Report {
	report := Report{Statuses: make(map[int]int)}
	var mu sync.Mutex
	var clients sync.WaitGroup
	var next atomic.Int64
	next.Store(int64(o.First))
	for range o.Clients {
		clients.Go(func() {
			c := &connection{addr: o.Addr, patience: o.Patience}
			defer c.close()
			for ctx.Err() == nil {
				number := int(next.Add(1) - 1)
				if number >= o.First+o.Requests {
					return
				}
				r := s.Request(o.Seed, number, o.Values)
				a, err := c.do(ctx, r)
				if err == nil {
					err = s.Check(r, a)
				}
				if err == nil && a.Status == http.StatusInternalServerError {
					err = errInternal
				}
				mu.Lock()
				report.Statuses[a.Status]++
				if err != nil {
					report.Failures = append(report.Failures, fmt.Errorf("seed %d, request %d: %w\n%s\nanswer: %s", o.Seed, number, err, r, shortened(a.Body)))
				}
				enough := len(report.Failures) >= maxFailures
				mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	clients.Wait()
	return report
}

func shortened(body []byte) []byte { return body[:min(len(body), 1000)] }

// connection is a connection that is opened when it is needed, and kept as long as the service keeps it.
type connection struct {
	addr     string
	patience time.Duration
	net      net.Conn
	reader   *bufio.Reader
}

func (c *connection) close() {
	if c.net != nil {
		_ = c.net.Close()
	}
	c.net = nil
}

// do sends a request and returns the answer. A connection that the service has closed after an earlier answer is replaced once.
func (c *connection) do(ctx context.Context, r Request) (Answer, error) {
	reused := c.net != nil
	a, err := c.once(ctx, r)
	if err != nil && reused && errors.Is(err, errNoAnswer) {
		c.close()
		a, err = c.once(ctx, r)
	}
	if err != nil {
		c.close()
	}
	return a, err
}

var (
	errNoAnswer = errors.New("no answer")
	errInternal = errors.New("an internal error")
)

// maxBody bounds what is read of an answer, maxStream what is read of an event stream.
const (
	maxBody   = 64 << 20
	maxStream = 1 << 10
)

func (c *connection) once(ctx context.Context, r Request) (Answer, error) {
	if c.net == nil {
		dialer := net.Dialer{Timeout: c.patience}
		opened, err := dialer.DialContext(ctx, "tcp", c.addr)
		if err != nil {
			return Answer{}, err
		}
		c.net, c.reader = opened, bufio.NewReader(opened)
	}
	if err := c.net.SetDeadline(time.Now().Add(c.patience)); err != nil {
		return Answer{}, err
	}
	// The service may answer before it has read everything, and reads no further: the connection may be closed while the request is sent.
	var sending sync.WaitGroup
	to := c.net
	sending.Go(func() {
		_, _ = to.Write(r.bytes())
		if r.Cut {
			_ = to.(*net.TCPConn).CloseWrite()
		}
	})
	a, keep, err := c.read(r)
	if !keep || r.Cut {
		c.close()
	}
	sending.Wait()
	return a, err
}

// read reads the answer, and reports whether the connection may be used again.
func (c *connection) read(r Request) (a Answer, keep bool, err error) {
	var response *http.Response
	for response == nil || response.StatusCode == http.StatusContinue {
		if response, err = http.ReadResponse(c.reader, &http.Request{Method: r.Method}); err != nil {
			return a, false, fmt.Errorf("%w: %w", errNoAnswer, err)
		}
	}
	defer response.Body.Close()
	a = Answer{Status: response.StatusCode, Header: response.Header}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		_, _ = io.CopyN(io.Discard, response.Body, maxStream/512)
		c.close() // before the body is closed, which would read on
		return a, false, nil
	}
	if a.Body, err = io.ReadAll(io.LimitReader(response.Body, maxBody)); err != nil {
		return a, false, fmt.Errorf("read the answer: %w", err)
	}
	if r.Method == http.MethodHead {
		a.Body = nil
	}
	return a, !response.Close, nil
}
