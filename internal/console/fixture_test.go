package console_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/console"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// now is the fixture's time.
var now = time.Date(2026, 11, 21, 18, 30, 0, 0, time.UTC)

// hostile is an ID that ends attributes and elements of pages that do not escape it.
const hostile = `"><script>alert('1')</script>/a b`

// call is a request that the console has sent to the API.
type call struct {
	method, target, authorization, key string
	body                               map[string]any
}

// rest is the API: it answers with what the test says, by method and path, with or without the query.
type rest struct {
	t *testing.T
	// mu guards all below.
	mu      sync.Mutex
	answers map[string]any
	calls   []call
}

func (r *rest) set(target string, answer any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[target] = answer
}

// last is the body of the last request that has one and whose path ends with a name.
func (r *rest) last(name string) map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range slices.Backward(r.calls) {
		if path, _, _ := strings.Cut(c.target, "?"); strings.HasSuffix(path, "/"+name) && c.body != nil {
			return c.body
		}
	}
	return nil
}

func (r *rest) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	c := call{q.Method, q.URL.RequestURI(), q.Header.Get("Authorization"), q.Header.Get("Idempotency-Key"), nil}
	if content, _ := io.ReadAll(q.Body); len(content) > 0 {
		assert.NoError(r.t, json.Unmarshal(content, &c.body))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
	found, ok := r.answers[q.Method+" "+c.target]
	if !ok {
		found, ok = r.answers[q.Method+" "+q.URL.EscapedPath()]
	}
	if !ok {
		found = fault.New(fault.NotFound, "there is nothing at %s", q.URL.Path)
	}
	status := http.StatusOK
	if err, failed := found.(error); failed {
		spec := fault.Lookup(fault.CodeOf(err))
		status, found = spec.HTTPStatus, map[string]any{"title": spec.Title, "status": spec.HTTPStatus, "code": fault.CodeOf(err), "detail": fault.SafeMessage(err)}
	}
	w.WriteHeader(status)
	assert.NoError(r.t, json.NewEncoder(w).Encode(found))
}

// keys are callers by their API keys.
type keys map[string]auth.Caller

func (k keys) Authenticate(_ context.Context, token string) (auth.Caller, error) {
	if caller, ok := k[token]; ok {
		return caller, nil
	}
	return auth.Caller{}, auth.Refused("the API key is not valid")
}

// visitor sends requests to a console, with the cookies that it got.
type visitor struct {
	t       *testing.T
	rest    *rest
	console http.Handler
	cookies map[string]*http.Cookie
}

func newVisitor(t *testing.T, by auth.Authenticator, answers map[string]any) *visitor {
	t.Helper()
	api := &rest{t: t, answers: answers}
	c, err := console.New(console.Config{
		REST: api, Auth: by, Flows: []saga.Info{order.Flow.Info(), latepayment.Flow.Info()}, Clock: func() time.Time { return now },
	})
	require.NoError(t, err)
	return &visitor{t: t, rest: api, console: c, cookies: make(map[string]*http.Cookie)}
}

func (b *visitor) send(r *http.Request) *httptest.ResponseRecorder {
	b.t.Helper()
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.console.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w
}

func (b *visitor) get(target string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.send(httptest.NewRequest(http.MethodGet, target, nil))
}

// form is the token in the forms of a page.
var form = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends a form with the token of a page that was loaded before.
func (b *visitor) post(target string, values url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	if c := b.cookies["ordersaga_form"]; c != nil && !values.Has("csrf") {
		values.Set("csrf", c.Value)
	}
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r)
}

// text is JSON of the API.
func text(content string) json.RawMessage { return json.RawMessage(content) }

// quoted is a string in JSON.
func quoted(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
