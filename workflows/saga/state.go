package saga

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// Status is the status of a saga: a fold over its events. A flow has its own ones between these.
type Status string

// The statuses that every flow has.
const (
	Accepted       Status = "accepted"
	Compensating   Status = "compensating"
	NeedsAttention Status = "needs_attention"
	Completed      Status = "completed"
	Rejected       Status = "rejected"
	Cancelled      Status = "cancelled"
	Failed         Status = "failed"
)

// Terminal reports whether nothing comes after the status.
func (s Status) Terminal() bool {
	switch s {
	case Completed, Rejected, Cancelled, Failed:
		return true
	}
	return false
}

// Decision is what the pivot decided; empty before it.
type Decision string

// The decisions.
const (
	GoForward Decision = "forward"
	GoBack    Decision = "back"
)

// ReasonRequested is the reason of a saga that was cancelled.
const ReasonRequested = "requested"

// Saga is what the kit knows of a saga from its events. The state of a flow embeds it. Its size does not grow with the number
// of events.
type Saga struct {
	// ID is the saga's, in the name of its stream. EventSubject is the subject of its events, when that is another one.
	ID           string `json:"id,omitempty"`
	EventSubject string `json:"eventSubject,omitempty"`
	// Head is the newest record that was folded.
	Head event.Head `json:"head"`
	// Status, Reason and Detail are what the API shows. Flow is the status without regard to attention.
	Status Status `json:"status"`
	Flow   Status `json:"flow,omitempty"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// CreatedAt is the time of the first event, UpdatedAt of the newest.
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// CorrelationID is the one of the first event; LastEventID is the cause of what comes next.
	CorrelationID string `json:"correlationId,omitempty"`
	LastEventID   string `json:"lastEventId,omitempty"`
	// Slots are the outcomes of the table's rows that are recorded.
	Slots []Slot `json:"slots,omitempty"`
	// Decision is what the pivot decided. Ending says how a compensated saga ends; set when Decision is GoBack.
	Decision Decision `json:"decision,omitempty"`
	Ending   Ending   `json:"ending,omitzero"`
	Ended    bool     `json:"ended,omitempty"`
	// HappenedAfterCancel reports that a wait was fulfilled although the saga had turned back: it does not end before an operator has acted.
	HappenedAfterCancel bool `json:"atLarge,omitempty"`
	// Causes are the identities of the events from outside that caused events of the saga; one for each slot at most.
	Causes []string `json:"causes,omitempty"`
	// CancelRefused reports whether a cancellation was refused. That refusal is the answer to every later one.
	CancelRefused bool `json:"cancelRefused,omitempty"`
	// Resolutions are the IDs of the recorded resolutions, the newest MaxResolutions of them; ByHand are the steps that they settled.
	Resolutions []string `json:"resolutions,omitempty"`
	ByHand      []ByHand `json:"byHand,omitempty"`
	// Attention is what a person was last asked to act on, AttentionItem what it was about, in flows with Next.
	Attention     AttentionState `json:"attention,omitzero"`
	AttentionItem string         `json:"attentionItem,omitempty"`
	// PartsUntil is the end of a wait that is fulfilled in parts, when an event about a part has moved it.
	PartsUntil time.Time `json:"partsUntil,omitzero"`
}

// Slot is an outcome in a stream: which event took the key, and when.
type Slot struct {
	Key  string    `json:"key"`
	Type string    `json:"type"`
	At   time.Time `json:"at"`
	// Reason is why a step was refused; ExpiresAt is the end of the wait that the event begins, in workflow time.
	Reason    string    `json:"reason,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// Slots that every stream has, and prefixes of others.
const (
	SlotAccept = "accept"
	SlotDecide = "decide"
	// SlotTurn holds the decision to turn back although the pivot had decided forward: a reversible step was refused.
	SlotTurn = "decide/refused"
	SlotEnd  = "end"
	// SlotCancelRefused holds the first refusal of a cancellation, which answers all later ones.
	SlotCancelRefused = "cancel/refused"

	slotUndo      = "undo/"
	slotPending   = "/pending"
	slotSettled   = "/settled"
	slotAttention = "attention/"
	slotResolved  = "attention/resolved/"
)

// UndoSlot is the slot of a step's compensation.
func UndoSlot(step string) string { return slotUndo + step }

// kit returns the kit's part of a flow's state.
func (s *Saga) kit() *Saga { return s }

// kitOf returns the kit's part of a flow's state.
func kitOf[S any](s *S) *Saga {
	k, ok := any(s).(interface{ kit() *Saga })
	if !ok {
		panic(fmt.Sprintf("saga: %T does not embed saga.Saga", *s))
	}
	return k.kit()
}

// Opened reports whether the stream has its first event.
func (s Saga) Opened() bool { return s.Head.Version > 0 }

// Cancelling reports whether the saga was cancelled on request, or is about to be.
func (s Saga) Cancelling() bool { return s.Decision == GoBack && s.Ending.Reason == ReasonRequested }

// Cancelled reports whether the saga is, or will be, cancelled on request.
func (s Saga) Cancelled() bool { return s.Cancelling() || s.Status == Cancelled }

// AnswersCancellation reports whether the log has the answer to every further cancellation: the saga is being cancelled, a
// cancellation was refused, or the saga has ended.
func (s Saga) AnswersCancellation() bool { return s.Ended || s.Cancelling() || s.CancelRefused }

// Caused reports whether the log shows that one of the saga's events was caused by the event with this identity. Records
// that do not have the identity of their cause prove nothing.
func (s Saga) Caused(identity string) bool { return slices.Contains(s.Causes, identity) }

// Recorded reports whether the resolution of that ID is in the log, as far as the state remembers.
func (s Saga) Recorded(resolutionID string) bool { return slices.Contains(s.Resolutions, resolutionID) }

// Has reports whether a slot is taken by an event of one of the types; without types, by any.
func (s Saga) Has(slot string, types ...string) bool {
	taken := s.Slot(slot)
	return taken.Type != "" && (len(types) == 0 || slices.Contains(types, taken.Type))
}

// Slot returns the outcome in a slot; zero when it is not taken.
func (s Saga) Slot(key string) Slot {
	for i := range s.Slots {
		if s.Slots[i].Key == key {
			return s.Slots[i]
		}
	}
	return Slot{}
}

// Object is the data of an event: the saga's ID in the flow's field, then what the event says. Parts are marshalled; they are JSON
// objects, or nil.
func Object(subject, id string, parts ...any) json.RawMessage {
	whole := append(append([]byte("{"), quoted(subject)...), ':')
	whole = append(whole, quoted(id)...)
	for _, part := range parts {
		if part == nil {
			continue
		}
		raw, err := json.Marshal(part)
		if string(raw) == "null" {
			continue
		}
		if err != nil || len(raw) < 2 || raw[0] != '{' {
			panic(fmt.Sprintf("saga: the data of an event is a JSON object, not %T: %v", part, err))
		}
		if len(raw) > 2 {
			whole = append(append(whole, ','), raw[1:len(raw)-1]...)
		}
	}
	return append(whole, '}')
}

// quoted is a text in JSON.
func quoted(text string) []byte {
	raw, err := json.Marshal(text)
	if err != nil {
		panic("saga: a text cannot be encoded as JSON:  " + err.Error())
	}
	return raw
}

// Entry makes an event after the state. Times never go back in a stream, even if a clock does.
func (s Saga) Entry(stream, slot, eventType string, at time.Time, data any) event.Entry {
	if at.Before(s.UpdatedAt) {
		at = s.UpdatedAt
	}
	return event.New(stream, slot, eventType, cmp.Or(s.EventSubject, s.ID), at, data).CausedBy(s.CorrelationID, s.LastEventID)
}
