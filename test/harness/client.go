package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Line is a line of an order.
type Line struct {
	SKU        string `json:"sku"`
	Quantity   int64  `json:"quantity"`
	UnitAmount int64  `json:"unitAmount"`
	// Stocked is false for a line that needs no stock; nil means true.
	Stocked *bool `json:"stocked,omitempty"`
}

// Same reports whether two lines are equal.
func (l Line) Same(other Line) bool {
	stocked := func(l Line) bool { return l.Stocked == nil || *l.Stocked }
	same := stocked(l) == stocked(other)
	l.Stocked, other.Stocked = nil, nil
	return same && l == other
}

// Order is the body of an order, for REST and order.created.
type Order struct {
	// ID is for events only.
	ID         string `json:"orderId,omitempty"`
	CustomerID string `json:"customerId"`
	Currency   string `json:"currency"`
	Lines      []Line `json:"lines"`
	Payment    struct {
		Method string `json:"method"`
	} `json:"payment,omitzero"`
	Fulfillment string            `json:"fulfillment,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// NewOrder makes an order of quantity times sku at 1000 minor units each.
func NewOrder(sku string, quantity int64, method string) Order {
	o := Order{CustomerID: "c-1", Currency: "EUR", Lines: []Line{{SKU: sku, Quantity: quantity, UnitAmount: 1000}}}
	o.Payment.Method = method
	return o
}

// Resource is an order as the API shows it.
type Resource struct {
	ID          string            `json:"id"`
	Status      string            `json:"status"`
	Reason      string            `json:"reason"`
	Version     int64             `json:"version"`
	CustomerID  string            `json:"customerId"`
	Currency    string            `json:"currency"`
	TotalAmount int64             `json:"totalAmount"`
	Lines       []Line            `json:"lines"`
	Metadata    map[string]string `json:"metadata"`
	CreatedAt   time.Time         `json:"createdAt"`
	UpdatedAt   time.Time         `json:"updatedAt"`
	Links       map[string]string `json:"links"`
}

// Item is an event of a timeline.
type Item struct {
	Version int64           `json:"version"`
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Time    time.Time       `json:"time"`
	Data    json.RawMessage `json:"data"`
}

// Stock is the stock of a SKU.
type Stock struct {
	SKU       string `json:"sku"`
	OnHand    int64  `json:"onHand"`
	Reserved  int64  `json:"reserved"`
	Available int64  `json:"available"`
	Version   int64  `json:"version"`
}

// Problem is an RFC 9457 problem.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

// Client talks to the API.
type Client struct {
	URL  string
	HTTP *http.Client
	// Token is an API key or a token, where callers are authenticated.
	Token string
	// Patient makes it repeat a request with its key while the service is unavailable, and wait for the end of an order for longer than one
	// request may: a server or a process that does not respond for some seconds is no failure.
	Patient bool
}

// Response is an answer of the API.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// Tries is how often the request was sent.
	Tries int
}

// Into decodes the body; it fails if the status is not the expected one.
func (r Response) Into(status int, into any) error {
	if r.Status != status {
		return fmt.Errorf("status %d instead of %d: %s", r.Status, status, r.Body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(r.Body, into)
}

const idempotencyKey = "Idempotency-Key"

// keyed adds a key to a POST request without one, so that it can be repeated. An intervention needs none: its attention and action identify it.
func keyed(path string, headers []string) []string {
	if slices.Contains(headers, idempotencyKey) || strings.HasSuffix(path, "/resolutions") {
		return headers
	}
	return append(slices.Clone(headers), idempotencyKey, uuid.NewString())
}

// Do sends a request. A body that is not []byte is marshalled. Headers are pairs.
func (c Client) Do(ctx context.Context, method, path string, body any, headers ...string) (Response, error) {
	var raw []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		raw = b
	default:
		var err error
		if raw, err = json.Marshal(b); err != nil {
			return Response{}, err
		}
	}
	if c.Patient && method == http.MethodPost {
		headers = keyed(path, headers)
	}
	for tries := 1; ; tries++ {
		response, err := c.once(ctx, method, path, raw, headers)
		response.Tries = tries
		if err != nil || !c.Patient || response.Status != http.StatusServiceUnavailable {
			return response, err
		}
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		select {
		case <-time.After(time.Duration(max(seconds, 1)) * time.Second):
		case <-ctx.Done():
			return response, fmt.Errorf("%s %s was answered with %d, %d times: %s: %w", method, path, response.Status, tries, response.Body, ctx.Err())
		}
	}
}

// once sends a request once.
func (c Client) once(ctx context.Context, method, path string, body []byte, headers []string) (Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, reader)
	if err != nil {
		return Response{}, err
	}
	if reader != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return Response{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return Response{Status: response.StatusCode, Header: response.Header, Body: raw}, err
}

// Place places an order and waits up to wait for its end, longer if the client is patient; 0 does not wait.
func (c Client) Place(ctx context.Context, o Order, wait time.Duration, headers ...string) (Resource, error) {
	want := http.StatusAccepted
	if wait > 0 {
		headers, want = append(headers, "Prefer", fmt.Sprintf("wait=%d", int(wait.Seconds()))), http.StatusCreated
	}
	if c.Patient {
		headers = keyed("", headers)
	}
	for {
		var r Resource
		response, err := c.Do(ctx, http.MethodPost, "/v1/orders", o, headers...)
		if err != nil {
			return r, err
		}
		if c.Patient && wait > 0 && response.Status == http.StatusAccepted {
			continue // it has not ended yet
		}
		err = response.Into(want, &r)
		return r, err
	}
}

// Order returns an order.
func (c Client) Order(ctx context.Context, id string) (Resource, error) {
	var r Resource
	response, err := c.Do(ctx, http.MethodGet, "/v1/orders/"+url.PathEscape(id), nil)
	if err != nil {
		return r, err
	}
	err = response.Into(http.StatusOK, &r)
	return r, err
}

// Timeline returns the events of an order.
func (c Client) Timeline(ctx context.Context, id string) ([]Item, error) {
	var list struct {
		Items []Item `json:"items"`
	}
	response, err := c.Do(ctx, http.MethodGet, "/v1/orders/"+url.PathEscape(id)+"/events", nil)
	if err != nil {
		return nil, err
	}
	err = response.Into(http.StatusOK, &list)
	return list.Items, err
}

// Cancel asks to cancel an order.
func (c Client) Cancel(ctx context.Context, id, reason string) (Response, error) {
	return c.Do(ctx, http.MethodPost, "/v1/orders/"+url.PathEscape(id)+"/cancellation", map[string]string{"reason": reason})
}

// Receive adds received stock.
func (c Client) Receive(ctx context.Context, sku string, quantity int64) error {
	response, err := c.Do(ctx, http.MethodPost, "/v1/stock/"+url.PathEscape(sku)+"/receipts", map[string]int64{"quantity": quantity})
	if err != nil {
		return err
	}
	if response.Status/100 != 2 {
		return fmt.Errorf("receive %d of %s: status %d: %s", quantity, sku, response.Status, response.Body)
	}
	return nil
}

// Stock returns the stock of a SKU.
func (c Client) Stock(ctx context.Context, sku string) (Stock, error) {
	var s Stock
	response, err := c.Do(ctx, http.MethodGet, "/v1/stock/"+url.PathEscape(sku), nil)
	if err != nil {
		return s, err
	}
	err = response.Into(http.StatusOK, &s)
	return s, err
}

// AwaitStatus waits until an order has one of the statuses.
func (c Client) AwaitStatus(ctx context.Context, id string, statuses ...string) (last Resource, err error) {
	err = Poll(ctx, 30*time.Millisecond, func() bool {
		r, err := c.Order(ctx, id)
		if err == nil {
			last = r
		}
		return err == nil && slices.Contains(statuses, r.Status)
	})
	if err != nil {
		err = fmt.Errorf("order %s is %q (%s), not %v: %w", id, last.Status, last.Reason, statuses, err)
	}
	return last, err
}

// AwaitEnd waits until an order has ended.
func (c Client) AwaitEnd(ctx context.Context, id string) (Resource, error) {
	return c.AwaitStatus(ctx, id, "completed", "rejected", "cancelled", "failed")
}

// AttentionItem is an order that needs attention.
type AttentionItem struct {
	ID        string            `json:"id"`
	Attention int               `json:"attention"`
	Step      string            `json:"step"`
	Undo      bool              `json:"undo"`
	Error     string            `json:"error"`
	Actions   []string          `json:"actions"`
	Links     map[string]string `json:"links"`
}

// Attention returns the first page of the orders that need attention.
func (c Client) Attention(ctx context.Context) ([]AttentionItem, error) {
	var list struct {
		Items []AttentionItem `json:"items"`
	}
	response, err := c.Do(ctx, http.MethodGet, "/v1/attention?limit=500", nil)
	if err != nil {
		return nil, err
	}
	err = response.Into(http.StatusOK, &list)
	return list.Items, err
}

// AwaitStuck waits until an order needs attention because of a step.
func (c Client) AwaitStuck(ctx context.Context, id, step string) (item AttentionItem, err error) {
	err = Poll(ctx, 50*time.Millisecond, func() bool {
		items, err := c.Attention(ctx)
		i := slices.IndexFunc(items, func(item AttentionItem) bool { return item.ID == id && item.Step == step })
		if err != nil || i < 0 {
			return false
		}
		item = items[i]
		return true
	})
	if err != nil {
		err = fmt.Errorf("order %s does not need attention because of %s: %w", id, step, err)
	}
	return item, err
}

// Decision is an intervention.
type Decision struct {
	Action    string `json:"action"`
	Attention int    `json:"attention,omitempty"`
	By        string `json:"by,omitempty"`
	Note      string `json:"note,omitempty"`
	Reference string `json:"reference,omitempty"`
}

// Resolve sends an intervention for a stuck step of an order.
func (c Client) Resolve(ctx context.Context, id string, d Decision) (Response, error) {
	return c.Do(ctx, http.MethodPost, "/v1/orders/"+url.PathEscape(id)+"/resolutions", d)
}

// Metrics scrapes /metrics: values by name and labels as they are written, and the names of what has a type.
func (c Client) Metrics(ctx context.Context) (values map[string]float64, names map[string]bool, err error) {
	response, err := c.Do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, nil, err
	}
	values, names = make(map[string]float64), make(map[string]bool)
	for line := range strings.Lines(string(response.Body)) {
		line = strings.TrimSpace(line)
		if typed, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(typed, " ")
			names[name] = true
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if values[line[:at]], err = strconv.ParseFloat(line[at+1:], 64); err != nil {
			return nil, nil, fmt.Errorf("metric %s: %w", line, err)
		}
	}
	return values, names, nil
}
