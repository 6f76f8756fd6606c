package deadletter

import (
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Slots of a letter's stream. Slots of replays and discards have a number.
const (
	slotReceive  = "receive"
	slotRetry    = "retry"
	slotRetryEnd = "retry/end"
	slotReplay   = "replay/"
	slotSent     = "/sent"
	slotDiscard  = "discard/"
)

// ReasonInterrupted is the reason of a retry whose process ended.
const ReasonInterrupted fault.Code = "interrupted"

// ReceivedData is the data of dead.received.
type ReceivedData struct {
	LetterID    string     `json:"letterId"`
	Reason      fault.Code `json:"reason"`
	PayloadHash string     `json:"payloadHash"`
	Size        int        `json:"size"`
	ReplayOf    string     `json:"replayOf,omitempty"`
	Replays     int        `json:"replays"`
	// Type and Subject of the event, if they are a type of the catalog and a valid ID. Checks use them to find letters with facts
	// about an order.
	Type    string `json:"type,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// RetryData is the data of dead.retry_begun, dead.retried and dead.retry_failed.
type RetryData struct {
	LetterID string `json:"letterId"`
	// AttemptID identifies the receiver that makes the attempt.
	AttemptID   string     `json:"attemptId,omitempty"`
	PayloadHash string     `json:"payloadHash"`
	Reason      fault.Code `json:"reason,omitempty"`
}

// ReplayData is the data of dead.replay_requested and dead.replayed.
type ReplayData struct {
	LetterID  string `json:"letterId"`
	Replay    int    `json:"replay"`
	RequestID string `json:"requestId,omitempty"`
	// PayloadHash is the hash of the letter's body in a request, and of the sent body in dead.replayed.
	PayloadHash     string `json:"payloadHash"`
	ReplacementHash string `json:"replacementHash,omitempty"`
	Force           bool   `json:"force,omitempty"`
	By              string `json:"by,omitempty"`
	Note            string `json:"note,omitempty"`
}

// DiscardData is the data of dead.discarded.
type DiscardData struct {
	LetterID    string `json:"letterId"`
	RequestID   string `json:"requestId"`
	PayloadHash string `json:"payloadHash"`
	By          string `json:"by,omitempty"`
	Note        string `json:"note"`
}

// entry returns the next event of a letter. Times in a stream never decrease, even if clocks differ.
func (s *Service) entry(l Letter, state State, slot, eventType string, data any) *event.Entry {
	at := s.cfg.Clock()
	if at.Before(state.UpdatedAt) {
		at = state.UpdatedAt
	}
	e := event.New(event.DeadStream(l.ID), slot, eventType, l.ID, at, data).CausedBy(l.CorrelationID, l.EventID)
	return &e
}
