package participanttest

import (
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// Payments are the payments of a payment service. A gateway has their books.
type Payments struct {
	gateway payment.Gateway
	known   *journal[payment.Payment]
}

// NewPayments returns the payments of a gateway, which must outlive the process if they are to. The journal is the path of a file; without
// one they are kept in memory.
func NewPayments(gateway payment.Gateway, path string) (*Payments, error) {
	known, err := openJournal[payment.Payment](path)
	return &Payments{gateway, known}, err
}

// paymentRequest is the body of a request.
type paymentRequest struct {
	payment.Payment
	RefundAmount int64 `json:"refundAmount"`
}

// payment reads the payment of a request, which is that of the first request with the key.
func (p *Payments) payment(c call) (paymentRequest, error) {
	var r paymentRequest
	if err := c.read(&r); err != nil {
		return r, err
	}
	content := r.Payment
	content.ID = ""
	p.known.mu.Lock()
	defer p.known.mu.Unlock()
	known, there := p.known.last[c.key]
	switch {
	case !there:
		return r, p.known.put(c.key, content)
	case known != content:
		return r, fault.New(fault.Conflict, "the key was already used for a different payment")
	}
	return r, nil
}

// paymentBody is the body of an answer.
type paymentBody struct {
	Result       string `json:"result,omitempty"`
	State        string `json:"state,omitempty"`
	PaymentID    string `json:"paymentId,omitempty"`
	Reason       string `json:"reason,omitempty"`
	Asynchronous bool   `json:"asynchronous,omitempty"`
	Captured     bool   `json:"captured,omitempty"`
	Arrived      int64  `json:"arrived,omitempty"`
}

var results = map[payment.State]string{
	payment.Authorized: "done", payment.Captured: "done", payment.Refunded: "done",
	payment.Refused: "refused", payment.CaptureRefused: "refused", payment.RefundRefused: "refused", payment.Undone: "undone", payment.Pending: "pending",
}

func answered(r payment.Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return paymentBody{Result: results[r.State], PaymentID: r.PaymentID, Reason: r.Code, Asynchronous: r.Asynchronous}, nil
}

func (p *Payments) authorize(c call) (any, error) {
	r, err := p.payment(c)
	if err != nil {
		return nil, err
	}
	result, err := p.gateway.Authorize(c.Context(), c.key, r.Payment)
	if err != nil {
		return nil, err
	}
	return paymentBody{
		Result: results[result.State], PaymentID: result.PaymentID, Reason: result.Code, Asynchronous: result.Asynchronous,
		Captured: result.State == payment.Captured,
	}, nil
}

func (p *Payments) capture(c call) (any, error) {
	r, err := p.payment(c)
	if err != nil {
		return nil, err
	}
	return answered(p.gateway.Capture(c.Context(), c.key, r.Payment))
}

func (p *Payments) void(c call) (any, error) {
	r, err := p.payment(c)
	if err != nil {
		return nil, err
	}
	return answered(p.gateway.Void(c.Context(), c.key, r.Payment))
}

func (p *Payments) refund(c call) (any, error) {
	r, err := p.payment(c)
	if err != nil {
		return nil, err
	}
	return answered(p.gateway.Refund(c.Context(), c.refund, r.Payment, r.RefundAmount))
}

func (p *Payments) find(c call) (any, error) {
	p.known.mu.Lock()
	known, there := p.known.last[c.key]
	p.known.mu.Unlock()
	if !there {
		return paymentBody{State: string(payment.Absent)}, nil
	}
	r, err := p.gateway.Lookup(c.Context(), known)
	if err != nil {
		return nil, err
	}
	return paymentBody{
		State: string(r.State), PaymentID: r.PaymentID, Reason: r.Code, Asynchronous: r.Asynchronous, Arrived: r.Arrived,
	}, nil
}
