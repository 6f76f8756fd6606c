package participantcheck_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// secret is the shared secret of server.
var secret = []byte("a secret of thirty-two bytes, ok")

// server is a correct participant of both kinds, except for its fault.
type server struct {
	fault fault
	// deciding has requests decided one after another. mu guards the maps when a fault has them decided at once.
	deciding, mu sync.Mutex
	available    map[string]int64
	records      map[string]*entry
	seen         map[string]bool
	payments     int
	// together is how many requests arrive at once; looked counts those that have looked for their key, and gate opens when all have.
	together, looked int
	gate             chan struct{}
}

// expect says how many requests arrive at once from now on.
func (s *server) expect(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.together = n
}

// look waits until all requests that arrive at once have looked for their key. It reports whether this one has found it.
func (s *server) look(key string) (found bool) {
	s.mu.Lock()
	if s.looked == 0 {
		s.gate = make(chan struct{})
	}
	_, found = s.records[key]
	gate := s.gate
	if s.looked++; s.looked >= s.together {
		s.looked = 0
		close(gate)
	}
	s.mu.Unlock()
	<-gate
	return found
}

// entry is a reservation or a payment. do and settle are its slots.
type entry struct {
	content        content
	fenced         bool
	do, settle, id string
	lacking        []item
	captureRefused bool
	refunds        map[string]int64
	returns        map[string][]item
	refunded       int64
	refusal        int
}

type item struct {
	SKU       string `json:"sku"`
	Quantity  int64  `json:"quantity,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Available *int64 `json:"available,omitempty"`
}

type content struct {
	OrderID      string `json:"orderId"`
	Lines        []item `json:"lines"`
	Flow         string `json:"flow"`
	Amount       int64  `json:"amount"`
	Currency     string `json:"currency"`
	Method       string `json:"method"`
	PaymentID    string `json:"paymentId"`
	RefundAmount int64  `json:"refundAmount"`
}

type object map[string]any

// newServer starts a server with a fault, or with none.
func newServer(t *testing.T, f fault) string {
	url, _ := startServer(t, f)
	return url
}

func startServer(t *testing.T, f fault) (string, *server) {
	s := &server{fault: f, available: map[string]int64{"tea": 1000}, records: make(map[string]*entry), seen: make(map[string]bool)}
	mux := http.NewServeMux()
	for pattern, operation := range map[string]string{
		"GET /traits": "describe", "GET /reservations/{key}": "findReservation", "PUT /reservations/{key}": "reserve",
		"PUT /reservations/{key}/commit": "commit", "PUT /reservations/{key}/returns/{refund}": "returnGoods", "PUT /reservations/{key}/release": "release",
		"GET /payments/{key}": "findPayment", "PUT /payments/{key}/authorization": "authorize", "PUT /payments/{key}/capture": "capture",
		"PUT /payments/{key}/void": "void", "PUT /payments/{key}/refunds/{refund}": "refund",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, operation) })
	}
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return web.URL, s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request, operation string) {
	raw, err := io.ReadAll(r.Body)
	if err != nil && s.fault != usesHalfABody {
		return
	}
	key, refundKey := r.PathValue("key"), r.PathValue("refund")
	id := operation
	for _, k := range []string{key, refundKey} {
		if k != "" {
			id += "/" + k
		}
	}
	if !s.signed(r.Header, id, raw) {
		reply(w, http.StatusUnauthorized, object{"code": "unauthorized"})
		return
	}
	var c content
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if s.fault == refusesUnknownFields {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(&c); err != nil && r.Method == http.MethodPut && s.fault != usesHalfABody {
		reply(w, http.StatusUnprocessableEntity, object{"code": "invalid", "detail": err.Error()})
		return
	}
	switch s.fault {
	case ignoresCaseOfKeys:
		key = strings.ToLower(key)
	case decodesIDs:
		c.OrderID = strings.ReplaceAll(c.OrderID, "%2F", "/")
	}
	found := s.fault != decidesAtOnce || s.look(key)
	s.deciding.Lock()
	if !found {
		s.mu.Lock()
		delete(s.records, key) // each inserts its own
		s.mu.Unlock()
	}
	status, body := s.decide(operation, key, refundKey, c)
	s.deciding.Unlock()
	if s.fault == recordsNothingForAbandoned && operation == "reserve" && body["result"] == "done" {
		s.recordUnlessAbandoned(r.Context(), key)
	}
	if s.fault == failsAfterTheEffect && (operation == "reserve" || operation == "authorize") {
		status, body = http.StatusInternalServerError, object{}
	}
	if s.fault == plainText {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
		return
	}
	reply(w, status, body)
}

// recordUnlessAbandoned records the key of a reservation only when its client has waited for that.
func (s *server) recordUnlessAbandoned(ctx context.Context, key string) {
	s.mu.Lock()
	e, again := s.records[key], s.seen[key]
	s.seen[key] = true
	if !again {
		delete(s.records, key)
	}
	s.mu.Unlock()
	if again {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
		s.mu.Lock()
		s.records[key] = e
		s.mu.Unlock()
	}
}

func reply(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if status != http.StatusOK {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *server) signed(h http.Header, id string, raw []byte) bool {
	at, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if s.fault == checksNoSignature {
		return true
	}
	if err != nil || s.fault != checksNoTimestamp && time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute || s.fault != comparesNoWebhookID && h.Get("webhook-id") != id {
		return false
	}
	if s.fault == signsParsedJSON && len(raw) > 0 {
		var value any
		_ = json.Unmarshal(raw, &value)
		raw, _ = json.MarshalIndent(value, "", " ")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(raw)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	all := strings.Fields(h.Get("webhook-signature"))
	if s.fault == readsOneSignature && len(all) > 1 {
		all = all[:1]
	}
	for _, one := range all {
		if one == want {
			return true
		}
	}
	return false
}

func problem(status int, code string) (int, object) {
	return status, object{"code": code, "detail": code}
}

// decide decides a request, under the lock.
func (s *server) decide(operation, key, refundKey string, c content) (int, object) {
	settled := func() (int, object) { return problem(http.StatusConflict, "settled") }
	invalid := func() (int, object) { return problem(http.StatusUnprocessableEntity, "invalid") }
	ok := func(body object) (int, object) { return http.StatusOK, body }
	result := func(r string) (int, object) { return ok(object{"result": r}) }
	if operation == "describe" {
		return ok(object{"name": "test", "contract": 1, "provides": []string{"inventory", "payment"}})
	}
	s.mu.Lock()
	e, found := s.records[key]
	s.mu.Unlock()
	if !found {
		e = &entry{content: c, refunds: make(map[string]int64), returns: make(map[string][]item)}
		if strings.HasPrefix(operation, "find") {
			if s.fault == answers404 {
				return problem(http.StatusNotFound, "not_found")
			}
			return ok(object{"state": "absent"})
		}
	}
	if strings.HasPrefix(operation, "find") {
		return ok(s.found(e))
	}
	if operation == "returnGoods" {
		status, code := s.returnGoods(e, refundKey, c)
		if code != "" {
			return problem(status, code)
		}
		return result("done")
	}
	if found && !e.fenced && s.compares(operation) && !e.same(c) {
		return problem(http.StatusConflict, "conflict")
	}
	record := func() { s.mu.Lock(); s.records[key] = e; s.mu.Unlock() }
	switch operation {
	case "reserve":
		return s.reserve(e, record)
	case "authorize":
		return s.authorize(e, c, record)
	case "commit":
		switch {
		case e.do == "" && s.fault != commitsWithoutReservation:
			return invalid()
		case e.do == "refused", e.do == "undone", e.settle == "undone" && s.fault != commitsAfterRelease:
			return settled()
		}
		e.settle = "done"
		record()
		return result("done")
	case "capture":
		switch {
		case e.captureRefused:
			return ok(object{"result": "refused", "reason": "capture_declined"})
		case e.do == "undone", e.settle == "undone" && s.fault != capturesAfterVoid:
			return settled()
		case e.do != "authorized":
			return invalid()
		case c.Method == "tok_capture_refused":
			e.captureRefused = true
			return ok(object{"result": "refused", "reason": "capture_declined"})
		}
		e.settle = "done"
		return ok(object{"result": "done", "paymentId": e.id})
	case "release", "void":
		return s.undo(operation, e, key, found, record)
	}
	// refund
	before, again := e.refunds[refundKey]
	if s.fault == ignoresRefundKeys {
		again = false
	}
	switch {
	case again && before != c.RefundAmount && s.fault != comparesNoRefundAmount:
		return problem(http.StatusConflict, "conflict")
	case again:
	case e.settle != "done", s.fault != refundsTooMuch && c.RefundAmount > e.content.Amount-e.refunded:
		return invalid()
	default:
		e.refunds[refundKey] = c.RefundAmount
		e.refunded += c.RefundAmount
	}
	return ok(object{"result": "done", "paymentId": e.id})
}

// compares reports whether the content of an operation is compared with what is recorded.
func (s *server) compares(operation string) bool {
	return s.fault != comparesNoContent && (s.fault != capturesAnyAmount || operation != "capture")
}

func (e *entry) same(c content) bool {
	if c.PaymentID != "" && c.PaymentID != e.id {
		return false
	}
	a := e.content
	a.PaymentID, c.PaymentID, a.RefundAmount, c.RefundAmount = "", "", 0, 0
	return reflect.DeepEqual(a, c)
}

func (s *server) found(e *entry) object {
	state := e.do
	if e.do == "done" {
		state = "reserved"
	}
	switch {
	case s.fault == looksUpAbsent:
		return object{"state": "absent"}
	case e.do == "undone", e.settle == "undone":
		return object{"state": "undone"}
	case e.settle == "done" && e.content.Method == "":
		state = "committed"
	case e.settle == "done" && e.refunded > 0:
		state = "refunded"
	case e.settle == "done":
		state = "captured"
	case e.captureRefused:
		return object{"state": "capture_refused", "reason": "capture_declined"}
	case e.do == "refused" && e.content.Method != "":
		return object{"state": state, "reason": "card_declined"}
	case e.do == "refused":
		return object{"state": state, "reason": e.lacking[0].Reason, "lines": e.content.Lines}
	}
	if e.content.Method != "" {
		return object{"state": state, "paymentId": e.id}
	}
	return object{"state": state, "lines": e.content.Lines}
}

// take changes what is available by the lines of an entry, that many times.
func (s *server) take(e *entry, times int64) {
	for _, l := range e.content.Lines {
		s.available[l.SKU] -= l.Quantity * times
	}
}

// returnGoods has goods return to the stock; code is that of a problem.
func (s *server) returnGoods(e *entry, key string, c content) (status int, code string) {
	before, again := e.returns[key]
	again = again && s.fault != ignoresReturnKeys
	left := int64(0)
	for _, l := range e.content.Lines {
		left += l.Quantity
	}
	for _, lines := range e.returns {
		left -= lines[0].Quantity
	}
	switch {
	case e.content.OrderID != c.OrderID, again && before[0].Quantity != c.Lines[0].Quantity:
		return http.StatusConflict, "conflict"
	case again:
		return http.StatusOK, ""
	case e.settle != "done", s.fault != returnsTooMuch && c.Lines[0].Quantity > left:
		return http.StatusUnprocessableEntity, "invalid"
	}
	e.returns[key] = c.Lines
	s.available[c.Lines[0].SKU] += c.Lines[0].Quantity
	return http.StatusOK, ""
}

func (s *server) reserve(e *entry, record func()) (int, object) {
	if e.do == "done" && e.settle == "" && s.fault == reservesAgain {
		s.take(e, 1)
	}
	forgotten := e.settle == "undone" && s.fault == reservesAfterRelease || e.do == "refused" && s.fault == decidesRefusalsAgain
	if e.do == "" || forgotten {
		e.do, e.settle, e.lacking = "done", "", nil
		for _, l := range e.content.Lines {
			available, known := s.available[l.SKU]
			if l.Quantity <= available {
				continue
			}
			reason := "out_of_stock"
			if !known {
				reason = "unknown_sku"
			}
			e.do, e.lacking = "refused", append(e.lacking, item{SKU: l.SKU, Reason: reason, Available: &available})
		}
		if e.do == "done" && s.fault != takesNothing {
			s.take(e, 1)
		}
		if e.do == "refused" && len(e.lacking) < len(e.content.Lines) && s.fault == reservesInPart {
			s.take(e, 1)
		}
		if s.fault != forgetsRefusals || e.do == "done" {
			record()
		}
	}
	switch {
	case e.do == "refused":
		return http.StatusOK, object{"result": "refused", "reason": e.lacking[0].Reason, "lines": e.lacking}
	case e.do == "undone", e.settle == "undone":
		return http.StatusOK, object{"result": "undone"}
	}
	return http.StatusOK, object{"result": "done"}
}

func (s *server) authorize(e *entry, c content, record func()) (int, object) {
	if e.do == "" || e.settle == "undone" && s.fault == reservesAfterRelease || e.do == "authorized" && e.settle == "" && s.fault == reservesAgain {
		s.payments++
		e.do, e.settle, e.id = "authorized", "", "pay_"+strconv.Itoa(s.payments)
		switch c.Method {
		case "tok_declined":
			e.do = "refused"
		case "tok_pending":
			e.do = "pending"
		}
		if s.fault != forgetsRefusals || e.do != "refused" {
			record()
		}
	}
	switch {
	case e.do == "refused" && s.fault == changesRefusals:
		e.refusal++
		return http.StatusOK, object{"result": "refused", "reason": "declined_" + strconv.Itoa(e.refusal)}
	case e.do == "refused":
		return http.StatusOK, object{"result": "refused", "reason": "card_declined"}
	case e.do == "undone", e.settle == "undone":
		return http.StatusOK, object{"result": "undone"}
	case e.do == "pending":
		return http.StatusOK, object{"result": "pending", "paymentId": e.id}
	case s.fault == answersWithoutPaymentID:
		return http.StatusOK, object{"result": "done"}
	}
	return http.StatusOK, object{"result": "done", "paymentId": e.id, "captured": e.settle == "done"}
}

func (s *server) undo(operation string, e *entry, key string, found bool, record func()) (int, object) {
	switch {
	case e.settle == "done" && s.fault != releasesAfterCommit:
		return problem(http.StatusConflict, "settled")
	case e.do == "refused" && operation == "void":
		return http.StatusOK, object{"result": "refused", "reason": "card_declined"}
	case e.do == "refused":
	case !found && s.fault == ignoresUndoBeforeDo:
	case !found && s.fault == answers404ToUndo:
		return problem(http.StatusNotFound, "not_found")
	case e.do == "" || e.do == "pending":
		e.do, e.fenced = "undone", !found
		record()
	case e.do != "undone" && (e.settle == "" || s.fault == releasesAgain || e.settle == "done"):
		e.settle = "undone"
		s.take(e, -1)
		if s.fault == deletesReleased {
			maps.DeleteFunc(s.records, func(k string, _ *entry) bool { return k == key })
		}
	}
	return http.StatusOK, object{"result": "undone"}
}
