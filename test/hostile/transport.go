package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Transport sends requests and checks each of them, with its answer, against a document. Answers that are no ordersaga's are ignored: they have
// no X-Correlation-Id, or their path is not in the document and not below /v1. It is safe for concurrent use.
type Transport struct {
	Spec *Spec
	Base http.RoundTripper
	// Report gets what is not as described, from any goroutine.
	Report func(error)
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := Request{Method: r.Method, Target: r.URL.RequestURI()}
	for name, values := range r.Header {
		for _, value := range values {
			sent.Headers = append(sent.Headers, Header{name, value})
		}
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		sent.Body = body
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	response, err := t.Base.RoundTrip(r)
	if err != nil || !t.described(sent, response) {
		return response, err
	}
	a := Answer{Status: response.StatusCode, Header: response.Header}
	if isJSON(response.Header) {
		body := response.Body
		read, failed := io.ReadAll(body)
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(read), failing{failed}), body}
		if failed != nil {
			return response, nil //nolint:nilerr // the reader of the body gets the error
		}
		if r.Method != http.MethodHead {
			a.Body = read
		}
	}
	if err := t.Spec.Check(sent, a); err != nil {
		t.Report(fmt.Errorf("%s %s: %w\nbody: %s\nanswer: %s", sent.Method, sent.Target, err, shortened(sent.Body), shortened(a.Body)))
	}
	return response, nil
}

// CloseIdleConnections closes those of Base.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.Base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// described reports whether the document is about an answer.
func (t *Transport) described(r Request, response *http.Response) bool {
	if response.Header.Get("X-Correlation-Id") == "" {
		return false
	}
	_, route, _ := t.Spec.route(r)
	return route != nil || strings.HasPrefix(r.Target, "/v1/")
}

// failing reads an error, io.EOF without one.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
