package saga

import (
	"cmp"
	"strconv"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/text"
)

// Types of the events that every flow has, after the prefix of the flow.
const (
	kindAccepted            = "accepted"
	kindSettling            = "settling"
	kindCompensating        = "compensating"
	kindCancellationRefused = "cancellation_refused"
	kindNeedsAttention      = "needs_attention"
	kindAttentionResolved   = "attention_resolved"
	kindStepRetried         = "step_retried"
	kindStepSkipped         = "step_skipped"
	kindStepSubstituted     = "step_substituted"
)

// Ending is the data of the event that turns a saga back and of the terminal events: how the saga ends and why. The data of events
// has the saga's ID besides, in the field that the flow names.
type Ending struct {
	// Outcome is completed, rejected, cancelled or failed.
	Outcome Status `json:"outcome"`
	// Reason is for programs; empty for a completed saga.
	Reason string `json:"reason,omitempty"`
	// Detail is for people.
	Detail string `json:"detail,omitempty"`
	// By and RequestID name the operator whose resolution turned the saga back, and that resolution.
	By        string `json:"by,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	// EventIdentity names the event from outside that caused this one, if one did: its source, type, subject, ID and content.
	EventIdentity string `json:"eventIdentity,omitempty"`
}

// CancellationRefusal is the data of <flow>.cancellation_refused.
type CancellationRefusal struct {
	RequestID string `json:"requestId"`
	// Reason is what the requester gave.
	Reason string `json:"reason,omitempty"`
	// Detail says why it was refused.
	Detail string `json:"detail"`
}

// Attention is the data of <flow>.needs_attention.
type Attention struct {
	Step string `json:"step"`
	// Item is what of the step it is about, if not all of it: a part, or an item of the step that follows from decisions about parts.
	Item string `json:"item,omitempty"`
	// Undo reports that it is the step's compensation that is stuck.
	Undo bool `json:"undo,omitempty"`
	// Error is the last error, in words that are safe to show.
	Error string `json:"error"`
	// Attempts counts the rounds of attempts so far: the first lasts until ATTENTION_AFTER, later ones are short.
	Attempts int `json:"attempts"`
	// NextTry says when it is retried: RFC 3339 with milliseconds, empty when nothing is tried.
	NextTry string `json:"nextTry,omitempty"`
}

// NewAttention makes the data of <flow>.needs_attention.
func NewAttention(c StuckCall) Attention {
	return Attention{Step: c.Step, Item: c.Item, Undo: c.Undo, Error: clean(c.Error), Attempts: c.Attempts, NextTry: timeText(c.NextTry)}
}

// Opened is what the record that carries the data makes of what was open before it.
func (d Attention) Opened(before AttentionState, at time.Time) AttentionState {
	return AttentionState{
		Open: true, Step: d.Step, Item: d.Item, Undo: d.Undo, Count: before.Count + 1,
		Error: d.Error, Attempts: d.Attempts, NextTry: timeOf(d.NextTry), Since: at,
	}
}

// AttentionResolution is the data of <flow>.attention_resolved.
type AttentionResolution struct {
	Step string `json:"step"`
	Note string `json:"note,omitempty"`
}

// TimeLayout is the form of times in the data of events: RFC 3339, UTC, with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// timeText writes a time in the data of an event; the zero time is "".
func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(TimeLayout)
}

// timeOf reads a time in the data of an event; zero when there is none.
func timeOf(text string) time.Time {
	at, err := time.Parse(TimeLayout, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// maxText is how many characters of a text from outside are kept.
const maxText = 500

// clean makes a text from outside valid for the log. A sender's free text must never be the reason why an event cannot be
// recorded.
func clean(s string) string { return text.Clean(s, maxText) }

// entry makes an event of the saga.
func (n *next[S, P]) entry(slot, eventType, cause string, data ...any) event.Entry {
	e := n.k.Entry(n.flow.StreamOf(n.k.ID), slot, eventType, n.now, Object(cmp.Or(n.flow.Subject, "id"), n.k.ID, data...))
	if cause != "" {
		e.CausationID = cause
	}
	return e
}

// record has an event of the kit's own appended.
func (n *next[S, P]) record(slot, kind, cause string, data ...any) Action {
	return Action{Kind: Record, Entry: n.entry(slot, n.flow.prefix()+"."+kind, cause, data...)}
}

// turn decides that everything is compensated, and how the saga ends then.
func (n *next[S, P]) turn(slot, cause string, e Ending) Action {
	e.Detail = clean(e.Detail)
	return n.record(slot, kindCompensating, cause, e)
}

// end makes the terminal event.
func (n *next[S, P]) end(e Ending, data any) Action {
	return n.record(SlotEnd, string(e.Outcome), "", e, data)
}

// attention asks an operator to act.
func (n *next[S, P]) attention(c StuckCall) Action {
	return n.record(slotAttention+strconv.Itoa(n.k.Attention.Count+1), kindNeedsAttention, "", NewAttention(c))
}

// attentionResolved says that what needed attention is resolved, and how.
func (n *next[S, P]) attentionResolved() Action {
	return n.record(slotResolved+strconv.Itoa(n.k.Attention.Count), kindAttentionResolved, "",
		AttentionResolution{Step: n.k.Attention.Step, Note: n.howResolved()})
}

// refuse answers a cancellation that came too late, and every later one.
func (n *next[S, P]) refuse(c Cancellation) Action {
	return n.record(SlotCancelRefused, kindCancellationRefused, c.Cause,
		CancellationRefusal{RequestID: c.ID, Reason: clean(c.Reason), Detail: n.flow.RefusalText(n.s)})
}

// identified is the identity of a fact in the data of the event that it caused.
type identified struct {
	EventIdentity string `json:"eventIdentity,omitempty"`
	ExpiresAt     string `json:"expiresAt,omitempty"`
}

// done records the outcome of a row without Do. The event says until when the wait lasts that begins with it.
func (n *next[S, P]) done(row *Step[S, P], f *Fact) Action {
	var data any
	if row.Data != nil {
		data = row.Data(n.s, f)
	}
	var extra identified
	cause := ""
	if f != nil {
		cause = f.Cause
		if cause != "" {
			extra.EventIdentity = f.Identity
		}
	}
	for later := range n.flow.Applicable(n.s) {
		if later.Wait != nil && later.Wait.Since == row.Name {
			extra.ExpiresAt = timeText(n.now.Add(n.timing(later.Wait.Deadline)))
		}
	}
	return Action{Kind: Record, Entry: n.entry(row.slot(), row.Done, cause, data, extra)}
}
