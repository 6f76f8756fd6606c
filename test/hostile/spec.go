package hostile

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Spec is an OpenAPI document.
type Spec struct {
	router     routers.Router
	problem    *openapi3.Schema
	operations []operation
}

// operation is a method of a path with all its parameters.
type operation struct {
	method, path string
	*openapi3.Operation
	parameters openapi3.Parameters
}

// Load reads a document, which must have a schema Problem.
func Load(document []byte) (*Spec, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	s := &Spec{problem: doc.Components.Schemas["Problem"].Value}
	if s.router, err = legacy.NewRouter(doc, openapi3.IsOpenAPI31OrLater()); err != nil {
		return nil, err
	}
	for path, item := range doc.Paths.Map() {
		for method, described := range item.Operations() {
			s.operations = append(s.operations, operation{method, path, described, slices.Concat(item.Parameters, described.Parameters)})
		}
	}
	slices.SortFunc(s.operations, func(a, b operation) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method)) })
	return s, nil
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// anywhere are headers that every answer may have, and those of documents, lists of methods and streams.
var anywhere = []string{
	"Accept-Encoding", "Accept-Ranges", "Allow", "Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Content-Type", "Date", "Etag", "Referrer-Policy",
	"Retry-After", "Transfer-Encoding", "Vary", "X-Accel-Buffering", "X-Content-Type-Options", "X-Correlation-Id",
}

// beforeRouting are statuses that the document describes once for all operations: the request is refused before it is known which operation it names.
var beforeRouting = []int{
	http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusExpectationFailed,
	http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported,
}

// Check returns an error if the answer is not as described, or if the request was served and is not as described.
func (s *Spec) Check(r Request, a Answer) error {
	if a.Status >= http.StatusBadRequest {
		if err := s.checkProblem(a); err != nil && !strings.HasPrefix(r.Target, "/readyz") {
			return err
		}
	}
	request, route, parameters := s.route(r)
	if route == nil || slices.Contains(beforeRouting, a.Status) && route.Operation.Responses.Status(a.Status) == nil {
		return checkUnrouted(r, a)
	}
	documented := route.Operation.Responses.Status(a.Status)
	if documented == nil {
		return fmt.Errorf("status %d is not documented for %s %s", a.Status, route.Method, route.Path)
	}
	headers := slices.Clone(anywhere)
	for name := range documented.Value.Headers {
		headers = append(headers, http.CanonicalHeaderKey(name))
	}
	for name := range a.Header {
		if !slices.Contains(headers, name) {
			return fmt.Errorf("header %s is not documented for status %d of %s %s", name, a.Status, route.Method, route.Path)
		}
	}
	return validate(request, route, parameters, r, a)
}

// route finds the operation of a request.
func (s *Spec) route(r Request) (*http.Request, *routers.Route, map[string]string) {
	target, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return nil, nil, nil
	}
	path := target.EscapedPath()
	if path != "/" {
		path = strings.TrimSuffix(path, "/") // as described, a slash at the end is ignored
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	request := &http.Request{
		Method: method, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(bytes.TrimPrefix(r.Body, []byte("\ufeff")))),
		URL: &url.URL{Path: path, RawQuery: described(target.RawQuery)},
	}
	for _, h := range r.Headers {
		request.Header.Add(h.Name, h.Value)
	}
	route, parameters, err := s.router.FindRoute(request)
	if err != nil {
		return nil, nil, nil
	}
	return request, route, parameters
}

// described returns a query as a validator reads it: with escaped plus signs, which the service reads in times, and without parameters that
// are empty, which are the same as none.
func described(query string) string {
	parts := strings.Split(strings.ReplaceAll(query, "+", "%2B"), "&")
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return strings.HasSuffix(part, "=") || !strings.Contains(part, "=") }), "&")
}

// checkUnrouted is about requests that no operation has seen. Methods that read are answered for documents, too.
func checkUnrouted(r Request, a Answer) error {
	if a.Status >= http.StatusBadRequest && a.Status != http.StatusServiceUnavailable {
		return nil
	}
	if a.Status == http.StatusNoContent && r.Method == http.MethodOptions {
		return nil
	}
	return fmt.Errorf("status %d for a request that no operation describes", a.Status)
}

// checkProblem is about every answer that is an error: RFC 9457, and nothing of the inside.
func (s *Spec) checkProblem(a Answer) error {
	if contentType := a.Header.Get("Content-Type"); contentType != "application/problem+json" {
		return fmt.Errorf("an error of content type %q", contentType)
	}
	if a.Body == nil {
		return nil // HEAD
	}
	var value any
	if err := json.Unmarshal(a.Body, &value); err != nil {
		return fmt.Errorf("the problem is not JSON: %w", err)
	}
	if err := s.problem.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
		return fmt.Errorf("the problem is not as described: %w", err)
	}
	if status := value.(map[string]any)["status"]; status != float64(a.Status) {
		return fmt.Errorf("the problem has status %v", status)
	}
	if bytes.Contains(a.Body, []byte("goroutine ")) {
		return fmt.Errorf("the problem contains a stack: %s", a.Body)
	}
	return nil
}

// isJSON reports whether an answer has a body that the document describes.
func isJSON(h http.Header) bool {
	contentType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return slices.Contains([]string{"application/json", "application/problem+json"}, contentType)
}

func validate(request *http.Request, route *routers.Route, parameters map[string]string, r Request, a Answer) error {
	options := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	options.ExcludeResponseBody = !isJSON(a.Header) || r.Method == http.MethodHead
	input := &openapi3filter.RequestValidationInput{Request: request, PathParams: parameters, Route: route, Options: options}
	if a.Status < http.StatusBadRequest && a.Status != http.StatusNotModified {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			return fmt.Errorf("status %d for a request that is not as described: %w", a.Status, err)
		}
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)), Options: options,
	})
}
