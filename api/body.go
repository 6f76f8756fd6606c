package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
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

// readBody returns the request's JSON body, without a byte order mark (RFC 8259, 8.1). A request without a body has none,
// whatever its content type, and however its length is said.
// Errors: UnsupportedMediaType, TooLarge, Malformed when it does not come completely.
func (s *Server) readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > 0 {
		// What is wrong with the headers is said before anything is read.
		if err := checkContent(c); err != nil {
			return nil, err
		}
	}
	if r.ContentLength > s.cfg.MaxBody {
		return nil, s.tooLarge(c)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, s.cfg.MaxBody+1))
	if err != nil {
		return nil, &fault.Error{Code: fault.Malformed, Message: "the request body is incomplete", Err: err}
	}
	if len(body) == 0 {
		return nil, nil // sent in chunks, of which there are none
	}
	if r.ContentLength < 0 {
		if err := checkContent(c); err != nil {
			return nil, err
		}
	}
	if int64(len(body)) > s.cfg.MaxBody {
		return nil, s.tooLarge(c)
	}
	return bytes.TrimPrefix(body, byteOrderMark), nil
}

// byteOrderMark is what editors and libraries on Windows put before a text in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

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
	return fault.New(fault.TooLarge, "the request body has more than %d bytes", s.cfg.MaxBody)
}

// checkContent accepts JSON in UTF-8 that is not compressed.
func checkContent(c echo.Context) error {
	h := c.Request().Header
	for _, value := range h.Values(echo.HeaderContentEncoding) {
		for coding := range strings.SplitSeq(value, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				// RFC 9110, 15.5.16: this says that it is the coding, not the type.
				c.Response().Header().Set(echo.HeaderAcceptEncoding, "identity")
				return fault.New(fault.UnsupportedMediaType, "content encoding %q is not supported: send the body without encoding", shortened(coding))
			}
		}
	}
	contentType := h.Get(echo.HeaderContentType)
	media, parameters := mediaType(contentType)
	switch charset := strings.Trim(strings.ToLower(parameters["charset"]), `'" `); {
	case contentType == "":
		return fault.New(fault.UnsupportedMediaType, "the content type is missing: send application/json")
	case media != echo.MIMEApplicationJSON:
		return fault.New(fault.UnsupportedMediaType, "content type %q is not supported: send application/json", shortened(contentType))
	case !slices.Contains(utf8Charsets, charset):
		return fault.New(fault.UnsupportedMediaType, "charset %q is not supported: send UTF-8", shortened(charset))
	}
	return nil
}

// mediaType reads a content type. Parameters that cannot be read say nothing: JSON has none, and browsers pass over them.
func mediaType(contentType string) (media string, parameters map[string]string) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		return strings.TrimSpace(media), nil
	}
	return media, parameters
}

// utf8Charsets are names under which clients send UTF-8. ASCII is UTF-8 too. JSON is always UTF-8 and has no charset (RFC 8259,
// 8.1 and 11), but a client that names another one would be misunderstood.
var utf8Charsets = []string{"", "utf-8", "utf8", "unicode-1-1-utf-8", "us-ascii", "ascii"}
