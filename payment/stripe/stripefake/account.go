package stripefake

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// process is called with the lock.
func (s *Server) process(operation, id string, form url.Values) (any, *Error) {
	if i := s.intents[cmp.Or(id, form.Get("payment_intent"))]; i != nil && i.Method != nil && *i.Method == stuck[operation] {
		return nil, &Error{Type: "invalid_request_error", Code: "rate_limit", Message: "Too many requests", status: http.StatusTooManyRequests}
	}
	switch operation {
	case "create":
		return s.create(form)
	case "search":
		return s.search(form.Get("query")), nil
	case "refund":
		return s.refund(form)
	case "list":
		var data []*Refund
		for _, r := range s.refunds {
			if r.Intent == form.Get("payment_intent") {
				data = append(data, r)
			}
		}
		return map[string]any{"object": "list", "data": data, "has_more": false}, nil
	case "retrieve refund":
		for _, r := range s.refunds {
			if r.ID == id {
				return r, nil
			}
		}
	}
	i := s.intents[id]
	if i == nil {
		e := invalid("resource_missing", "intent", "No such %s: '%s'", operation, id)
		e.status = http.StatusNotFound
		return nil, e
	}
	err := i.move(operation, form)
	return i, err
}

// move changes a PaymentIntent.
func (i *Intent) move(operation string, form url.Values) *Error {
	wrong := func() *Error {
		e := invalid("payment_intent_unexpected_state", "", "This PaymentIntent's status is %s", i.Status)
		e.Intent = i.copy()
		return e
	}
	switch operation {
	case "retrieve":
	case "update":
		for name, value := range metadataOf(form) {
			i.Metadata[name] = value
		}
		i.Error = nil
	case "confirm":
		if i.Status != needsMethod && i.Status != "requires_confirmation" {
			return wrong()
		}
		return i.confirm(form.Get("payment_method"))
	case "capture":
		switch {
		case i.Status != needsCapture:
			return wrong()
		case *i.Method == CaptureRefused:
			return &Error{Type: "card_error", Code: "card_declined", Decline: "do_not_honor", Message: "The capture was declined", Intent: i.copy(), status: http.StatusPaymentRequired}
		}
		i.Status, i.Capturable, i.Received = succeeded, 0, i.Amount
	case "cancel":
		if i.Status == succeeded || i.Status == canceled {
			return wrong()
		}
		i.cancel(form.Get("cancellation_reason"))
	default:
		return invalid("", "", "Unrecognized request: %s", operation)
	}
	return nil
}

func (i *Intent) confirm(method string) *Error {
	switch method {
	case Approve, CaptureRefused, Timeout, CaptureStuck, VoidStuck, RefundStuck, RefundRefused:
		i.Method = &method
		i.authorize()
	case Action:
		i.Method, i.Status = &method, needsAction
	case Decline:
		e := Error{Type: "card_error", Code: "card_declined", Decline: DeclineCode, Message: "Your card has insufficient funds.", status: http.StatusPaymentRequired}
		i.Status, i.Error = needsMethod, &e
		withIntent := e
		withIntent.Intent = i.copy()
		return &withIntent
	default:
		return invalid("resource_missing", "payment_method", "No such PaymentMethod: '%s'", method)
	}
	return nil
}

func (s *Server) create(form url.Values) (any, *Error) {
	amount, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	if err != nil || amount < 1 {
		return nil, invalid("parameter_invalid_integer", "amount", "Invalid positive integer")
	}
	if amount > 99999999 {
		return nil, invalid("amount_too_large", "amount", "Amount must be no more than 999,999.99")
	}
	s.serial++
	id := fmt.Sprintf("pi_%09d", s.serial)
	i := &Intent{
		ID: id, Object: "payment_intent", Amount: amount, Capture: form.Get("capture_method"), ClientSecret: id + "_secret_fake", Created: s.Clock().Unix(),
		Currency: form.Get("currency"), Metadata: metadataOf(form), Status: needsMethod,
	}
	s.intents[id] = i
	return i, nil
}

func (s *Server) search(query string) any {
	name, value, _ := strings.Cut(strings.TrimPrefix(query, "metadata['"), "']:'")
	var data []*Intent
	for _, i := range s.intents {
		if !s.unsearchable && i.Metadata[name] == strings.TrimSuffix(value, "'") {
			data = append(data, i)
		}
	}
	return map[string]any{"object": "search_result", "data": data, "has_more": false}
}

func (s *Server) refund(form url.Values) (any, *Error) {
	i := s.intents[form.Get("payment_intent")]
	amount, _ := strconv.ParseInt(form.Get("amount"), 10, 64)
	switch {
	case i == nil || i.Status != succeeded:
		return nil, invalid("", "payment_intent", "This PaymentIntent does not have a successful charge to refund.")
	case amount < 1 || amount > i.Received-i.Charge.Refunded:
		return nil, invalid("", "amount", "Refund amount is greater than unrefunded amount on charge")
	}
	s.serial++
	r := &Refund{
		ID: fmt.Sprintf("re_%09d", s.serial), Object: "refund", Amount: amount, Currency: i.Currency, Intent: i.ID, Status: s.refundStatus, Metadata: metadataOf(form),
	}
	if *i.Method == RefundRefused {
		r.Status = "failed"
	}
	if r.Status == "failed" {
		r.Failure = "lost_or_stolen_card"
	} else {
		i.Charge.Refunded += amount
	}
	s.refunds = append(s.refunds, r)
	return r, nil
}

// metadataOf reads metadata[name]=value.
func metadataOf(form url.Values) map[string]string {
	m := map[string]string{}
	for name := range form {
		if inner, ok := strings.CutPrefix(name, "metadata["); ok && form.Get(name) != "" {
			m[strings.TrimSuffix(inner, "]")] = form.Get(name)
		}
	}
	return m
}
