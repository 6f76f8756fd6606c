package order

import (
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// ResolutionAction is what an operator may decide about something that is stuck.
type ResolutionAction string

// The decisions.
const (
	// Retry tries the step again at once; what was asked stays open until it goes through.
	Retry ResolutionAction = "retry"
	// Skip goes on without the step. It needs a note that says why that is right.
	Skip ResolutionAction = "skip"
	// Substitute goes on because the same was done in another way. It needs a reference to that.
	Substitute ResolutionAction = "substitute"
	// Compensate turns an order back whose capture is stuck, when it is proven that nothing was captured.
	Compensate ResolutionAction = "compensate"
)

// ResolutionActions lists every decision.
var ResolutionActions = []ResolutionAction{Retry, Skip, Substitute, Compensate}

// MaxNote and MaxReference bound the texts of a decision, in characters.
const (
	MaxNote      = maxText
	MaxReference = 200
)

// Resolution is an operator's decision about what is stuck.
type Resolution struct {
	// ID makes the decision the same when it comes again.
	ID     string           `json:"id"`
	Action ResolutionAction `json:"action"`
	// By is who decided; empty when nobody said.
	By string `json:"by,omitempty"`
	// Note says why, for people; Reference names what was done instead, such as the number of a transfer.
	Note      string `json:"note,omitempty"`
	Reference string `json:"reference,omitempty"`
	// Attention is the number of the attention that was decided about; 0 means the one that is open.
	Attention int `json:"attention,omitempty"`
}

// Identified gives the decision the number of the open attention, if it has none, and the id that follows from what it
// says: the same decision about the same attention is one, however often it is sent. A step is tried again as often as
// somebody asks for it after the time before. A key makes it one whatever has been asked since, and tells decisions apart
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

// Validate names every field that breaks a rule, whatever the order it is about; the error is Invalid.
func (r Resolution) Validate() error {
	var fields []fault.Field
	add := func(pointer, format string, args ...any) {
		fields = append(fields, fault.Fieldf(pointer, format, args...))
	}
	if !slices.Contains(ResolutionActions, r.Action) {
		add("/action", "must be one of %s", words(ResolutionActions))
	}
	if r.Action == Skip && r.Note == "" {
		add("/note", "is missing: %s", noteMissing)
	}
	if r.Action == Substitute && r.Reference == "" {
		add("/reference", "is missing: %s", referenceMissing)
	}
	if utf8.RuneCountInString(r.Note) > MaxNote {
		add("/note", "must have at most %d characters", MaxNote)
	}
	if utf8.RuneCountInString(r.Reference) > MaxReference {
		add("/reference", "must have at most %d characters", MaxReference)
	}
	if r.Attention < 0 {
		add("/attention", "must be the number of an attention, from 1")
	}
	if r.By != "" && !event.ValidID(r.By) {
		add("/by", "%s", event.IDRule)
	}
	return fault.NewInvalid("resolution", fields)
}

const (
	noteMissing      = "who skips a step says why"
	referenceMissing = "who substitutes a step says what was done instead"
)

// Situation is a kind of thing that an operator is asked to look at.
type Situation string

// The situations.
const (
	UndoStuck             Situation = "an undo is stuck"
	CaptureStuck          Situation = "the capture is stuck"
	ShippedCaptureStuck   Situation = "the capture is stuck after the goods were dispatched"
	ShippedCaptureRefused Situation = "the capture was refused after the goods were dispatched"
	CommitStuck           Situation = "the commit of the stock is stuck"
	DeliveryMissing       Situation = "the parcel is lost or late"
	GoodsAtLarge          Situation = "the goods were dispatched after a cancellation"
)

// Allowed is the table of what may be decided when. Nothing is tried where only people can find out, so there is nothing
// to try again; nothing turns back what has left.
var Allowed = map[Situation][]ResolutionAction{
	UndoStuck:             {Retry, Skip, Substitute},
	CaptureStuck:          {Retry, Skip, Substitute, Compensate},
	ShippedCaptureStuck:   {Retry, Skip, Substitute},
	ShippedCaptureRefused: {Skip, Substitute},
	CommitStuck:           {Retry, Skip, Substitute},
	DeliveryMissing:       {Skip, Substitute},
	GoodsAtLarge:          {Skip, Substitute},
}

// Situation returns what an operator is asked to look at, "" when nothing is open, or what was has settled.
func (s State) Situation() Situation {
	a := s.Attention
	switch {
	case s.Ended || !a.Open || s.settled(a.Step, a.Undo):
		return ""
	case a.Undo:
		return UndoStuck
	case a.Step == StepCapture && s.Capture == CaptureRefused && s.ShippedAt.IsZero():
		// It turns back by itself.
		return ""
	case a.Step == StepCapture && s.Capture == CaptureRefused:
		return ShippedCaptureRefused
	case a.Step == StepCapture && !s.ShippedAt.IsZero():
		return ShippedCaptureStuck
	case a.Step == StepCapture:
		return CaptureStuck
	case a.Step == StepCommit:
		return CommitStuck
	case a.Step == StepDeliver:
		return DeliveryMissing
	case a.Step == StepDispatch:
		return GoodsAtLarge
	}
	return ""
}

// Actions lists what may be decided about what is open; nil when nothing is.
func (s State) Actions() []ResolutionAction { return Allowed[s.Situation()] }

// WhyNotResolvable says for people why a decision does not fit, or "" when it does.
func (s State) WhyNotResolvable(r Resolution) string {
	situation := s.Situation()
	switch {
	case s.Ended:
		return "the order has ended: it is " + string(s.Status)
	case situation == "":
		return "nothing is stuck: the order is " + string(s.Flow)
	}
	return r.WhyNotIn(situation, Allowed[situation], s.Attention.Count)
}

// WhyNotIn says for people why a decision does not fit a situation, or "" when it does. Open is the number of the
// attention that is open.
func (r Resolution) WhyNotIn(situation Situation, allowed []ResolutionAction, open int) string {
	switch {
	case r.Attention != 0 && r.Attention != open:
		return "attention " + strconv.Itoa(r.Attention) + " is not open; attention " + strconv.Itoa(open) + " is: " + string(situation)
	case !slices.Contains(allowed, r.Action):
		return string(situation) + ": that allows " + words(allowed) + ", not " + strconv.Quote(string(r.Action))
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

// ByHand is a step that an operator has settled.
type ByHand struct {
	Step Step `json:"step"`
	// Undo tells that it is the step's compensation.
	Undo bool `json:"undo,omitempty"`
	// Action is Skip or Substitute.
	Action ResolutionAction `json:"action"`
	By     string           `json:"by,omitempty"`
}

// byHand returns what an operator decided about a step, and false when nobody did.
func (s State) byHand(step Step, undo bool) (ByHand, bool) {
	for _, h := range s.ByHand {
		if h.Step == step && h.Undo == undo {
			return h, true
		}
	}
	return ByHand{}, false
}

// MaxResolutions bounds how many ids of decisions a state remembers.
const MaxResolutions = 64

// AddResolution adds the id of a decision to those that a state remembers. The oldest one is forgotten: a decision that comes
// again after MaxResolutions others is a new one.
func AddResolution(ids []string, id string) []string {
	ids = append(ids, id)
	return ids[max(0, len(ids)-MaxResolutions):]
}

// Recorded reports whether the decision of that id is in the log, as far as the state remembers.
func (s State) Recorded(resolutionID string) bool {
	return slices.Contains(s.Resolutions, resolutionID)
}

// Decided returns the first decision that fits and is not recorded yet.
func (s State) Decided(f Facts) (Resolution, bool) {
	for _, r := range f.Resolutions {
		if !s.Recorded(r.ID) && s.WhyNotResolvable(r) == "" {
			return r, true
		}
	}
	return Resolution{}, false
}

// resolve follows a decision that fits.
func (s State) resolve(r Resolution, f Facts, now time.Time) Action {
	switch {
	case r.Action != Compensate:
		return record(s.resolution(r, now))
	case f.NotCaptured != r.ID:
		return Action{Kind: Lookup, Step: StepCapture}
	}
	return record(s.compensating(SlotTurn, Ending{
		Outcome: StatusFailed, Reason: Unavailable(StepCapture), Detail: r.Note, By: r.By, RequestID: r.ID,
	}, now))
}

// resolutionType is the event of each decision that has one of its own.
var resolutionType = map[ResolutionAction]string{
	Retry: event.OrderStepRetried, Skip: event.OrderStepSkipped, Substitute: event.OrderStepSubstituted,
}

// resolution writes a decision down. A step that is skipped or substituted loses its slot to that: whatever it still
// does, it cannot record it any more, and it cannot have recorded it before.
func (s State) resolution(r Resolution, at time.Time) event.Entry {
	a := s.Attention
	slot := string(a.Step)
	switch {
	case r.Action == Retry:
		slot = RetrySlot(a)
	case a.Undo:
		slot = slotUndo + slot
	case a.Step == StepCapture && s.Capture == CaptureRefused:
		slot = SlotRefusalSettled
	}
	eventType, data := r.Event(s.Order.ID, a)
	return s.entry(slot, eventType, at, data)
}

// RetrySlot is the slot of the next retry of what is open. Retries are counted, so that a decision which comes again after it
// was forgotten never finds its slot taken. Older logs have the id of the decision in the place of retried/<n>.
func RetrySlot(a AttentionState) string {
	return slotAttention + strconv.Itoa(a.Count) + "/retried/" + strconv.Itoa(a.Retries+1)
}

// Event is the type and the data of a decision about what is open, for all but Compensate.
func (r Resolution) Event(orderID string, open AttentionState) (string, ResolutionData) {
	return resolutionType[r.Action], ResolutionData{
		OrderID: orderID, RequestID: r.ID, Attention: open.Count, Step: open.Step, Undo: open.Undo, Action: r.Action,
		By: r.By, Note: clean(r.Note), Reference: clean(r.Reference),
	}
}

// applyResolution folds a decision.
func (s *State) applyResolution(r event.Record) error {
	return decodeInto(r, func(d ResolutionData) {
		s.Resolutions = AddResolution(s.Resolutions, d.RequestID)
		if d.Action == Retry {
			s.Attention.Retries++
			s.Attention.NextTry = r.Time
			return
		}
		s.ByHand = append(s.ByHand, ByHand{Step: d.Step, Undo: d.Undo, Action: d.Action, By: d.By})
	})
}

// howResolved says for people how what was open has come to an end.
func (s State) howResolved() string {
	a := s.Attention
	hand, settled := s.byHand(a.Step, a.Undo)
	how := "the step went through"
	switch {
	case settled && hand.Action == Skip:
		how = "skipped by hand"
	case settled:
		how = "substituted by hand"
	case a.Step == StepCapture && !a.Undo && s.Decision == Back:
		return "the order is being undone instead"
	}
	if hand.By != "" {
		how += " by " + hand.By
	}
	return how
}
