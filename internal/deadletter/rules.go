package deadletter

import (
	"cmp"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/text"
)

const (
	// DefaultMaxReplays is the default of Config.MaxReplays.
	DefaultMaxReplays = 3
	// MaxNote is the maximum number of characters of a note.
	MaxNote = 500
)

// Request is a decision about a letter: a replay or a discard.
type Request struct {
	// ID makes the request idempotent.
	ID string
	// By is the actor that the sender names: an ID, or empty.
	By string
	// Actor is the authenticated actor; it takes the place of By.
	Actor string
	// Note is the reason. Actor or By, and Note, become part of events.
	Note string
	// Force allows a replay that would be refused.
	Force bool
	// Body replaces the body of the message; nil keeps it.
	Body []byte
}

// by is the actor in events.
func (r Request) by() string { return cmp.Or(r.Actor, r.By) }

// Validate reports all invalid fields. The error is Invalid.
func (r Request) Validate() error {
	var fields []fault.Field
	if r.By != "" && !event.ValidToken(r.By) {
		fields = append(fields, fault.Fieldf("/by", "%s", event.TokenRule))
	}
	for _, rule := range text.Validate(r.Note, MaxNote) {
		fields = append(fields, fault.Fieldf("/note", "%s", rule))
	}
	return fault.NewInvalid("request about a dead letter", fields)
}

// ValidateDiscard is Validate for a discard, which requires a note.
func (r Request) ValidateDiscard() error {
	if strings.TrimSpace(r.Note) == "" {
		return fault.NewInvalid("request about a dead letter", []fault.Field{fault.Fieldf("/note", "is missing: say why the letter is discarded")})
	}
	return r.Validate()
}

// refuseReplay returns why a letter may not be replayed, or nil. The error is ResolutionRefused.
func (s State) refuseReplay(l Letter, r Request, most int) error {
	switch _, pending := s.Pending(); {
	case r.Force, pending && r.Body == nil:
		return nil
	case s.Status == StatusReplayed:
		return refusal("it has already been replayed")
	case s.Status == StatusRetried:
		return refusal("it has already been handled: the automatic retry succeeded")
	case s.Status == StatusDiscarded:
		return refusal("it has been discarded")
	case l.Replays >= most:
		return refusal("the message has been replayed %d times and was dead-lettered again each time", l.Replays)
	}
	return nil
}

func refusal(format string, args ...any) error {
	return fault.New(fault.ResolutionRefused, format, args...)
}
