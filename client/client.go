package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultRetryTime      = time.Minute
	DefaultAttemptTimeout = 30 * time.Second
)

const (
	// firstPause and maxPause bound the pauses between the attempts of a call, unless the service names one.
	firstPause, maxPause = 100 * time.Millisecond, 5 * time.Second
	// maxWait is the longest time for which the service delays an answer.
	maxWait = time.Minute
	// maxAnswer bounds the body of an answer, in bytes.
	maxAnswer = 64 << 20
)

// Config configures a Client.
type Config struct {
	// URL is the address of the service, such as https://orders.example.com. Mandatory.
	URL string
	// APIKey is an API key of the service (osk_…). Empty without authentication.
	APIKey string
	// Token returns the token for a request, such as one of an OpenID Connect provider. It takes the place of APIKey and is called for every attempt.
	Token func(ctx context.Context) (string, error)
	// HTTP sends the requests. Default: http.DefaultClient. It should have no Timeout, which would end event streams.
	HTTP *http.Client
	// RetryTime is how long a call is repeated; negative means never. Default: 1 min.
	RetryTime time.Duration
	// AttemptTimeout bounds one attempt, the time for which the service delays its answer not included. Default: 30 s.
	AttemptTimeout time.Duration
	// UserAgent is sent with every request, if it is set.
	UserAgent string
}

// Client calls the API. Use New.
type Client struct{ cfg Config }

// New returns a client. It does no I/O.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("URL %q: expected http:// or https://, a host and nothing after the path", c.URL)
	}
	c.URL = strings.TrimRight(c.URL, "/")
	c.HTTP = cmp.Or(c.HTTP, http.DefaultClient)
	c.RetryTime = cmp.Or(c.RetryTime, DefaultRetryTime)
	c.AttemptTimeout = cmp.Or(c.AttemptTimeout, DefaultAttemptTimeout)
	return &Client{cfg: c}, nil
}

// Option changes a call.
type Option func(*call)

// WithIdempotencyKey sets the key of a call: 1 to 255 visible ASCII characters. The same key with the same content takes effect once, also after a
// restart of the caller; with other content the call is refused.
func WithIdempotencyKey(key string) Option { return func(c *call) { c.key = key } }

// WithCorrelationID sets the correlation ID of a call: 1 to 128 visible ASCII characters. That of an order is in all of its events.
func WithCorrelationID(id string) Option { return func(c *call) { c.correlation = id } }

// call is a call of the API.
type call struct {
	method, path     string
	query            url.Values
	body             any
	key, correlation string
	// wait is for how long the service may delay its answer until the resource has ended.
	wait time.Duration
}

// get reads a resource.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	value, _, err := send[T](ctx, c, &call{method: http.MethodGet, path: path, query: query})
	return value, err
}

// post sends a call that takes effect once.
func post[T any](ctx context.Context, c *Client, path string, body any, options ...Option) (T, error) {
	value, _, err := send[T](ctx, c, posted(path, body, options))
	return value, err
}

func posted(path string, body any, options []Option) *call {
	p := &call{method: http.MethodPost, path: path, body: body, key: rand.Text()}
	for _, o := range options {
		o(p)
	}
	return p
}

// wait sends a call until its result has ended or the context is done; then it returns the last result with the error. The key makes a repeated
// call return the same resource, and the service delays its answer until that has ended.
func wait[T any](ctx context.Context, c *Client, path string, body any, options []Option) (last T, err error) {
	p := posted(path, body, options)
	p.wait = maxWait
	for {
		if deadline, ok := ctx.Deadline(); ok {
			p.wait = min(maxWait, time.Until(deadline))
		}
		value, status, err := send[T](ctx, c, p)
		if err != nil {
			return last, err
		}
		if last = value; status == http.StatusCreated {
			return last, nil
		}
		if err := pause(ctx, firstPause); err != nil {
			return last, fmt.Errorf("wait for the end: %w", err)
		}
	}
}

// send repeats a call until it has an answer that is final, and decodes it.
func send[T any](ctx context.Context, c *Client, p *call) (value T, status int, err error) {
	raw, status, err := c.repeat(ctx, p)
	if err == nil {
		if err = json.Unmarshal(raw, &value); err != nil {
			err = fmt.Errorf("%s %s: read the answer: %w", p.method, p.path, err)
		}
	}
	return value, status, err
}

// repeat sends a call until its answer is final. Every call may be repeated: those that change something have a key.
func (c *Client) repeat(ctx context.Context, p *call) (raw []byte, status int, err error) {
	until := time.Now().Add(c.cfg.RetryTime)
	for attempt := 0; ; attempt++ {
		raw, status, err = c.once(ctx, p)
		if err == nil || ctx.Err() != nil || !retryable(err) {
			return raw, status, err
		}
		delay := delayOf(err, attempt)
		if time.Now().Add(delay).After(until) {
			return nil, status, err
		}
		if pause(ctx, delay) != nil {
			return nil, status, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// retryable reports whether a call may succeed when it is repeated.
func retryable(err error) bool {
	var refused *Error
	return !errors.As(err, &refused) && !errors.As(err, new(tokenError)) || refused != nil && refused.Retryable()
}

// delayOf returns the pause after an attempt: what the service asks for, otherwise a random one that grows.
func delayOf(err error, attempt int) time.Duration {
	limit := min(maxPause, firstPause<<min(attempt, 10))
	delay := limit/2 + mathrand.N(limit/2)
	var refused *Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		return refused.RetryAfter + delay/10 // callers that were refused at the same time do not return at the same time
	}
	return delay
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once sends a call once and returns the body of a successful answer.
func (c *Client) once(ctx context.Context, p *call) ([]byte, int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AttemptTimeout+p.wait)
	defer cancel()
	request, err := c.request(ctx, p)
	if err != nil {
		return nil, 0, err
	}
	response, err := c.cfg.HTTP.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, response.StatusCode, fmt.Errorf("%s %s: %w", p.method, p.path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, response.StatusCode, errorOf(response, raw)
	}
	return raw, response.StatusCode, nil
}

// tokenError is a failure of Config.Token.
type tokenError struct{ error }

func (e tokenError) Unwrap() error { return e.error }

func (c *Client) request(ctx context.Context, p *call) (*http.Request, error) {
	var body io.Reader
	if p.body != nil {
		raw, err := json.Marshal(p.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	address := c.cfg.URL + p.path
	if len(p.query) > 0 {
		address += "?" + p.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, p.method, address, body)
	if err != nil {
		return nil, err
	}
	h := request.Header
	h.Set("Accept", "application/json, application/problem+json")
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	set("User-Agent", c.cfg.UserAgent)
	set("Idempotency-Key", p.key)
	set("X-Correlation-Id", p.correlation)
	if seconds := int(math.Floor(p.wait.Seconds())); seconds > 0 {
		h.Set("Prefer", "wait="+strconv.Itoa(seconds))
	}
	token := c.cfg.APIKey
	if c.cfg.Token != nil {
		if token, err = c.cfg.Token(ctx); err != nil {
			return nil, tokenError{fmt.Errorf("get a token: %w", err)}
		}
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

// pathTo joins the parts of a path: names from the API, and IDs, which are escaped.
func pathTo(parts ...string) string {
	escaped := slices.Clone(parts)
	for i, part := range escaped {
		escaped[i] = url.PathEscape(part)
	}
	return "/v1/" + strings.Join(escaped, "/")
}
