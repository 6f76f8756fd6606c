package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// problem is an error that REST has answered with (RFC 9457).
type problem struct {
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Detail string      `json:"detail"`
	Code   fault.Code  `json:"code"`
	Errors []complaint `json:"errors"`
}

type complaint struct {
	Pointer   string `json:"pointer"`
	Parameter string `json:"parameter"`
	Header    string `json:"header"`
	Detail    string `json:"detail"`
}

func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// Is makes a problem comparable to codes of package fault.
func (p *problem) Is(target error) bool {
	code, ok := target.(fault.Code)
	return ok && code == p.Code
}

// answer is an http.ResponseWriter that keeps what it gets.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(content []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(content)
}

// restRequest makes a request to the API of this process, of the caller of the page.
func (p *request) restRequest(method, target string, body any) (*http.Request, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(p.r.Context(), method, target, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("make a request to %s: %w", target, err)
	}
	r.Host, r.RemoteAddr, r.TLS = p.r.Host, p.r.RemoteAddr, p.r.TLS
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	r.Header.Set("Accept", "application/json")
	if id := p.w.Header().Get("X-Correlation-Id"); id != "" {
		r.Header.Set("X-Correlation-Id", id)
	}
	return r, nil
}

// call asks the API, and decodes its answer. The error is a *problem when it does not answer with success.
func (p *request) call(r *http.Request, into any) error {
	a := &answer{header: make(http.Header)}
	p.cfg.REST.ServeHTTP(a, r)
	if a.status/100 != 2 {
		found := &problem{Status: a.status, Title: http.StatusText(a.status)}
		_ = json.Unmarshal(a.body.Bytes(), found)
		return found
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(a.body.Bytes(), into)
}

// get reads a resource.
func (p *request) get(target string, into any) error {
	r, err := p.restRequest(http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	return p.call(r, into)
}

// post posts a body. The form's key makes a form that is sent twice one request.
func (p *request) post(target string, body, into any) error {
	r, err := p.restRequest(http.MethodPost, target, body)
	if err != nil {
		return err
	}
	if key := p.r.PostForm.Get("key"); key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	return p.call(r, into)
}

// page is a page of a list.
type page[T any] struct {
	Items      []T              `json:"items"`
	NextCursor string           `json:"nextCursor"`
	Counts     map[string]int64 `json:"counts"`
}

type links struct {
	Saga string `json:"saga"`
}

// sagaItem is a saga of a list.
type sagaItem struct {
	Flow           string    `json:"flow"`
	ID             string    `json:"id"`
	Status         string    `json:"status"`
	Reason         string    `json:"reason"`
	NeedsAttention bool      `json:"needsAttention"`
	Version        int64     `json:"version"`
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
	CorrelationID  string    `json:"correlationId"`
	CustomerID     string    `json:"customerId"`
	Currency       string    `json:"currency"`
	TotalAmount    *int64    `json:"totalAmount"`
	Links          *links    `json:"links"`
}

type attention struct {
	ID        string    `json:"id"`
	Flow      string    `json:"flow"`
	Status    string    `json:"status"`
	Attention int       `json:"attention"`
	Step      string    `json:"step"`
	Parcel    string    `json:"parcelId"`
	Undo      bool      `json:"undo"`
	Error     string    `json:"error"`
	Attempts  int       `json:"attempts"`
	NextTry   time.Time `json:"nextTry"`
	Since     time.Time `json:"since"`
	Actions   []string  `json:"actions"`
}

type sagaStep struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	State     string    `json:"state"`
	Attempts  int       `json:"attempts"`
	StartedAt time.Time `json:"startedAt"`
	EndedAt   time.Time `json:"endedAt"`
	Error     string    `json:"error"`
}

type sagaResource struct {
	sagaItem
	Attention *attention `json:"attention"`
	Steps     []sagaStep `json:"steps"`
}

type orderLine struct {
	Line       int    `json:"line"`
	SKU        string `json:"sku"`
	Quantity   int64  `json:"quantity"`
	UnitAmount int64  `json:"unitAmount"`
	Stocked    bool   `json:"stocked"`
}

type parcel struct {
	ParcelID       string    `json:"parcelId"`
	TrackingNumber string    `json:"trackingNumber"`
	Carrier        string    `json:"carrier"`
	Status         string    `json:"status"`
	DispatchedAt   time.Time `json:"dispatchedAt"`
	DeliveredAt    time.Time `json:"deliveredAt"`
}

type orderResource struct {
	CustomerID  string            `json:"customerId"`
	Currency    string            `json:"currency"`
	TotalAmount int64             `json:"totalAmount"`
	Fulfillment string            `json:"fulfillment"`
	Lines       []orderLine       `json:"lines"`
	Payment     map[string]string `json:"payment"`
	Metadata    map[string]string `json:"metadata"`
	Parcels     []parcel          `json:"parcels"`
}

type timelineEvent struct {
	Version       int64           `json:"version"`
	Type          string          `json:"type"`
	Key           string          `json:"key"`
	ID            string          `json:"id"`
	Source        string          `json:"source"`
	Time          time.Time       `json:"time"`
	CorrelationID string          `json:"correlationId"`
	CausationID   string          `json:"causationId"`
	Data          json.RawMessage `json:"data"`
	Hash          string          `json:"hash"`
	PrevHash      string          `json:"prevHash"`
}

type balance struct {
	SKU       string `json:"sku"`
	OnHand    int64  `json:"onHand"`
	Reserved  int64  `json:"reserved"`
	Available int64  `json:"available"`
	Version   int64  `json:"version"`
	Shortfall int64  `json:"shortfall"`
}

type deadLetter struct {
	ID               string          `json:"id"`
	Status           string          `json:"status"`
	Reason           string          `json:"reason"`
	Detail           string          `json:"detail"`
	Type             string          `json:"type"`
	EventID          string          `json:"eventId"`
	Subject          string          `json:"subject"`
	OriginExchange   string          `json:"originExchange"`
	OriginRoutingKey string          `json:"originRoutingKey"`
	Attempts         int             `json:"attempts"`
	Queue            string          `json:"queue"`
	Replays          int             `json:"replays"`
	Size             int             `json:"size"`
	FailedAt         time.Time       `json:"failedAt"`
	CorrelationID    string          `json:"correlationId"`
	Headers          map[string]any  `json:"headers"`
	Payload          *string         `json:"payload"`
	PayloadEncoding  string          `json:"payloadEncoding"`
	History          []timelineEvent `json:"history"`
}

// Open reports whether the letter waits for a decision.
func (d deadLetter) Open() bool { return d.Status == "open" }

func sagaTarget(flow, id string) string {
	return "/v1/sagas/" + url.PathEscape(flow) + "/" + url.PathEscape(id)
}
