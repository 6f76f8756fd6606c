package deadletter

import (
	"cmp"
	"strconv"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Slots of a letter's stream. Replays and discards add their number.
const (
	slotReceive  = "receive"
	slotRetry    = "retry"
	slotRetryEnd = "retry/end"
	slotReplay   = "replay/"
	slotSent     = "/sent"
	slotDiscard  = "discard/"
)

// ReasonInterrupted is the reason of a retry whose process ended meanwhile.
const ReasonInterrupted fault.Code = "interrupted"

// ReceivedData is the data of dead.received.
type ReceivedData struct {
	LetterID    string     `json:"letterId"`
	Reason      fault.Code `json:"reason"`
	PayloadHash string     `json:"payloadHash"`
	Size        int        `json:"size"`
	ReplayOf    string     `json:"replayOf,omitempty"`
	Replays     int        `json:"replays"`
	// Type and Subject are the event's, where they are a type of the catalog and an id: a check finds letters that hold a fact
	// about an order.
	Type    string `json:"type,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// RetryData is the data of dead.retry_begun, dead.retried and dead.retry_failed.
type RetryData struct {
	LetterID string `json:"letterId"`
	// AttemptID is the keeper's that begins.
	AttemptID   string     `json:"attemptId,omitempty"`
	PayloadHash string     `json:"payloadHash"`
	Reason      fault.Code `json:"reason,omitempty"`
}

// ReplayData is the data of dead.replay_requested and dead.replayed.
type ReplayData struct {
	LetterID  string `json:"letterId"`
	Replay    int    `json:"replay"`
	RequestID string `json:"requestId,omitempty"`
	// PayloadHash is the letter's own payload's when a replay is asked for, and what was sent when it was.
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

// entry makes the event that follows the state. Times never go back in a stream, whatever the clocks say.
func (l Letter) entry(s State, slot, eventType string, at time.Time, data any) *event.Entry {
	if at.Before(s.UpdatedAt) {
		at = s.UpdatedAt
	}
	e := event.New(event.DeadStream(l.ID), slot, eventType, l.ID, at, data).CausedBy(l.CorrelationID, l.EventID)
	return &e
}

func (l Letter) received(at time.Time) *event.Entry {
	d := ReceivedData{LetterID: l.ID, Reason: l.Reason, PayloadHash: l.PayloadHash, Size: l.Size, ReplayOf: string(l.ReplayOf), Replays: l.Replays}
	if _, known := event.Find(l.Type); known {
		d.Type = l.Type
	}
	if event.ValidID(l.Subject) {
		d.Subject = l.Subject
	}
	return l.entry(State{}, slotReceive, event.DeadReceived, at, d)
}

func (l Letter) retryBegun(s State, attemptID string, at time.Time) *event.Entry {
	return l.entry(s, slotRetry, event.DeadRetryBegun, at, RetryData{LetterID: l.ID, AttemptID: attemptID, PayloadHash: l.PayloadHash})
}

// retryEnded has the outcome of the retry; an empty code is a success.
func (l Letter) retryEnded(s State, code fault.Code, at time.Time) *event.Entry {
	d := RetryData{LetterID: l.ID, PayloadHash: l.PayloadHash, Reason: code}
	if code == "" {
		return l.entry(s, slotRetryEnd, event.DeadRetried, at, d)
	}
	return l.entry(s, slotRetryEnd, event.DeadRetryFailed, at, d)
}

func (l Letter) replayRequested(s State, r Request, replacement string, at time.Time) *event.Entry {
	n := len(s.Replays) + 1
	return l.entry(s, slotReplay+strconv.Itoa(n), event.DeadReplayRequested, at, ReplayData{
		LetterID: l.ID, Replay: n, RequestID: r.ID, PayloadHash: l.PayloadHash, ReplacementHash: replacement,
		Force: r.Force, By: r.By, Note: r.Note,
	})
}

func (l Letter) replayed(s State, r Replay, at time.Time) *event.Entry {
	return l.entry(s, slotReplay+strconv.Itoa(r.Replay)+slotSent, event.DeadReplayed, at,
		ReplayData{LetterID: l.ID, Replay: r.Replay, PayloadHash: cmp.Or(r.ReplacementHash, r.PayloadHash)})
}

func (l Letter) discarded(s State, r Request, at time.Time) *event.Entry {
	return l.entry(s, slotDiscard+strconv.Itoa(s.Discards+1), event.DeadDiscarded, at,
		DiscardData{LetterID: l.ID, RequestID: r.ID, PayloadHash: l.PayloadHash, By: r.By, Note: r.Note})
}
