// Package notification is a message to a customer: what its events mean (notice.go), and the saga that sends it (flow.go).
//
// Sending cannot be compensated or, over SMTP, looked up. So an attempt records its intent before it
// sends, and its outcome afterwards. An intent without an outcome means that the outcome is unknown: such a message is never sent
// again. Only one that was definitely not accepted is retried, until a deadline.
//
// Only the step functions do I/O, read a clock or make random IDs.
package notification

import (
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Kind is what a message is about. Its text is part of streams' names and of the names of templates.
type Kind string

// The kinds.
const (
	Welcome   Kind = "welcome"
	Confirmed Kind = "confirmed"
	Completed Kind = "completed"
	Cancelled Kind = "cancelled"
	Rejected  Kind = "rejected"
	Failed    Kind = "failed"
)

// Kinds are all of them.
var Kinds = []Kind{Welcome, Confirmed, Completed, Cancelled, Rejected, Failed}

// events are the events of an order of which its customer is notified. An order has at most one of each.
var events = map[string]Kind{
	event.OrderConfirmed: Confirmed, event.OrderCompleted: Completed, event.OrderCancelled: Cancelled,
	event.OrderRejected: Rejected, event.OrderFailed: Failed,
}

// EventTypes are the types of events of which customers are notified, in a fixed order.
func EventTypes() []string {
	return []string{event.OrderConfirmed, event.OrderCompleted, event.OrderCancelled, event.OrderRejected, event.OrderFailed}
}

// KindOf returns the kind of message that an event of an order leads to.
func KindOf(eventType string) (Kind, bool) {
	k, ok := events[eventType]
	return k, ok
}

// Slots of the stream. SlotIntent is a prefix of the attempt's number.
const (
	SlotRequest = "request"
	SlotIntent  = "intent/"
	slotEnd     = "end"
)

// outcomeSlot is the slot of the outcome of an attempt.
func outcomeSlot(attempt int) string { return "outcome/" + strconv.Itoa(attempt) }

// eventType is the type of the event of an order that leads to a message of the kind; "" for a welcome.
func (k Kind) eventType() string {
	for _, t := range EventTypes() {
		if events[t] == k {
			return t
		}
	}
	return ""
}

// Subject says what a message is about.
type Subject struct {
	Kind       Kind   `json:"kind"`
	CustomerID string `json:"customerId,omitempty"`
	// OrderID is empty for a welcome.
	OrderID string `json:"orderId,omitempty"`
}

// ID is the message's id: there is one of each kind for each order, and one welcome for each customer.
func (s Subject) ID() string {
	if s.Kind == Welcome {
		return string(s.Kind) + "-" + s.CustomerID
	}
	return string(s.Kind) + "-" + s.OrderID
}

// About is the state of the message before it is requested.
func About(s Subject) State { return State{Saga: saga.Saga{ID: s.ID()}, Subject: s} }

// SubjectOf returns what the message of an id is about; the customer of an order is not known then.
func SubjectOf(id string) (Subject, bool) {
	kind, about, ok := strings.Cut(id, "-")
	for _, k := range Kinds {
		switch {
		case !ok || string(k) != kind || !event.ValidID(about):
		case k == Welcome:
			return Subject{Kind: k, CustomerID: about}, true
		default:
			return Subject{Kind: k, OrderID: about}, true
		}
	}
	return Subject{}, false
}

// Outcome is the outcome of an attempt.
type Outcome string

// The outcomes.
const (
	Sent        Outcome = "sent"
	Refused     Outcome = "refused"
	NotAccepted Outcome = "not_accepted"
	Unknown     Outcome = "unknown"
	// GivenUp is no outcome of an attempt: the message will not be sent.
	GivenUp Outcome = "given_up"
)

// types are the types of the outcomes' events.
var types = map[Outcome]string{
	Sent: event.NoticeSent, Refused: event.NoticeRefused, NotAccepted: event.NoticeNotAccepted, Unknown: event.NoticeUnknown,
}

// outcomes finds an outcome by its event's type.
var outcomes = map[string]Outcome{
	event.NoticeSent: Sent, event.NoticeRefused: Refused, event.NoticeNotAccepted: NotAccepted, event.NoticeUnknown: Unknown,
	event.NoticeGivenUp: GivenUp,
}

// Reasons why a message is given up.
const (
	ReasonDeadline = "deadline"
	ReasonErased   = "erased"
	ReasonTemplate = "template"
)

// Request is the data of notice.requested.
type Request struct {
	NoticeID string `json:"noticeId"`
	Subject
	// Until is the deadline for attempts.
	Until time.Time `json:"until"`
}

// Intent is the data of notice.intended, but for the ID.
type Intent struct {
	Attempt int `json:"attempt"`
	// Token names the attempt that is about to send.
	Token string `json:"token"`
}

// Result is the data of an outcome's event, but for the ID.
type Result struct {
	Attempt int `json:"attempt"`
	// Code is what the mail server answered, its code alone: what it says besides may quote the address.
	Code string `json:"code,omitempty"`
}

// End is the data of notice.given_up, but for the ID.
type End struct {
	Attempts int    `json:"attempts"`
	Reason   string `json:"reason"`
}

// State is the state of a notice's stream, computed by Fold.
type State struct {
	saga.Saga
	// Subject is what the message is about.
	Subject
	RequestedAt time.Time `json:"requestedAt,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	// Attempt is the newest attempt with an intent, Token identifies the attempt, Outcome is its outcome: empty while it is
	// unknown; GivenUp when the message will not be sent.
	Attempt int     `json:"attempt,omitempty"`
	Token   string  `json:"token,omitempty"`
	Outcome Outcome `json:"outcome,omitempty"`
	// EndReason is why it was given up.
	EndReason string `json:"endReason,omitempty"`
}

// Settled reports whether nothing is left to do.
func (s State) Settled() bool { return s.Outcome != "" && s.Outcome != NotAccepted }

// Open reports whether an intent has no outcome.
func (s State) Open() bool { return s.Attempt > 0 && s.Outcome == "" }

// Fold returns the state that records make of s; see saga.Flow.Fold.
func (s State) Fold(records []event.Record) (State, error) { return Flow.Fold(s, records) }

// own folds what only a notice's events say.
func own(s *State, r event.Record) error {
	s.CorrelationID = r.CorrelationID
	switch r.Type {
	case event.NoticeRequested:
		return event.DecodeInto(r.Event, func(d Request) { s.Subject, s.RequestedAt, s.Until = d.Subject, r.Time, d.Until })
	case event.NoticeGivenUp:
		s.Outcome = GivenUp
		return event.DecodeInto(r.Event, func(d End) { s.EndReason = d.Reason })
	case event.NoticeIntended:
		return event.DecodeInto(r.Event, func(d Intent) { s.Attempt, s.Token, s.Outcome = d.Attempt, d.Token, "" })
	}
	if outcome, ok := outcomes[r.Type]; ok {
		s.Outcome = outcome
	}
	return nil
}

// Request makes the event that requests a message.
func (s Subject) Request(correlationID, causationID string, until, at time.Time) event.Entry {
	until = until.UTC().Truncate(event.TimeResolution)
	return event.New(event.NoticeStream(s.ID()), SlotRequest, event.NoticeRequested, s.about(), at, Request{s.ID(), s, until}).
		CausedBy(correlationID, causationID)
}

// about is the id of what the message is about.
func (s Subject) about() string {
	if s.OrderID != "" {
		return s.OrderID
	}
	return s.CustomerID
}
