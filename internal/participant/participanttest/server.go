package participanttest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Server is an inventory and a payment service.
type Server struct {
	payments *Payments
	stock    *Stock
	verifier *standardwebhooks.Webhook
	mux      *http.ServeMux
}

// New returns a server of both services; either may be nil. A secret has signatures verified.
func New(payments *Payments, stock *Stock, secret string) (*Server, error) {
	s := &Server{payments: payments, stock: stock, mux: http.NewServeMux()}
	if secret != "" {
		var err error
		if s.verifier, err = standardwebhooks.NewWebhook(secret); err != nil {
			return nil, err
		}
	}
	s.handle("GET /traits", "describe", s.describe)
	if stock != nil {
		s.handle("PUT /reservations/{key}", "reserve", stock.reserve)
		s.handle("GET /reservations/{key}", "findReservation", stock.find)
		s.handle("PUT /reservations/{key}/commit", "commit", stock.commit)
		s.handle("PUT /reservations/{key}/release", "release", stock.release)
		s.handle("PUT /reservations/{key}/returns/{refund}", "returnGoods", stock.returnGoods)
	}
	if payments != nil {
		s.handle("GET /payments/{key}", "findPayment", payments.find)
		s.handle("PUT /payments/{key}/authorization", "authorize", payments.authorize)
		s.handle("PUT /payments/{key}/capture", "capture", payments.capture)
		s.handle("PUT /payments/{key}/void", "void", payments.void)
		s.handle("PUT /payments/{key}/refunds/{refund}", "refund", payments.refund)
	}
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// call is a request that was verified. refund is the key of a refund, or of a return.
type call struct {
	*http.Request
	key, refund string
	body        []byte
}

// read decodes the body.
func (c call) read(into any) error {
	if err := json.Unmarshal(c.body, into); err != nil {
		return fault.Wrap(err, fault.Malformed, "read the body")
	}
	return nil
}

// maxBody bounds requests.
const maxBody = 1 << 20

func (s *Server) handle(pattern, operation string, serve func(call) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			writeProblem(w, http.StatusBadRequest, "", err.Error())
			return
		}
		c := call{r, r.PathValue("key"), r.PathValue("refund"), body}
		if s.verifier != nil {
			id := operation
			for _, key := range []string{c.key, c.refund} {
				if key != "" {
					id += "/" + key
				}
			}
			// The signature says that the sender has the secret, the ID that it was meant for this operation and these keys.
			if s.verifier.Verify(body, r.Header) != nil || r.Header.Get(standardwebhooks.HeaderWebhookID) != id {
				writeProblem(w, http.StatusUnauthorized, "", "the signature is wrong")
				return
			}
		}
		answer, err := serve(c)
		if err != nil {
			status, code := statusOf(err)
			writeProblem(w, status, code, err.Error())
			return
		}
		write(w, http.StatusOK, "application/json", answer)
	})
}

// statusOf is how the contract says an error.
func statusOf(err error) (status int, code string) {
	switch {
	case errors.Is(err, fault.EffectSettled):
		return http.StatusConflict, "settled"
	case errors.Is(err, fault.Conflict):
		return http.StatusConflict, "conflict"
	case errors.Is(err, fault.StockInsufficient):
		return http.StatusConflict, "insufficient"
	case errors.Is(err, fault.Invalid):
		return http.StatusUnprocessableEntity, "invalid"
	case errors.Is(err, fault.Malformed):
		return http.StatusBadRequest, "malformed"
	}
	return http.StatusServiceUnavailable, "unavailable"
}

func writeProblem(w http.ResponseWriter, status int, code, detail string) {
	write(w, status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
}

func write(w http.ResponseWriter, status int, contentType string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func (s *Server) describe(call) (any, error) {
	traits := map[string]any{"name": "reference", "contract": 1}
	var provides []string
	if s.stock != nil {
		provides = append(provides, "inventory")
	}
	if s.payments != nil {
		provides = append(provides, "payment")
		traits["authorizationLifetimeSeconds"] = int64(s.payments.gateway.Traits().AuthorizationLifetime.Seconds())
	}
	traits["provides"] = provides
	return traits, nil
}
