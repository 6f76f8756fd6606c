package api

import (
	"context"
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

// getEvents answers with the timeline in the form that the client accepts.
func (s *Server) getEvents(c echo.Context) error {
	q := queryOf(c, "limit", "cursor")
	// A timeline is short: a page holds most of them whole.
	after, limit := q.version(), q.limit(cursor.MaxLimit)
	if err := q.err(); err != nil {
		return err
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderVary, echo.HeaderAccept)
	switch preferredType(c.Request().Header, echo.MIMEApplicationJSON, typeNDJSON, typeEventStream) {
	case typeEventStream:
		return s.streamEvents(c, id, after)
	case typeNDJSON:
		return s.writeLines(c, id, after, limit)
	}
	records, more, err := s.readPage(c, id, after, limit)
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
func (s *Server) writeLines(c echo.Context, id string, after int64, limit int) error {
	records, more, err := s.readPage(c, id, after, limit)
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
		c.Response().Header().Set("Link", "<"+orderPath(id)+"/events?"+next.Encode()+`>; rel="next"`)
	}
	return c.Blob(http.StatusOK, typeNDJSON, lines)
}

// readPage reads a page of an order's stream; more tells that others follow. The error is NotFound when
// there is no such order.
func (s *Server) readPage(c echo.Context, id string, after int64, limit int) (records []event.Record, more bool, err error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	records, err = s.cfg.Log.Read(ctx, event.OrderStream(id), after, limit+1)
	if err != nil {
		return nil, false, err
	}
	if len(records) == 0 {
		_, err = s.head(ctx, id)
		return nil, false, err
	}
	if len(records) > limit {
		return records[:limit], true, nil
	}
	return records, false, nil
}

// head returns the newest record of an order, the zero Record while only Temporal knows the order. The error is NotFound when
// neither does.
func (s *Server) head(ctx context.Context, id string) (event.Record, error) {
	head, ok, err := s.cfg.Log.Head(ctx, event.OrderStream(id))
	if err == nil && !ok {
		_, err = s.findAccepted(ctx, id)
	}
	return head, err
}
