// Package stripefake is a server that behaves as Stripe documents: PaymentIntents with manual capture, refunds, idempotency keys, search.
// Stripe itself is not called, so it proves the adapter against the documentation, not against Stripe. It has switches for faults.
//
// It imports only the standard library, and nothing of the adapter. Only tests may import it.
package stripefake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Payment methods that the server knows. Every other one is refused as unknown.
const (
	Approve        = "pm_card_visa"
	Decline        = "pm_card_chargeDeclinedInsufficientFunds"
	Action         = "pm_card_threeDSecure2Required"
	CaptureRefused = "pm_card_capture_refused"
	// Timeout is authorized, and the answer has status 500.
	Timeout = "pm_card_timeout"
	// CaptureStuck, VoidStuck and RefundStuck are authorized; that request is always answered with status 429.
	CaptureStuck = "pm_card_capture_stuck"
	VoidStuck    = "pm_card_void_stuck"
	RefundStuck  = "pm_card_refund_stuck"
	// RefundRefused is authorized, and its refunds fail.
	RefundRefused = "pm_card_refund_refused"
)

// DeclineCode is the code with which Decline is refused.
const DeclineCode = "insufficient_funds"

// stuck are the methods whose request of this operation is never processed.
var stuck = map[string]string{"capture": CaptureStuck, "cancel": VoidStuck, "refund": RefundStuck}

// statuses of a PaymentIntent.
const (
	needsMethod  = "requires_payment_method"
	needsAction  = "requires_action"
	needsCapture = "requires_capture"
	succeeded    = "succeeded"
	canceled     = "canceled"
)

// keyLifetime is how long idempotency keys are kept.
const keyLifetime = 24 * time.Hour

// Intent is a PaymentIntent in the form of the API.
type Intent struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"`
	Amount       int64             `json:"amount"`
	Capturable   int64             `json:"amount_capturable"`
	Received     int64             `json:"amount_received"`
	Reason       *string           `json:"cancellation_reason"`
	Capture      string            `json:"capture_method"`
	ClientSecret string            `json:"client_secret"`
	Created      int64             `json:"created"`
	Currency     string            `json:"currency"`
	Error        *Error            `json:"last_payment_error"`
	Charge       *Charge           `json:"latest_charge"`
	Metadata     map[string]string `json:"metadata"`
	Method       *string           `json:"payment_method"`
	Status       string            `json:"status"`
}

// Charge is a charge; only the fields that the adapter reads.
type Charge struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Refunded int64  `json:"amount_refunded"`
}

// Refund is a refund.
type Refund struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Amount   int64             `json:"amount"`
	Currency string            `json:"currency"`
	Intent   string            `json:"payment_intent"`
	Status   string            `json:"status"`
	Failure  string            `json:"failure_reason,omitempty"`
	Metadata map[string]string `json:"metadata"`
}

// Dispute is a dispute of a payment.
type Dispute struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Intent   string `json:"payment_intent"`
	Reason   string `json:"reason"`
	Status   string `json:"status"`
}

// NewDispute is a dispute of all of a payment, with a status such as needs_response, won or lost. The server does not know of it.
func NewDispute(id string, i Intent, status string) Dispute {
	return Dispute{ID: id, Object: "dispute", Amount: i.Amount, Currency: i.Currency, Intent: i.ID, Reason: "product_not_received", Status: status}
}

// Error is an error of the API.
type Error struct {
	Type    string  `json:"type"`
	Code    string  `json:"code,omitempty"`
	Decline string  `json:"decline_code,omitempty"`
	Message string  `json:"message"`
	Param   string  `json:"param,omitempty"`
	Intent  *Intent `json:"payment_intent,omitempty"`

	status int
}

// Fault is what happens to a request.
type Fault int

// The faults.
const (
	// None is no fault.
	None Fault = iota
	// LoseRequest closes the connection before the request is processed.
	LoseRequest
	// LoseAnswer closes the connection after it.
	LoseAnswer
	// FailBefore answers with status 500 without an effect, and FailAfter with one. The answer is kept under the idempotency key.
	FailBefore
	FailAfter
)

// Server is the server. Use New to create it.
type Server struct {
	*httptest.Server
	// Disturb, if set, says what happens to a request: operation is create, confirm, capture, cancel, update, refund, retrieve, list or search. It may block.
	Disturb func(operation string, r *http.Request) Fault
	// Clock is the server's time. Required for keys that expire; default: time.Now.
	Clock func() time.Time

	mu      sync.Mutex
	serial  int
	intents map[string]*Intent
	refunds []*Refund
	kept    map[string]*answer
	// unsearchable has searches find nothing.
	unsearchable bool
	calls        map[string]int
	// refundStatus is the status of new refunds.
	refundStatus string
}

// answer is what is kept under an idempotency key.
type answer struct {
	request string
	at      time.Time
	status  int
	body    []byte
}

// New starts a server on loopback. Close it.
func New() *Server {
	s := &Server{
		intents: map[string]*Intent{}, kept: map[string]*answer{}, calls: map[string]int{}, Clock: time.Now, refundStatus: succeeded,
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// SetSearchable says whether searches find anything.
func (s *Server) SetSearchable(yes bool) { s.locked(func() { s.unsearchable = !yes }) }

// SetRefundStatus sets the status of new refunds: succeeded, pending or failed.
func (s *Server) SetRefundStatus(status string) { s.locked(func() { s.refundStatus = status }) }

// FailRefund has a refund fail after it had succeeded, and returns it.
func (s *Server) FailRefund(id string) (failed Refund) {
	s.locked(func() {
		for _, r := range s.refunds {
			if r.ID == id && r.Status == succeeded {
				r.Status, r.Failure = "failed", "lost_or_stolen_card"
				s.intents[r.Intent].Charge.Refunded -= r.Amount
				failed = *r
			}
		}
	})
	return failed
}

// Calls returns how often an operation was processed, repeated answers not counted.
func (s *Server) Calls(operation string) (n int) {
	s.locked(func() { n = s.calls[operation] })
	return n
}

// Intents returns copies of all PaymentIntents in the order of their creation.
func (s *Server) Intents() (all []Intent) {
	s.locked(func() {
		for _, i := range s.intents {
			all = append(all, *i.copy())
		}
	})
	slices.SortFunc(all, func(a, b Intent) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Refunds returns copies of all refunds.
func (s *Server) Refunds() (all []Refund) {
	s.locked(func() {
		for _, r := range s.refunds {
			all = append(all, *r)
		}
	})
	return all
}

// Act is the payer's answer to a required action: the payment succeeds, or is refused with a code. It does nothing, and returns false, if no action
// is required.
func (s *Server) Act(id string, ok bool, code string) (acted bool) {
	s.locked(func() {
		i := s.intents[id]
		if i == nil || i.Status != needsAction {
			return
		}
		acted = true
		if ok {
			i.authorize()
			return
		}
		i.Status, i.Error = needsMethod, &Error{Type: "card_error", Code: code, Message: "The payer did not authenticate."}
	})
	return acted
}

// Expire cancels an authorization that was not captured in time, as Stripe does.
func (s *Server) Expire(id string) {
	s.locked(func() { s.intents[id].cancel("automatic") })
}

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (i *Intent) copy() *Intent {
	c := *i
	c.Metadata = maps.Clone(i.Metadata)
	if i.Charge != nil {
		charge := *i.Charge
		c.Charge = &charge
	}
	return &c
}

func (i *Intent) authorize() {
	i.Status, i.Capturable, i.Error = needsCapture, i.Amount, nil
	i.Charge = &Charge{ID: "ch_" + i.ID, Object: "charge"}
}

func (i *Intent) cancel(reason string) {
	i.Status, i.Capturable, i.Reason = canceled, 0, &reason
}

// operationOf names the operation of a request.
func operationOf(r *http.Request) (operation, id string) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	post := r.Method == http.MethodPost
	switch {
	case parts[0] == "payment_intents" && len(parts) == 1 && post:
		return "create", ""
	case parts[0] == "payment_intents" && len(parts) == 2 && parts[1] == "search":
		return "search", ""
	case parts[0] == "payment_intents" && len(parts) == 2 && post:
		return "update", parts[1]
	case parts[0] == "payment_intents" && len(parts) == 2:
		return "retrieve", parts[1]
	case parts[0] == "payment_intents" && len(parts) == 3 && post:
		return parts[2], parts[1]
	case parts[0] == "refunds" && len(parts) == 1 && post:
		return "refund", ""
	case parts[0] == "refunds" && len(parts) == 1:
		return "list", ""
	case parts[0] == "refunds" && len(parts) == 2:
		return "retrieve refund", parts[1]
	}
	return "", ""
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	operation, id := operationOf(r)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	disturbed := None
	if s.Disturb != nil {
		disturbed = s.Disturb(operation, r)
	}
	if disturbed == LoseRequest || r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	status, body, replayed := s.answer(operation, id, r, disturbed)
	if disturbed == LoseAnswer {
		panic(http.ErrAbortHandler)
	}
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_fake")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// answer processes a request, or repeats the answer that is kept under its idempotency key.
func (s *Server) answer(operation, id string, r *http.Request, disturbed Fault) (status int, body []byte, replayed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer sk_test_") {
		return failed(&Error{Type: "invalid_request_error", Message: "Invalid API Key provided", status: http.StatusUnauthorized})
	}
	key, form := r.Header.Get("Idempotency-Key"), r.Form
	request := r.URL.Path + "?" + form.Encode()
	if key != "" && r.Method == http.MethodPost {
		if kept := s.kept[key]; kept != nil && s.Clock().Sub(kept.at) < keyLifetime {
			if kept.request != request {
				return failed(&Error{Type: "idempotency_error", Message: "Keys for idempotent requests can only be used with the same parameters", status: http.StatusBadRequest})
			}
			return kept.status, kept.body, true
		}
	}
	s.calls[operation]++
	internal := &Error{Type: "api_error", Message: "An unknown error occurred", status: http.StatusInternalServerError}
	if disturbed == FailBefore {
		status, body, _ = failed(internal)
	} else {
		result, err := s.process(operation, id, form)
		switch {
		case err != nil:
			status, body, _ = failed(err)
		case disturbed == FailAfter, operation == "confirm" && form.Get("payment_method") == Timeout:
			status, body, _ = failed(internal)
		default:
			status = http.StatusOK
			body, _ = json.Marshal(result)
		}
	}
	// Requests that fail their validation are not kept.
	if key != "" && (status < http.StatusBadRequest || status == http.StatusPaymentRequired || status >= http.StatusInternalServerError) {
		s.kept[key] = &answer{request: request, at: s.Clock(), status: status, body: body}
	}
	return status, body, false
}

func failed(e *Error) (int, []byte, bool) {
	body, _ := json.Marshal(map[string]*Error{"error": e})
	return e.status, body, false
}

func invalid(code, param, format string, args ...any) *Error {
	return &Error{Type: "invalid_request_error", Code: code, Param: param, Message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

// Webhook makes an event about an object, and its signature in the header Stripe-Signature: the HMAC-SHA256 of time and body.
func Webhook(id, eventType string, object any, secret string, at time.Time) (body []byte, signature string) {
	body, _ = json.Marshal(map[string]any{
		"id": id, "object": "event", "type": eventType, "created": at.Unix(), "api_version": "2026-10-28", "data": map[string]any{"object": object},
	})
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return body, fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}
