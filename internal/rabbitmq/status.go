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

// State is where a connection stands.
type State string

// States of a connection.
const (
	StateNotStarted State = "not_started"
	// StateConnecting is before the first session, and after the loss of one until the first failure to get another.
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

// Status is what is known about a connection.
type Status struct {
	// Role is what the connection is for: publisher, consumer or keeper.
	Role  string
	State State
	// Since is when it got into that state.
	Since time.Time
	// Session is the number of the newest session, 0 before the first.
	Session uint64
	// LastError is why the last session ended or was not reached, without credentials; it stays when the connection is
	// up again. LastErrorAt is when that was.
	LastError   string
	LastErrorAt time.Time
	// Remedy says what to do about LastError where that is known. It is empty while the connection is up.
	Remedy string
	// Deviations are what exists otherwise than it is declared, as far as that is known.
	Deviations []Deviation
}

// internalErrors is after how many sessions that end one after the other in an internal error of the broker a remedy is
// given: one may be the broker's own way down.
const internalErrors = 3

// remedyInternal is about the one state of RabbitMQ that is known to end like this and not to pass.
const remedyInternal = "RabbitMQ refuses the queues again and again with an internal error. If its log says noproc and " +
	"rabbit_fifo_dlx_sup, it has lost the supervisor of its dead-letter workers: restart that RabbitMQ node; nothing is lost by it"

// remedyAccess is about credentials, which no waiting mends.
const remedyAccess = "RabbitMQ refuses user, password or permissions: see AMQP_URL, and what the user may configure, write and read"

// remedyStalled is about a queue that takes nothing. The broker confirms a message when every queue that it goes to has it.
const remedyStalled = "RabbitMQ takes events and confirms none: some queue that is bound to the exchange takes nothing, whose " +
	"ever it is. Look for queues without a leader or a majority, or that are full; mend that queue, or unbind it"

// errStalled is why a publisher is not ready that is connected.
var errStalled = errors.New("the broker confirms nothing")

// stallAttempts is how many attempts must have timed out, one after the other, until a publisher is stalled.
const stallAttempts = 3

// stall watches whether anything is confirmed at all.
type stall struct {
	mu sync.Mutex
	// unanswered counts the attempts that timed out since the last confirm; began is when the first of them did.
	unanswered int
	began      time.Time
}

// note takes in how an attempt ended.
func (s *stall) note(began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.unanswered = 0
	case errors.Is(err, context.DeadlineExceeded):
		if s.unanswered == 0 {
			s.began = began
		}
		s.unanswered++
	}
}

// since tells since when nothing was confirmed; false when there is no reason to think so.
func (s *stall) since(patience time.Duration) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began, s.unanswered >= stallAttempts && time.Since(s.began) >= patience
}

// remedyOf says what to do about the reason that a session ended, the internals-th internal error in a row.
func remedyOf(err error, internals int) string {
	var deviation deviationError
	if errors.As(err, &deviation) {
		return deviation.Remedy
	}
	var refused *amqp.Error
	if !errors.As(err, &refused) {
		return ""
	}
	switch refused.Code {
	case amqp.AccessRefused, amqp.NotAllowed:
		return remedyAccess
	case amqp.InternalError:
		if internals >= internalErrors {
			return remedyInternal
		}
	}
	return ""
}

// isInternal reports whether the broker gave an internal error as its reason.
func isInternal(err error) bool {
	var refused *amqp.Error
	return errors.As(err, &refused) && refused.Code == amqp.InternalError
}

// scrub takes the broker's URL and its password out of a text. No error that is known has them.
func scrub(text, brokerURL string) string {
	text = strings.ReplaceAll(text, brokerURL, "the broker")
	u, err := url.Parse(brokerURL)
	if err != nil || u.User == nil {
		return text
	}
	if password, ok := u.User.Password(); ok && password != "" {
		text = strings.ReplaceAll(text, password, "***")
	}
	return text
}
