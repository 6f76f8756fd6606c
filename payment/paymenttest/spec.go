package paymenttest

import (
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// spec is the specification of one payment, without a provider.
type spec struct {
	// refuses, waits and captureRefused are the behaviour of the payment's method, fences that of the provider.
	refuses, waits, captureRefused bool
	fences                         bool
	declineCode                    string

	asked bool
	// asking is set while the payer is asked; arrived is set if money arrived after the void.
	asking, arrived bool
	// do is empty, authorized, refused, or undone if it was fenced.
	do payment.State
	// settled is empty, captured or undone.
	settled payment.State
	// captureWasRefused is set if a refused capture is recorded.
	captureWasRefused bool
	refunds           map[string]int64
	left              int64
}

// failureCode is the code of notifications that a pending payment failed.
const failureCode = "failed_later"

func newSpec(subject Subject, p payment.Payment) *spec {
	m := subject.Methods
	s := &spec{
		fences:  subject.Fences,
		refuses: p.Method == m.Decline, waits: p.Method == m.Pending, captureRefused: p.Method == m.CaptureRefused,
		declineCode: m.DeclineCode, refunds: make(map[string]int64), left: p.Amount,
	}
	if s.waits {
		s.declineCode = failureCode
	}
	return s
}

func (s *spec) authorize() (payment.State, fault.Code) {
	s.asked = true
	if s.do == "" && !s.waits {
		s.do = payment.Authorized
		if s.refuses {
			s.do = payment.Refused
		}
	}
	switch {
	case s.do == "":
		s.asking = true
		return payment.Pending, ""
	case s.settled != "":
		return s.settled, ""
	}
	return s.do, ""
}

func (s *spec) capture() (payment.State, fault.Code) {
	switch {
	case s.captureWasRefused:
		return payment.CaptureRefused, ""
	case s.do == payment.Undone || s.settled == payment.Undone:
		return "", fault.EffectSettled
	case s.do != payment.Authorized:
		return "", fault.Invalid
	case s.captureRefused:
		s.captureWasRefused = true
		return payment.CaptureRefused, ""
	}
	s.settled = payment.Captured
	return payment.Captured, ""
}

func (s *spec) void() (payment.State, fault.Code) {
	switch {
	case s.settled == payment.Captured:
		return "", fault.EffectSettled
	case s.do == payment.Refused:
		return payment.Refused, ""
	case s.do == payment.Authorized:
		s.settled = payment.Undone
	default:
		s.do = payment.Undone
	}
	return payment.Undone, ""
}

func (s *spec) refund(key string, amount int64) (payment.State, fault.Code) {
	before, again := s.refunds[key]
	switch {
	case again && before != amount:
		return "", fault.Conflict
	case again:
	case s.settled != payment.Captured && !s.arrived || amount > s.left:
		return "", fault.Invalid
	default:
		s.refunds[key] = amount
		s.left -= amount
	}
	return payment.Refunded, ""
}

// settle is a payment notification.
func (s *spec) settle(succeeded bool) {
	if succeeded && s.asking && s.do == payment.Undone && !s.fences {
		s.arrived = true
	}
	if s.waits && s.asked && s.do == "" {
		s.do = payment.Refused
		if succeeded {
			s.do = payment.Authorized
		}
	}
}

// toGiveBack is the arrived money that a lookup returns.
func (s *spec) toGiveBack() int64 {
	if s.arrived {
		return s.left
	}
	return 0
}

func (s *spec) lookup() payment.State {
	switch {
	case s.settled == payment.Captured && len(s.refunds) > 0:
		return payment.Refunded
	case s.settled != "":
		return s.settled
	case s.captureWasRefused:
		return payment.CaptureRefused
	case s.do != "":
		return s.do
	case s.asked && s.waits:
		return payment.Pending
	}
	return payment.Absent
}
