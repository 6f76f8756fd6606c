package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/null"
)

const (
	typeEventStream = "text/event-stream"
	typeNDJSON      = "application/x-ndjson"
)

// timeline is the events of a saga.
type timeline struct {
	// attrs name the saga in logs.
	attrs []slog.Attr
	// stream is the name of its stream, path the path of its resource.
	stream, path string
	// find finds a saga that the log does not have yet. The error is NotFound when there is none.
	find func(ctx context.Context) error
}

// orderTimeline is the timeline of an order.
func (s *Server) orderTimeline(id string) timeline {
	return timeline{orderAttrs(id), event.OrderStream(id), orderPath(id), func(ctx context.Context) error {
		_, err := s.findAccepted(ctx, id)
		return err
	}}
}

// getEvents answers with the timeline of an order in the form that the client accepts.
func (s *Server) getEvents(c echo.Context) error {
	return s.answerTimeline(c, func() (timeline, error) {
		id, err := orderID(c)
		if err == nil {
			err = s.checkOwn(c, id)
		}
		return s.orderTimeline(id), err
	})
}

// answerTimeline answers with a timeline in the form that the client accepts.
func (s *Server) answerTimeline(c echo.Context, find func() (timeline, error)) error {
	q := queryOf(c, "limit", "cursor")
	// A timeline is short: a page holds most of them whole.
	after, limit := q.version(), q.limit(cursor.MaxLimit)
	if err := q.err(); err != nil {
		return err
	}
	of, err := find()
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderVary, echo.HeaderAccept)
	switch preferredType(c.Request().Header, echo.MIMEApplicationJSON, typeNDJSON, typeEventStream) {
	case typeEventStream:
		return s.streamEvents(c, of, after)
	case typeNDJSON:
		return s.writeLines(c, of, after, limit)
	}
	records, more, err := s.readPage(c, of, after, limit)
	if err != nil {
		return err
	}
	next := ""
	if more {
		next = strconv.FormatInt(records[len(records)-1].Version, 10)
	}
	return writeJSON(c, http.StatusOK, page[timelineItem]{itemsOf(records), null.Text(next)})
}

// writeLines writes a page as one JSON object a line. A Link leads to the next page.
func (s *Server) writeLines(c echo.Context, of timeline, after int64, limit int) error {
	records, more, err := s.readPage(c, of, after, limit)
	if err != nil {
		return err
	}
	var lines []byte
	for _, r := range records {
		line, err := encodeJSON(itemOf(r))
		if err != nil {
			return err
		}
		lines = append(lines, line...)
	}
	if more {
		next := url.Values{
			"cursor": {strconv.FormatInt(records[len(records)-1].Version, 10)}, "limit": {strconv.Itoa(limit)},
		}
		c.Response().Header().Set("Link", "<"+of.path+"/events?"+next.Encode()+`>; rel="next"`)
	}
	return c.Blob(http.StatusOK, typeNDJSON, lines)
}

// readPage reads a page of a timeline; more reports that others follow. The error is NotFound when there is no such saga.
func (s *Server) readPage(c echo.Context, of timeline, after int64, limit int) (records []event.Record, more bool, err error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	records, err = s.cfg.Log.Read(ctx, of.stream, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	if len(records) == 0 {
		_, err = s.head(ctx, of)
		return nil, false, err
	}
	if len(records) > limit {
		return records[:limit], true, nil
	}
	return records, false, nil
}

// head returns the newest record of a timeline, the zero Record while only Temporal knows the saga. The error is NotFound when
// neither does.
func (s *Server) head(ctx context.Context, of timeline) (event.Record, error) {
	head, ok, err := s.cfg.Log.Head(ctx, of.stream)
	if err == nil && !ok {
		err = of.find(ctx)
	}
	return head, err
}
