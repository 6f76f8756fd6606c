package rabbitmq

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// State is the state of a connection.
type State string

// States of a connection.
const (
	StateNotStarted State = "not_started"
	// StateConnecting is before the first session or the first failure to get one.
	StateConnecting State = "connecting"
	StateConnected  State = "connected"
	// StateBlocked is a connection that is up while the broker takes nothing from publishers.
	StateBlocked State = "blocked"
	// StateStalled is a publisher's connection that is up while the broker confirms nothing that goes to the exchange.
	StateStalled State = "stalled"
	// StateDisconnected is between two attempts to connect.
	StateDisconnected State = "disconnected"
	StateStopped      State = "stopped"
)

// Status is what is known about a connection. /readyz shows it.
type Status struct {
	// Role is what the connection is for: publisher, consumer, keeper (of dead letters), or a subscription.
	Role  string `json:"-"`
	State State  `json:"state"`
	// Since is when it got into that state.
	Since time.Time `json:"since"`
	// Session is the number of the newest session, 0 before the first.
	Session uint64 `json:"session"`
	// LastError is why the last session ended or was not reached, without credentials; it stays when the connection is
	// up again. LastErrorAt is when that was.
	LastError   string    `json:"lastError,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	// Remedy says what to do about LastError where that is known. It is empty while the connection is up.
	Remedy string `json:"remedy,omitempty"`
	// Deviations are what exists otherwise than it is declared, as far as that is known.
	Deviations []Deviation `json:"deviations,omitempty"`
}

// maxInternalErrors is how many sessions end one after the other in an internal error of the broker before a remedy is given: one
// of them may only mean that the broker is shutting down.
const maxInternalErrors = 3

// remedyInternal is for the one state of RabbitMQ that is known to cause internal errors and not to pass.
const remedyInternal = "RabbitMQ refuses the queues again and again with an internal error. If its log says noproc and " +
	"rabbit_fifo_dlx_sup, it has lost the supervisor of its dead-letter workers: restart that RabbitMQ node; nothing is lost by it"

// remedyAccess is for refused credentials, which waiting does not mend.
const remedyAccess = "RabbitMQ refuses user, password or permissions: see AMQP_URL, and what the user may configure, write and read"

// remedyStalled is for a queue that takes nothing. The broker confirms a message when every queue that it goes to has it.
const remedyStalled = "RabbitMQ takes events and confirms none: some queue that is bound to the exchange takes nothing, " +
	"which may be another service's. Look for queues without a leader or a majority, or that are full; mend that queue, or unbind it"

// remedyOf says what to do about the error that ended a session. internalErrors is how many internal errors came in a row.
func remedyOf(err error, internalErrors int) string {
	var deviation Deviation
	switch {
	case errors.As(err, &deviation):
		return deviation.Remedy
	case refused(err, amqp.AccessRefused), refused(err, amqp.NotAllowed):
		return remedyAccess
	case internalErrors >= maxInternalErrors:
		return remedyInternal
	}
	return ""
}

// withoutCredentials removes the broker's URL and its password from a text. No error that is known has them.
func withoutCredentials(text, brokerURL string) string {
	text = strings.ReplaceAll(text, brokerURL, "the broker")
	if u, err := url.Parse(brokerURL); err == nil {
		if password, _ := u.User.Password(); password != "" {
			text = strings.ReplaceAll(text, password, "***")
		}
	}
	return text
}

// errStalled is why a publisher that is connected is not ready.
var errStalled = errors.New("the broker confirms nothing")

// stallAttempts is how many attempts in a row must have timed out until a publisher is stalled.
const stallAttempts = 3

// stall watches whether anything is confirmed at all.
type stall struct {
	mu sync.Mutex
	// unanswered counts the attempts that timed out since the last confirm; began is when the first of them did.
	unanswered int
	began      time.Time
}

// note notes how an attempt ended.
func (s *stall) note(began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.unanswered = 0
	case errors.Is(err, context.DeadlineExceeded):
		if s.unanswered++; s.unanswered == 1 {
			s.began = began
		}
	}
}

// since returns since when nothing was confirmed; ok is false while the publisher is not stalled.
func (s *stall) since(patience time.Duration) (began time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began, s.unanswered >= stallAttempts && time.Since(s.began) >= patience
}
