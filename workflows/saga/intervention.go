package saga

import (
	"cmp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// ResolutionAction is what a person may decide about something that is stuck.
type ResolutionAction string

// The decisions.
const (
	// Retry retries the step at once; the attention stays open until the step succeeds.
	Retry ResolutionAction = "retry"
	// Skip continues without the step. It requires a note that gives the reason.
	Skip ResolutionAction = "skip"
	// Substitute continues because the same was done by other means. It requires a reference to that.
	Substitute ResolutionAction = "substitute"
	// Compensate turns a saga back whose reversible step is stuck, when it is proven that the step was not done.
	Compensate ResolutionAction = "compensate"
	// Refund gives back what was paid for a part that does not arrive, and Resend has it sent again, in flows that have these decisions.
	Refund ResolutionAction = "refund"
	Resend ResolutionAction = "resend"
)

// ResolutionActions lists every decision.
var ResolutionActions = []ResolutionAction{Retry, Skip, Substitute, Compensate, Refund, Resend}

// MaxNote and MaxReference bound the texts of a resolution, in characters.
const (
	MaxNote      = maxText
	MaxReference = 200
)

// MaxResolutions bounds how many IDs of resolutions a state remembers.
const MaxResolutions = 64

// AttentionState is what the log knows of what needed attention.
type AttentionState struct {
	Open bool   `json:"open"`
	Step string `json:"step,omitempty"`
	Item string `json:"item,omitempty"`
	Undo bool   `json:"undo,omitempty"`
	// Count is the number of the newest attention; they count from 1.
	Count int `json:"count"`
	// Error, Attempts and NextTry are what the event said; a retry by hand moves NextTry. It is zero when nothing
	// is tried.
	Error    string    `json:"error,omitempty"`
	Attempts int       `json:"attempts,omitempty"`
	NextTry  time.Time `json:"nextTry,omitzero"`
	// Since is when the person was asked.
	Since time.Time `json:"since,omitzero"`
	// Retries counts the retries by hand.
	Retries int `json:"retries,omitempty"`
	// Decided is what a person has decided about a part, and By is that person.
	Decided ResolutionAction `json:"decided,omitempty"`
	By      string           `json:"by,omitempty"`
}

// StuckCall is a call that must succeed and does not, or something else that an operator must act on.
type StuckCall struct {
	Step     string    `json:"step"`
	Item     string    `json:"item,omitempty"`
	Undo     bool      `json:"undo"`
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	NextTry  time.Time `json:"nextTry"`
}

// ByHand is a step that a person has settled.
type ByHand struct {
	Step string `json:"step"`
	// Undo reports that it is the step's compensation.
	Undo bool `json:"undo,omitempty"`
	// Action is Skip or Substitute.
	Action ResolutionAction `json:"action"`
	By     string           `json:"by,omitempty"`
}

// Settled returns an operator's decision about a step; false when there is none.
func (s Saga) Settled(step string, undo bool) (ByHand, bool) {
	for _, h := range s.ByHand {
		if h.Step == step && h.Undo == undo {
			return h, true
		}
	}
	return ByHand{}, false
}

// Resolution is a person's decision about what is stuck.
type Resolution struct {
	// ID makes the decision the same when it comes again.
	ID     string           `json:"id"`
	Action ResolutionAction `json:"action"`
	// By is the operator; empty when unknown.
	By string `json:"by,omitempty"`
	// Note says why, for people; Reference names what was done instead, such as the number of a transfer.
	Note      string `json:"note,omitempty"`
	Reference string `json:"reference,omitempty"`
	// Attention is the number of the attention that was decided about; 0 means the one that is open.
	Attention int `json:"attention,omitempty"`
}

// Identified gives the decision the number of the open attention, if it has none, and the ID that follows from what it
// says: the same decision about the same attention is one, however often it is sent. A step is retried as often as
// a person asks for it after the time before. A key makes it one whatever has been asked since, and tells decisions apart
// that say the same.
func (r Resolution) Identified(stream string, open AttentionState, key string) Resolution {
	if r.Attention == 0 {
		r.Attention = open.Count
	}
	about := ""
	if key == "" {
		about = strconv.Itoa(r.Attention)
		if r.Action == Retry {
			about += "/" + strconv.Itoa(open.Retries)
		}
	}
	r.ID = event.DerivedID("resolution", stream, about, string(r.Action), r.Reference, r.Note, key)
	return r
}

const (
	noteMissing      = "say why the step is skipped"
	referenceMissing = "say what was done instead, such as the number of a transfer"
)

// Validate names every field that breaks a rule, whatever the saga it is about; the error is Invalid.
func (r Resolution) Validate() error {
	var fields []fault.Field
	add := func(wrong bool, pointer, format string, args ...any) {
		if wrong {
			fields = append(fields, fault.Fieldf(pointer, format, args...))
		}
	}
	add(!slices.Contains(ResolutionActions, r.Action), "/action", "must be one of %s", words(ResolutionActions))
	add(r.Action == Skip && r.Note == "", "/note", "is missing: %s", noteMissing)
	add(r.Action == Substitute && r.Reference == "", "/reference", "is missing: %s", referenceMissing)
	add(utf8.RuneCountInString(r.Note) > MaxNote, "/note", "must have at most %d characters", MaxNote)
	add(utf8.RuneCountInString(r.Reference) > MaxReference, "/reference", "must have at most %d characters", MaxReference)
	add(r.Attention < 0, "/attention", "must be the number of an attention, from 1")
	add(r.By != "" && !event.ValidToken(r.By), "/by", "%s", event.TokenRule)
	return fault.NewInvalid("resolution", fields)
}

// RejectReason says for people why a decision does not apply to a situation, or "" when it does. Open is the number of the
// attention that is open.
func (r Resolution) RejectReason(situation string, allowed []ResolutionAction, open int) string {
	switch {
	case r.Attention != 0 && r.Attention != open:
		return "attention " + strconv.Itoa(r.Attention) + " is not open; the open one is " + strconv.Itoa(open) + ": " + situation
	case !slices.Contains(allowed, r.Action):
		return situation + ": allowed actions are " + words(allowed) + ", not " + strconv.Quote(string(r.Action))
	case r.Action == Skip && r.Note == "":
		return "the note is missing: " + noteMissing
	case r.Action == Substitute && r.Reference == "":
		return "the reference is missing: " + referenceMissing
	}
	return ""
}

// words lists decisions for people.
func words(actions []ResolutionAction) string {
	list := ""
	for i, a := range actions {
		switch {
		case i == 0:
		case i == len(actions)-1:
			list += " and "
		default:
			list += ", "
		}
		list += string(a)
	}
	return list
}

// AddResolution adds the ID of a decision to those that a state remembers. The oldest one is forgotten: a decision that comes
// again after MaxResolutions others is a new one.
func AddResolution(ids []string, id string) []string {
	ids = append(ids, id)
	return ids[max(0, len(ids)-MaxResolutions):]
}

// ResolutionData is the data of <flow>.step_retried, step_skipped and step_substituted.
type ResolutionData struct {
	RequestID string `json:"requestId"`
	// Attention is the number of the attention that was decided about.
	Attention int    `json:"attention"`
	Step      string `json:"step"`
	// Item is what of the step it is about; see Attention.
	Item string `json:"item,omitempty"`
	// Undo reports that it is the step's compensation.
	Undo   bool             `json:"undo,omitempty"`
	Action ResolutionAction `json:"action"`
	// By is the operator; Note is the reason, Reference is what was done instead.
	By        string `json:"by,omitempty"`
	Note      string `json:"note,omitempty"`
	Reference string `json:"reference,omitempty"`
}

// resolutionKind is the event of each decision that has one of its own.
var resolutionKind = map[ResolutionAction]string{Retry: kindStepRetried, Skip: kindStepSkipped, Substitute: kindStepSubstituted}

// EventType is the type of the event of a decision, for all but Compensate. Prefix is that of the flow's events.
func (r Resolution) EventType(prefix string) string { return prefix + "." + resolutionKind[r.Action] }

// Data is the data of a decision about what is open, for all but Compensate.
func (r Resolution) Data(open AttentionState) ResolutionData {
	return ResolutionData{
		RequestID: r.ID, Attention: open.Count, Step: open.Step, Item: open.Item, Undo: open.Undo, Action: r.Action,
		By: r.By, Note: clean(r.Note), Reference: clean(r.Reference),
	}
}

// RetrySlot is the slot of the next retry of what is open. Retries are counted, so that a decision which comes again after it
// was forgotten never finds its slot taken. Older logs have the ID of the decision in the place of retried/<n>.
func RetrySlot(a AttentionState) string {
	return slotAttention + strconv.Itoa(a.Count) + "/retried/" + strconv.Itoa(a.Retries+1)
}

// UndoStuck is the situation of a compensation that is stuck.
const UndoStuck = "a compensation is stuck"

// What may be decided. Nothing is tried where only people can find out, so there is nothing to try again; what has left is not
// turned back.
var (
	tried    = []ResolutionAction{Retry, Skip, Substitute}
	turnable = []ResolutionAction{Retry, Skip, Substitute, Compensate}
	findOut  = []ResolutionAction{Skip, Substitute}
)

// AttentionKinds is what a person may be asked to act on, in words for people, and what may be decided about each.
func (f *Flow[S, P]) AttentionKinds() map[string][]ResolutionAction {
	all := make(map[string][]ResolutionAction)
	if !f.Endless {
		all[UndoStuck] = tried
	}
	past := f.Endless
	for i := range f.Steps {
		row := &f.Steps[i]
		past = past || row.Kind == Pivot
		switch {
		case row.Kind == Await && row.Wait == nil: // Check says so
		case row.Kind == Await && row.Wait.AfterCancel != nil:
			all[row.Wait.AfterCancel.AttentionKind] = findOut
		case row.Kind == Await && row.Refused != "": // when its time is over, that is an event
		case row.Kind == Await && past:
			all[row.Wait.MissingText] = findOut
			if row.Parts != nil {
				all[row.Wait.MissingText] = row.Parts.decisions(nil)
			}
			if row.Parts != nil && row.Parts.Follow != nil {
				all[row.Parts.Follow.stuckText()] = row.Parts.Follow.decisions()
			}
		case row.Kind == Forward && (row.Do != nil || f.Next != nil):
			all[row.stuckText()] = row.decisions()
			if row.Reversible != nil {
				all[row.FinalText] = tried
			}
			if row.Refused != "" {
				all[row.RefusedText] = findOut
			}
		}
	}
	return all
}

// decisions is what may be decided about a forward step that is stuck, as long as it is reversible, if it ever is. A step without Do is for
// people only.
func (row *Step[S, P]) decisions() []ResolutionAction {
	switch {
	case row.Do == nil:
		return findOut
	case row.Reversible != nil && row.Lookup != nil:
		return turnable
	}
	return tried
}

func (row *Step[S, P]) stuckText() string {
	return cmp.Or(row.StuckText, "the step "+row.Name+" is stuck")
}

func (row *Step[S, P]) unknownText() string {
	return cmp.Or(row.UnknownText, "it is unknown whether the step "+row.Name+" was done")
}

// AttentionKind describes for people what needs attention, and returns the allowed actions; "" when nothing is open, or when
// it settles by itself.
func (f *Flow[S, P]) AttentionKind(s *S) (text string, allowed []ResolutionAction) {
	n := next[S, P]{flow: f, s: s, k: kitOf(s), facts: &Facts{}}
	a := n.k.Attention
	if n.k.Ended || !a.Open || n.settled(a.Step, a.Undo) {
		return "", nil
	}
	if a.Undo {
		return UndoStuck, tried
	}
	row := f.row(s, a.Step)
	switch {
	case row == nil:
		if stray := f.troubleAfterCancel(a.Step); stray != nil {
			return stray.AttentionKind, findOut
		}
		return "", nil
	case row.Parts != nil:
		return row.Wait.MissingText, row.Parts.decisions(s)
	case row.Kind == Await:
		return row.Wait.MissingText, findOut
	case n.refused(row) && row.reversible(s):
		return "", nil
	case n.refused(row):
		return row.RefusedText, findOut
	case row.Reversible != nil && !row.Reversible(s):
		return row.FinalText, tried
	}
	return row.stuckText(), row.decisions()
}

// RejectResolution says for people why a decision does not apply, or "" when it does.
func (f *Flow[S, P]) RejectResolution(s *S, r Resolution) string {
	k := kitOf(s)
	situation, allowed := f.AttentionKind(s)
	switch {
	case k.Ended:
		return "the " + f.Name + " has ended: it is " + string(k.Status)
	case situation == "" && f.NothingStuck != "":
		return f.NothingStuck
	case situation == "":
		return "nothing is stuck: the " + f.Name + " is " + string(k.Flow)
	}
	return r.RejectReason(situation, allowed, k.Attention.Count)
}

// Decided returns the first decision that applies and is not recorded yet.
func (f *Flow[S, P]) Decided(s *S, resolutions []Resolution) (Resolution, bool) {
	for _, r := range resolutions {
		if !kitOf(s).Recorded(r.ID) && f.RejectResolution(s, r) == "" {
			return r, true
		}
	}
	return Resolution{}, false
}

// resolve follows a decision that fits. A step that is skipped or substituted loses its slot to that: whatever it still does, it
// cannot record it any more, and it cannot have recorded it before.
func (n *next[S, P]) resolve(r Resolution) Action {
	a := n.k.Attention
	row := n.flow.row(n.s, a.Step)
	slot := a.Step
	if row != nil && row.Parts != nil {
		return n.resolvePart(row, r)
	}
	switch {
	case r.Action == Compensate && n.facts.NotDone != r.ID:
		return Action{Kind: Lookup, Step: a.Step}
	case r.Action == Compensate:
		return n.turn(SlotTurn, "", Ending{Outcome: Failed, Reason: Unavailable(a.Step), Detail: r.Note, By: r.By, RequestID: r.ID})
	case r.Action == Skip && !a.Undo && row != nil && row.SkipReason != "" && row.reversible(n.s):
		return n.turn(SlotTurn, "", Ending{Outcome: Rejected, Reason: row.SkipReason, Detail: r.Note, By: r.By, RequestID: r.ID})
	case r.Action == Retry:
		slot = RetrySlot(a)
	case a.Undo:
		slot = UndoSlot(a.Step)
	case row != nil && n.refused(row):
		slot = row.slot() + slotSettled
	case row != nil:
		slot = row.slotAbout(cmp.Or(n.k.AttentionItem, a.Item))
	}
	return n.record(slot, resolutionKind[r.Action], "", r.Data(a))
}

// howResolved says for people how what was open has come to an end.
func (n *next[S, P]) howResolved() string {
	a := n.k.Attention
	if n.flow.HowResolved != nil {
		return n.flow.HowResolved(n.s)
	}
	hand, byHand := n.k.Settled(a.Step, a.Undo)
	how := "the step succeeded"
	if a.Decided != "" {
		hand, byHand = ByHand{Action: a.Decided, By: a.By}, true
	}
	switch row := n.flow.row(n.s, a.Step); {
	case byHand && hand.Action == Refund:
		how = "refunded"
	case byHand && hand.Action == Resend:
		how = "requested again"
	case byHand && hand.Action == Skip:
		how = "skipped by hand"
	case byHand:
		how = "substituted by hand"
	case row != nil && row.Reversible != nil && !a.Undo && n.k.Decision == GoBack:
		return "the " + n.flow.Name + " is being compensated instead"
	}
	if hand.By != "" {
		how += " by " + hand.By
	}
	return how
}

// RefusalText says for people why a cancellation cannot be honoured any more, or "" when it can.
func (f *Flow[S, P]) RefusalText(s *S) string {
	k := kitOf(s)
	if f.RejectCancellation != nil && !k.Ended {
		if text := f.RejectCancellation(s); text != "" {
			return text
		}
	}
	switch {
	case f.Endless:
		return "sagas of the flow " + f.Name + " cannot be cancelled"
	case k.Ended:
		return "the " + f.Name + " has ended: it is " + string(k.Status)
	case k.Decision == GoForward:
		return "the " + f.Name + " is being settled"
	case k.Decision == GoBack && !k.Cancelling():
		return "the " + f.Name + " is already being compensated: " + k.Ending.Reason
	}
	return ""
}
