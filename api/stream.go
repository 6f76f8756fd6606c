package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	// streamWriteTimeout is how long a client of an event stream may leave a write unread.
	streamWriteTimeout = 10 * time.Second
	// reconnectAfter is how long clients must wait before they reconnect.
	reconnectAfter = "retry: 1000\n\n"
	heartbeat      = ": heartbeat\n\n"
)

// streamEvents writes the order's events as they are appended (HTML, server-sent events): id is the version, so
// that a client that comes again with Last-Event-ID misses nothing. It ends after the terminal event, when the
// server drains, when the credentials are no longer valid, and when the client is gone or too slow. A client that comes again after the
// terminal event is answered 204, which makes an EventSource stop.
func (s *Server) streamEvents(c echo.Context, of timeline, after int64) error {
	after, err := lastEventID(c, after)
	if err != nil {
		return err
	}
	if s.isDraining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	leave, err := s.limits.stream(c)
	if err != nil {
		return err
	}
	defer leave()
	defer s.streams.Add(-1)
	if s.streams.Add(1) > int64(s.cfg.MaxStreams) {
		return fault.New(fault.Unavailable, "too many event streams are open")
	}
	over, err := s.nothingFollows(c, of, after)
	if err != nil {
		return err
	}
	if over {
		return c.NoContent(http.StatusNoContent)
	}
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	w, err := openStream(c)
	if err != nil {
		return nil // the client is gone
	}
	ctx, done := s.whileValid(c.Request().Context(), c)
	defer done()
	s.pump(ctx, w, of, after)
	// net/http still writes the end of the answer, and the deadline of the last write may have passed.
	_ = w.controller.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	return nil
}

// lastEventID returns the version after which the stream continues. The header wins over the cursor: a browser
// repeats the address that it began with.
func lastEventID(c echo.Context, after int64) (int64, error) {
	text := c.Request().Header.Get(headerLastEventID)
	if text == "" {
		return after, nil
	}
	version, ok := parseVersion(text)
	if !ok {
		return 0, invalidOutside(complaint{Header: "Last-Event-ID", Detail: "must be the ID of an event in this stream"})
	}
	return version, nil
}

// nothingFollows reports whether the client has seen the order's terminal event. The error is NotFound when
// there is no such order.
func (s *Server) nothingFollows(c echo.Context, of timeline, after int64) (bool, error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	head, err := s.head(ctx, of)
	return isTerminal(head) && head.Version <= after, err
}

// isTerminal reports whether the record closes its saga's stream.
func isTerminal(r event.Record) bool { return r.Key == saga.SlotEnd }

// streamWriter writes to a client, and gives it a new deadline each time.
type streamWriter struct {
	w          http.ResponseWriter
	controller *http.ResponseController
}

func openStream(c echo.Context) (*streamWriter, error) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, typeEventStream)
	// Proxies that gather answers would hold events back.
	h.Set("X-Accel-Buffering", "no")
	c.Response().WriteHeader(http.StatusOK)
	// Not echo's Response: its Flush keeps the error to itself.
	w := &streamWriter{w: c.Response(), controller: http.NewResponseController(c.Response().Writer)}
	// A server's ReadTimeout would end the stream: net/http reads on, to learn when the client is gone.
	_ = w.controller.SetReadDeadline(time.Time{})
	err := w.write([]byte(reconnectAfter))
	return w, err
}

func (w *streamWriter) write(block []byte) error {
	_ = w.controller.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
	if _, err := w.w.Write(block); err != nil {
		return err
	}
	return w.controller.Flush()
}

// writeEvent writes one event. JSON has no line ends, so that one data line holds it.
func (w *streamWriter) writeEvent(r event.Record) error {
	item, err := encodeJSON(itemOf(r))
	if err != nil {
		return err
	}
	block := strconv.AppendInt([]byte("id: "), r.Version, 10)
	block = append(append(block, "\ndata: "...), item...)
	return w.write(append(block, '\n'))
}

// pump follows the order and writes until the stream is over. It returns when nothing of it runs any more.
func (s *Server) pump(ctx context.Context, w *streamWriter, of timeline, after int64) {
	ctx, cancel := context.WithCancel(ctx)
	records := make(chan event.Record)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() {
		defer close(records)
		for r, err := range s.cfg.Log.Follow(ctx, of.stream, after) {
			if err != nil {
				s.logStopped(ctx, "event stream interrupted", of.attrs, err)
				return
			}
			select {
			case records <- r:
			case <-ctx.Done():
				return
			}
			if isTerminal(r) {
				return
			}
		}
	})
	s.forward(ctx, w, records)
}

// forward writes records, and comments while none come, until the channel is closed, the client is gone or the
// server drains.
func (s *Server) forward(ctx context.Context, w *streamWriter, records <-chan event.Record) {
	idle := time.NewTicker(s.cfg.Heartbeat)
	defer idle.Stop()
	for {
		var err error
		select {
		case r, open := <-records:
			if !open {
				return
			}
			err = w.writeEvent(r)
			idle.Reset(s.cfg.Heartbeat)
		case <-idle.C:
			err = w.write([]byte(heartbeat))
		case <-ctx.Done():
			return
		case <-s.draining.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
