package participantcheck

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"
)

// operation is an operation of the contract. Its path has {} for each key.
type operation struct {
	id, method, path string
	// schema is that of its answer.
	schema string
}

var (
	describe        = operation{"describe", http.MethodGet, "/traits", "Traits"}
	reserve         = operation{"reserve", http.MethodPut, "/reservations/{}", "ReserveResult"}
	findReservation = operation{"findReservation", http.MethodGet, "/reservations/{}", "Reservation"}
	commit          = operation{"commit", http.MethodPut, "/reservations/{}/commit", "DoneResult"}
	release         = operation{"release", http.MethodPut, "/reservations/{}/release", "UndoneResult"}
	returnGoods     = operation{"returnGoods", http.MethodPut, "/reservations/{}/returns/{}", "DoneResult"}
	findPayment     = operation{"findPayment", http.MethodGet, "/payments/{}", "Payment"}
	authorize       = operation{"authorize", http.MethodPut, "/payments/{}/authorization", "AuthorizeResult"}
	capture         = operation{"capture", http.MethodPut, "/payments/{}/capture", "CaptureResult"}
	void            = operation{"void", http.MethodPut, "/payments/{}/void", "VoidResult"}
	refund          = operation{"refund", http.MethodPut, "/payments/{}/refunds/{}", "RefundResult"}
)

// request is a request to a service.
type request struct {
	op   operation
	keys []string
	// body is marshalled, unless it is a string.
	body any
	// special says what is unusual, for reports; the rest is what it is.
	special string
	// forge changes the signed headers.
	forge func(h http.Header)
	// abandoned closes the connection when the request is written, incomplete closes it in the middle of the body.
	abandoned, incomplete bool
}

func (r request) path() string {
	path := r.op.path
	for _, key := range r.keys {
		path = strings.Replace(path, "{}", key, 1)
	}
	return path
}

// id is the webhook-id.
func (r request) id() string { return strings.Join(append([]string{r.op.id}, r.keys...), "/") }

// answer is an answer, and its meaning.
type answer struct {
	Exchange
	// meaning is the result, state or code of an answer of the contract, and unknown for every other one; problem says what is wrong with it.
	meaning, problem string
	body             body
}

// body is a body, as far as rules use it.
type body struct {
	Result    string `json:"result"`
	State     string `json:"state"`
	Code      string `json:"code"`
	Reason    string `json:"reason"`
	PaymentID string `json:"paymentId"`
	Captured  bool   `json:"captured"`
	Lines     []line `json:"lines"`

	Provides []string `json:"provides"`
}

type line struct {
	SKU       string `json:"sku"`
	Quantity  int64  `json:"quantity,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Available *int64 `json:"available,omitempty"`
}

const (
	unknown = "unknown"
	// maxBody is the largest answer that ordersaga reads.
	maxBody = 64 << 10
)

// client sends requests as ordersaga does, and wrong ones.
type client struct {
	url     string
	secret  []byte
	timeout time.Duration
	http    *http.Client
	now     func() time.Time
	schemas *schemas
}

func newClient(url string, secret []byte, timeout time.Duration, transport *http.Transport) (*client, error) {
	schemas, err := loadSchemas()
	if err != nil {
		return nil, err
	}
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport)
	}
	return &client{
		url: url, secret: secret, timeout: timeout, now: time.Now, schemas: schemas,
		http: &http.Client{
			Transport:     transport.Clone(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

var errIncomplete = errors.New("the rest of the body was not sent")

// send sends a request once.
func (c *client) send(ctx context.Context, r request) answer {
	a := answer{Exchange: Exchange{Method: r.op.method, Path: r.path(), Special: r.special}, meaning: unknown}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if r.abandoned {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
	}
	raw, err := r.raw()
	if err != nil {
		a.Error = err.Error()
		return a
	}
	a.Sent = string(raw)
	var content io.Reader = bytes.NewReader(raw)
	if r.incomplete {
		content = io.MultiReader(bytes.NewReader(raw[:len(raw)/2]), errorReader{})
	}
	req, err := http.NewRequestWithContext(ctx, r.op.method, c.url+a.Path, content)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	req.ContentLength = int64(len(raw))
	if raw != nil {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body = nil
	}
	c.sign(req.Header, r.id(), c.now(), raw)
	if r.forge != nil {
		r.forge(req.Header)
	}
	response, err := c.http.Do(req)
	if err != nil {
		a.Error = err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			a.Error = "no answer within " + c.timeout.String()
		}
		return a
	}
	defer response.Body.Close()
	a.Status = response.StatusCode
	came, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	a.Came = string(came)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	c.interpret(&a, r.op, response.Header.Get("Content-Type"), came)
	return a
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errIncomplete }

func (r request) raw() ([]byte, error) {
	switch body := r.body.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(body), nil
	}
	return json.Marshal(r.body)
}

// sign signs a request as Standard Webhooks describe.
func (c *client) sign(h http.Header, id string, at time.Time, body []byte) {
	if c.secret == nil {
		return
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", timestamp)
	h.Set("webhook-signature", signature(c.secret, id, timestamp, body))
}

func signature(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// interpret finds the meaning of an answer.
func (c *client) interpret(a *answer, op operation, contentType string, raw []byte) {
	schema, want := op.schema, "application/json"
	switch a.Status {
	case http.StatusOK:
	case http.StatusConflict:
		schema, want = "ConflictProblem", "application/problem+json"
	case http.StatusUnprocessableEntity:
		schema, want = "InvalidProblem", "application/problem+json"
	default:
		a.problem = "status " + strconv.Itoa(a.Status) + " is no definite answer"
		return
	}
	media, _, _ := mime.ParseMediaType(contentType)
	if media != want {
		a.problem = "Content-Type is " + strconv.Quote(contentType) + ", expected " + want
		return
	}
	if len(raw) > maxBody {
		a.problem = "the body has more than 64 KiB"
		return
	}
	if a.problem = c.schemas.check(schema, raw); a.problem != "" {
		return
	}
	if err := json.Unmarshal(raw, &a.body); err != nil {
		a.problem = err.Error()
		return
	}
	switch {
	case a.Status != http.StatusOK:
		a.meaning = a.body.Code
	case op.schema == "Traits":
		a.meaning = "traits"
	case a.body.State != "":
		a.meaning = a.body.State
	default:
		a.meaning = a.body.Result
	}
}
