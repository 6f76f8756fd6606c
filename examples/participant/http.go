package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// service is the warehouse and the payment service. One lock has all requests decided one after another.
type service struct {
	secret []byte // nil: requests are not signed

	mu           sync.Mutex
	file         *os.File
	stock        map[string]int64 // without what is reserved or committed
	reservations map[string]reservation
	payments     map[string]payment
}

// object is a JSON object of an answer.
type object map[string]any

// problem is an answer that is not a result: RFC 9457.
type problem struct {
	status       int
	code, detail string
}

func (p problem) Error() string { return p.detail }

func settled(detail string) error  { return problem{http.StatusConflict, "settled", detail} }
func conflict(detail string) error { return problem{http.StatusConflict, "conflict", detail} }
func invalid(detail string) error {
	return problem{http.StatusUnprocessableEntity, "invalid", detail}
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	handle(s, mux, "describe", "GET /traits", func(string, string, struct{}) (object, error) {
		return object{"name": "example", "contract": 1, "provides": []string{"inventory", "payment"}}, nil
	})
	handle(s, mux, "findReservation", "GET /reservations/{key}", s.findReservation)
	handle(s, mux, "reserve", "PUT /reservations/{key}", s.reserve)
	handle(s, mux, "commit", "PUT /reservations/{key}/commit", s.commit)
	handle(s, mux, "release", "PUT /reservations/{key}/release", s.release)
	handle(s, mux, "returnGoods", "PUT /reservations/{key}/returns/{refund}", s.returnGoods)
	handle(s, mux, "findPayment", "GET /payments/{key}", s.findPayment)
	handle(s, mux, "authorize", "PUT /payments/{key}/authorization", s.authorize)
	handle(s, mux, "capture", "PUT /payments/{key}/capture", s.capture)
	handle(s, mux, "void", "PUT /payments/{key}/void", s.void)
	handle(s, mux, "refund", "PUT /payments/{key}/refunds/{refund}", s.refund)
	return mux
}

// handle serves an operation: it checks the signature, reads the body, decides, and answers.
func handle[Body any](s *service, mux *http.ServeMux, operation, pattern string, decide func(key, refund string, body Body) (object, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			return // the request is not complete
		}
		id := operation
		for _, key := range []string{r.PathValue("key"), r.PathValue("refund")} {
			if key != "" {
				id += "/" + key
			}
		}
		if !s.signed(r.Header, id, raw) {
			answer(w, nil, problem{http.StatusUnauthorized, "unauthorized", "the signature is missing, wrong or too old"})
			return
		}
		var body Body
		if r.Method == http.MethodPut {
			if err := json.Unmarshal(raw, &body); err != nil { // ignores unknown fields
				answer(w, nil, invalid(err.Error()))
				return
			}
		}
		s.mu.Lock()
		result, err := decide(r.PathValue("key"), r.PathValue("refund"), body)
		s.mu.Unlock()
		answer(w, result, err)
	})
}

func answer(w http.ResponseWriter, result object, err error) {
	status, contentType := http.StatusOK, "application/json"
	if err != nil {
		// An error without a status is one of the file: nothing is recorded, and ordersaga repeats the request.
		p := problem{http.StatusServiceUnavailable, "unavailable", err.Error()}
		errors.As(err, &p)
		status, contentType = p.status, "application/problem+json"
		result = object{"title": http.StatusText(status), "status": status, "code": p.code, "detail": p.detail}
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(result) // a client that has gone repeats its request
}

// signed verifies a request as Standard Webhooks describe. The ID names the operation and the keys, so that a recorded request is not accepted on
// another path.
func (s *service) signed(h http.Header, id string, body []byte) bool {
	if s.secret == nil {
		return true
	}
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute || h.Get("webhook-id") != id {
		return false
	}
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(id + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for one := range strings.FieldsSeq(h.Get("webhook-signature")) { // two while a secret is replaced
		if hmac.Equal([]byte(one), want) {
			return true
		}
	}
	return false
}

func parseSecret(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	encoded, ok := strings.CutPrefix(text, "whsec_")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) < 24 {
		return nil, errors.New("PARTICIPANT_SECRET: expected whsec_ and the base64 of at least 24 bytes")
	}
	return secret, nil
}

// record is one line of the file.
type record struct {
	Key         string       `json:"key"`
	Reservation *reservation `json:"reservation,omitempty"`
	Payment     *payment     `json:"payment,omitempty"`
}

// open reads the records; the last one of a key counts. Half a line at the end was never answered.
func (s *service) open(name string) error {
	var err error
	if s.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	content, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	for line := range bytes.Lines(content[:whole]) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		s.apply(r)
	}
	return s.file.Truncate(int64(whole))
}

// save writes a record before it counts.
func (s *service) save(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := s.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.apply(r)
	return nil
}

func (s *service) apply(r record) {
	if r.Reservation != nil {
		for _, line := range s.reservations[r.Key].held() {
			s.stock[line.SKU] += line.Quantity
		}
		for _, line := range r.Reservation.held() {
			s.stock[line.SKU] -= line.Quantity
		}
		s.reservations[r.Key] = *r.Reservation
	}
	if r.Payment != nil {
		s.payments[r.Key] = *r.Payment
	}
}
