package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// drainFactor is how many times the limit is read from a body that is over it, so that a client that is
	// still sending reads the 413 and no reset.
	drainFactor = 8
	// drainTimeout bounds that in time.
	drainTimeout = 5 * time.Second
)

// readBody returns the request's JSON body. A request without a body has none, whatever its content type.
// Errors: UnsupportedMediaType, TooLarge, Malformed when it does not come completely.
func (s *Server) readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	if err := checkContentType(r); err != nil {
		return nil, err
	}
	if r.ContentLength > s.cfg.MaxBody {
		return nil, s.tooLarge(c)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, s.cfg.MaxBody+1))
	if err != nil {
		return nil, &fault.Error{Code: fault.Malformed, Message: "the body did not arrive completely", Err: err}
	}
	if int64(len(body)) > s.cfg.MaxBody {
		return nil, s.tooLarge(c)
	}
	return body, nil
}

// tooLarge reads on, up to a bound, and returns the error. A client that waits for permission to send (RFC 9110,
// 10.1.1) has sent nothing: it is not asked to.
func (s *Server) tooLarge(c echo.Context) error {
	r := c.Request()
	if !strings.EqualFold(r.Header.Get("Expect"), "100-continue") || r.ContentLength < 0 {
		_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(drainTimeout))
		rest, err := io.CopyN(io.Discard, r.Body, drainFactor*s.cfg.MaxBody)
		if !errors.Is(err, io.EOF) || rest == drainFactor*s.cfg.MaxBody {
			c.Response().Header().Set(echo.HeaderConnection, "close")
		}
	}
	return fault.New(fault.TooLarge, "the body has more than %d bytes", s.cfg.MaxBody)
}

// checkContentType accepts JSON in UTF-8.
func checkContentType(r *http.Request) error {
	media, parameters, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil || media != echo.MIMEApplicationJSON {
		return fault.New(fault.UnsupportedMediaType, "the content type must be application/json")
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return fault.New(fault.UnsupportedMediaType, "the charset must be utf-8")
	}
	return nil
}
