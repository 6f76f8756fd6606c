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
	// StateConnecting lasts until the first session or the first failed attempt.
	StateConnecting State = "connecting"
	StateConnected  State = "connected"
	// StateBlocked is a connection that is up while the broker blocks publishers.
	StateBlocked State = "blocked"
	// StateStalled is a publisher's connection that is up while the broker confirms no events.
	StateStalled State = "stalled"
	// StateDisconnected is the time between two attempts to connect.
	StateDisconnected State = "disconnected"
	StateStopped      State = "stopped"
)

// Status is the status of a connection, as shown by /readyz.
type Status struct {
	// Role is the purpose of the connection: publisher, consumer, dead-letters, or the name of a subscription.
	Role  string `json:"-"`
	State State  `json:"state"`
	// Since is the time when it entered that state.
	Since time.Time `json:"since"`
	// Session is the number of the newest session, 0 before the first.
	Session uint64 `json:"session"`
	// LastError is why the last session ended or could not be established, without credentials; it remains after a reconnect.
	// LastErrorAt is its time.
	LastError   string    `json:"lastError,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	// Remedy is what to do about LastError, if that is known. It is empty while the connection is up.
	Remedy string `json:"remedy,omitempty"`
	// Deviations are the known differences from the declared topology.
	Deviations []Deviation `json:"deviations,omitempty"`
}

// maxInternalErrors is the number of consecutive sessions that must end with an internal error of the broker before a remedy is shown: a
// single one may only mean that the broker is shutting down.
const maxInternalErrors = 3

// remedyInternal is for the one known permanent state of RabbitMQ that causes internal errors.
const remedyInternal = "RabbitMQ repeatedly refuses the queues with an internal error. If its log contains noproc and " +
	"rabbit_fifo_dlx_sup, it has lost the supervisor of its dead-letter workers: restart that RabbitMQ node; no messages are lost"

// remedyAccess is for refused credentials; waiting does not help.
const remedyAccess = "RabbitMQ refuses user, password or permissions: check AMQP_URL and the user's configure, write and read permissions"

// remedyStalled is for a queue that accepts nothing. The broker confirms a message when every queue that it is routed to has it.
const remedyStalled = "RabbitMQ accepts events but confirms none: a queue that is bound to the exchange, perhaps another service's, accepts nothing. " +
	"Look for queues that are full or have no leader or majority; repair or unbind that queue"

// remedyOf returns what to do about the error that ended a session. internalErrors is the number of consecutive internal errors.
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

// withoutCredentials removes the URL of the broker and its password from a text. No known error contains them.
func withoutCredentials(text, brokerURL string) string {
	text = strings.ReplaceAll(text, brokerURL, "the broker")
	if u, err := url.Parse(brokerURL); err == nil {
		if password, _ := u.User.Password(); password != "" {
			text = strings.ReplaceAll(text, password, "***")
		}
	}
	return text
}

// errStalled is the reason why a connected publisher is not ready.
var errStalled = errors.New("the broker confirms nothing")

// stallAttempts is the number of consecutive timeouts after which a publisher is stalled.
const stallAttempts = 3

// stall detects that the broker confirms nothing.
type stall struct {
	mu sync.Mutex
	// unanswered counts the timeouts since the last confirmation; began is the start of the first of these attempts.
	unanswered int
	began      time.Time
}

// record records the result of an attempt.
func (s *stall) record(began time.Time, err error) {
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

// since returns the time since which nothing was confirmed; ok is false if the publisher is not stalled.
func (s *stall) since(timeout time.Duration) (began time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began, s.unanswered >= stallAttempts && time.Since(s.began) >= timeout
}
