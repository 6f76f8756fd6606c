package saga

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Registered names of the signal and the Updates that every flow has. They are part of histories: never rename one.
const (
	// SignalCancel brings a Cancellation.
	SignalCancel = "cancel"
	// SignalFact brings a Fact that an earlier run has received.
	SignalFact = "fact"
	// UpdateCancel brings a Cancellation and waits for the answer, UpdateResolve a Resolution.
	UpdateCancel  = "cancel"
	UpdateResolve = "resolve"
)

// Identity names an event that brought a fact: by its source and ID, which are both in factID, its type, its subject, and the content
// that is used. Two events are the same one only if all of them are equal: IDs are unique for their source only, and many senders use
// the ID of the subject as the ID of every event.
func Identity(eventType, id, factID string, content ...string) string {
	return event.DerivedID(append([]string{"inbound", eventType, id, factID}, content...)...)
}

// FactOf reads the payload of a signal. Known is false for a signal that no run of the flow listens to. The error says that the payload
// cannot be read. No payload is read as null.
func (f *Flow[S, P]) FactOf(id, signal string, payload json.RawMessage) (fact Fact, known bool, err error) {
	if len(payload) == 0 {
		payload = json.RawMessage("null")
	}
	if signal == SignalCancel {
		var c Cancellation
		if err := json.Unmarshal(payload, &c); err != nil {
			return Fact{}, true, err
		}
		return f.cancellation(id, SignalCancel, c).fact(f.cancelRequested()), true, nil
	}
	if signal == SignalFact {
		fact, err := f.carried(id, payload)
		return fact, true, err
	}
	if f.TurnBack != nil && signal == f.TurnBack.Signal {
		ending, err := f.TurnBack.Ending(payload)
		if err == nil {
			err = ending.turnsBack()
		}
		return turnBackFact(signal, ending), true, err
	}
	for _, s := range f.Signals {
		if s.Name == signal {
			fact, err := s.Read(id, payload)
			return fact, true, err
		}
	}
	return Fact{}, false, nil
}

// maxFactType and maxFactData bound a fact that is carried by SignalFact, in bytes. A flow's own facts are smaller: see Clip.
const (
	maxFactType = 256
	maxFactData = 96 << 10
)

// carried reads a fact that an earlier run has received. It was cleaned then; anyone may send another one with Temporal's tools.
func (f *Flow[S, P]) carried(id string, payload json.RawMessage) (fact Fact, err error) {
	if err := json.Unmarshal(payload, &fact); err != nil {
		return Fact{}, err
	}
	if fact.Type == "" || len(fact.Type) > maxFactType || len(fact.Data) > maxFactData {
		return Fact{}, fault.New(fault.Invalid, "a fact must have a type of at most %d bytes and data of at most %d bytes", maxFactType, maxFactData)
	}
	if f.turnsBack(fact) {
		ending, err := DataOf[Ending](&fact)
		if err == nil {
			err = ending.turnsBack()
		}
		return turnBackFact(fact.Type, ending), err
	}
	fact.ID, fact.Cause = Tidy(SignalFact, fact.ID, fact.Cause)
	fact.Asked, fact.NotBefore = 0, time.Time{}
	if len(fact.Part) > maxFactType {
		fact.Part = event.DerivedID("part", fact.Part)
	}
	if f.Cancels(fact) {
		data, err := DataOf[cancellationData](&fact)
		if err != nil {
			return Fact{}, err
		}
		fact.Data = Cancellation{Reason: Clip(data.Reason)}.fact(fact.Type).Data
	}
	if !event.ValidToken(fact.Identity) {
		fact.Identity = Identity(fact.Type, id, fact.ID, fact.Identity, string(fact.Data))
	}
	return fact, nil
}

// turnsBack reports why a saga that turns back cannot end like this; nil when it can.
func (e Ending) turnsBack() error {
	if e.Outcome == Completed || !e.Outcome.Terminal() {
		return fault.New(fault.Invalid, "a saga that turns back must not end as %q", e.Outcome)
	}
	return nil
}

// cancellation is a request to cancel, cleaned, with the identity of its event.
func (f *Flow[S, P]) cancellation(id, source string, c Cancellation) Cancellation {
	c.ID, c.Cause = Tidy(source, c.ID, c.Cause)
	c.Reason = Clip(c.Reason)
	c.Identity = Identity(f.cancelRequested(), id, c.ID, c.Reason)
	return c
}

// CancelledInTemporal is the cancellation that the cancel button of the Temporal Web UI makes of a run.
func (f *Flow[S, P]) CancelledInTemporal(id, runID string) Fact {
	return f.cancellation(id, "temporal", Cancellation{ID: "temporal-" + runID, Reason: "cancelled in Temporal"}).fact(f.cancelRequested())
}

// Cancellation is a request to cancel as a fact.
func (f *Flow[S, P]) Cancellation(id string, c Cancellation) Fact {
	return f.cancellation(id, SignalCancel, c).fact(f.cancelRequested())
}

// cancellationData is the data of a cancellation as a fact.
type cancellationData struct {
	Reason string `json:"reason,omitempty"`
}

// fact is the cancellation as a fact.
func (c Cancellation) fact(eventType string) Fact {
	raw, _ := json.Marshal(cancellationData{c.Reason}) // a struct of strings
	return Fact{Type: eventType, ID: c.ID, Cause: c.Cause, Identity: c.Identity, Data: raw}
}

// turnBackFact is a request to turn back as a fact.
func turnBackFact(signal string, e Ending) Fact {
	raw, _ := json.Marshal(e) // a struct of strings
	return Fact{Type: signal, Data: raw}
}

// AddFact takes in a fact: there is one of a type and part.
func (f *Facts) AddFact(fact Fact) { f.Received = append(f.without(fact), fact) }

// merge takes in a fact that an event brought: a few cancellations, and one fact of each type to which a row listens; of types about parts
// one of each part, as far as there is room. It reports whether there was.
func (f *Flow[S, P]) merge(facts *Facts, fact Fact) (fits bool) {
	if f.Cancels(fact) {
		if len(facts.Cancellations) < MaxCancellations {
			data, _ := DataOf[cancellationData](&fact)
			facts.Cancellations = append(facts.Cancellations, Cancellation{ID: fact.ID, Cause: fact.Cause, Identity: fact.Identity, Reason: data.Reason})
		}
		return true
	}
	if !f.listens(fact.Type) {
		return true
	}
	if !f.hasParts(fact.Type) {
		fact.Part = ""
	} else if !facts.room(fact) {
		return false
	}
	facts.AddFact(fact)
	return true
}

// listens reports whether a row listens to events of a type.
func (f *Flow[S, P]) listens(eventType string) bool {
	return f.notifies(eventType) || slices.ContainsFunc(f.Steps, func(row Step[S, P]) bool {
		return row.Wait != nil && (slices.Contains(row.Wait.On, eventType) ||
			slices.ContainsFunc(row.Wait.Trouble, func(t Trouble) bool { return t.On == eventType }))
	})
}

// without returns the received facts without that of the same type about the same part.
func (f *Facts) without(fact Fact) []Fact {
	return slices.DeleteFunc(slices.Clone(f.Received), func(h Fact) bool { return h.Type == fact.Type && h.Part == fact.Part })
}

// has reports whether a fact of the type was received.
func (f *Facts) has(eventType string) bool { return f.first([]string{eventType}) != nil }

const (
	// maxCause is how long the ID of an event may be that becomes a cause in the log.
	maxCause = 256
	// maxClip is how many bytes of a text of a signal are kept; what the log takes of it is less.
	maxClip = 4 << 10
)

// Tidy makes the ID and the cause of a signal fit for the log. What comes over the bus fits; anyone may send a signal with Temporal's
// tools, and no saga may get stuck because something cannot be written.
func Tidy(source, id, cause string) (string, string) {
	if !event.ValidToken(id) {
		id = event.DerivedID(source, id)
	}
	if len(cause) > maxCause || !utf8.ValidString(cause) || strings.ContainsFunc(cause, func(r rune) bool { return !unicode.IsPrint(r) }) {
		cause = event.DerivedID(source, cause)
	}
	return id, cause
}

// Clip bounds a text of a signal. Signals of the bus have short texts; anyone may send others with Temporal's tools.
func Clip(s string) string {
	if len(s) > maxClip {
		s = strings.ToValidUTF8(s[:maxClip], "")
	}
	return s
}

// handle registers the Updates. They only set a fact and wait for the answer.
func (r *run[S, P]) handle(ctx workflow.Context) error {
	if r.flow.NoAttention {
		return nil
	}
	if err := r.interventions.Handle(ctx); err != nil || r.flow.Endless {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateCancel, r.cancel, workflow.UpdateHandlerOptions{
		Validator: func(_ workflow.Context, c Cancellation) error {
			switch {
			case !event.ValidToken(c.ID):
				return fault.New(fault.Invalid, "the id of a cancellation %s", event.TokenRule)
			case r.drain.Closed() || r.kit().AnswersCancellation():
				return ErrTryAgain()
			}
			return nil
		},
		Description: "Requests the cancellation of the " + r.flow.Name + " and waits for the result.",
	})
}

// cancel requests a cancellation and waits for the answer, which is an event.
func (r *run[S, P]) cancel(ctx workflow.Context, c Cancellation) (CancelAnswer, error) {
	r.drain.Count()
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	if err := awaitStored(disconnected); err != nil {
		return CancelAnswer{}, err
	}
	decided := func() bool { return r.conflict || r.kit().AnswersCancellation() }
	if !r.drain.Released() && !decided() {
		r.take(r.flow.cancellation(r.in.ID, UpdateCancel, c).fact(r.flow.cancelRequested()))
	}
	err := workflow.Await(disconnected, func() bool { return r.drain.Released() || decided() })
	switch {
	case err != nil:
		return CancelAnswer{}, err
	case !decided():
		return CancelAnswer{}, ErrTryAgain()
	}
	return r.flow.CancelAnswer(&r.state), nil
}

// CancelAnswer is the answer to a cancellation of a saga that has been decided.
func (f *Flow[S, P]) CancelAnswer(s *S) CancelAnswer {
	k := kitOf(s)
	v := CancelAnswer{Accepted: k.Cancelled(), Status: k.Status}
	if !v.Accepted {
		v.Detail = f.RefusalText(s)
	}
	return v
}

// ResolveAnswer is the answer to a person's decision, as far as the log knows it.
func (f *Flow[S, P]) ResolveAnswer(s *S, r Resolution) ResolveAnswer {
	v := ResolveAnswer{Accepted: kitOf(s).Recorded(r.ID), Status: kitOf(s).Status}
	if !v.Accepted {
		v.Detail = f.RejectResolution(s, r)
	}
	return v
}

// DrainSignals takes in every signal that has arrived, and Temporal's own cancellation. The loop calls it before it decides
// and while it waits: a signal that is in view when a task begins is never decided over, and none is left when
// the run continues as new. Coroutines that receive would run after the loop has decided.
func (r *run[S, P]) DrainSignals() {
	if r.flow.Endless {
		for r.flow.More != "" && workflow.GetSignalChannel(r.ctx, r.flow.More).ReceiveAsync(nil) {
			r.changes++
			r.unread = true
		}
		return
	}
	r.receive(SignalCancel)
	for _, s := range r.flow.Signals {
		r.receive(s.Name)
	}
	if r.flow.TurnBack != nil {
		r.receive(r.flow.TurnBack.Signal)
	}
	r.receive(SignalFact)
	if r.own.Err() != nil {
		// The cancel button of the Web UI: the workflow's own context has ended.
		r.take(r.flow.CancelledInTemporal(r.in.ID, workflow.GetInfo(r.own).WorkflowExecution.RunID))
	}
}

// receive takes in the signals of a name.
func (r *run[S, P]) receive(name string) {
	channel := workflow.GetSignalChannel(r.ctx, name)
	for {
		var payload json.RawMessage
		if !channel.ReceiveAsync(&payload) {
			return
		}
		fact, _, err := r.flow.FactOf(r.in.ID, name, payload)
		if err != nil {
			r.log.Error("a signal cannot be read", "stream", r.flow.StreamOf(r.in.ID), "signal", name, "error", err)
			continue
		}
		r.take(fact)
	}
}

// take adds a fact.
func (r *run[S, P]) take(fact Fact) {
	k := r.kit()
	switch {
	case r.flow.turnsBack(fact):
		// It is no event: a saga that has been decided, or has ended, goes on as it is.
		if ending, err := DataOf[Ending](&fact); err == nil && r.facts.TurnBack == nil && k.Decision == "" {
			r.facts.TurnBack = &ending
			r.changes++
		}
	case r.flow.Cancels(fact) && k.CancelRefused:
		// An earlier refusal is the answer.
		r.log.Info("cancellation refused", "stream", r.flow.StreamOf(r.in.ID), "request_id", fact.ID)
	case !r.seen.add(fact.Identity):
	case fact.Unused && !k.Ended:
		r.unusable(fact)
	default:
		r.changes++
		if k.Ended {
			r.recordLateEvent(fact.Late())
			return
		}
		r.heard.add(fact.Late())
		if k.Decision == GoBack && r.flow.notifies(fact.Type) && r.facts.has(fact.Type) {
			// No participant is asked any more: the first one is recorded as late, and a signal that a person sends does not replace it.
			return
		}
		if !r.flow.merge(&r.facts, fact) {
			r.unusable(fact)
		}
		r.readParts()
	}
}

// Late is the event that brought a fact, in case that it is late.
func (f Fact) Late() LateEvent {
	return LateEvent{ID: f.ID, EventID: f.Cause, Type: f.Type, Identity: f.Identity}
}

// recover takes over the facts that the interrupted runs before this one had received, if there are any. A run that is due
// meanwhile hands the rest on.
func (r *run[S, P]) recover() (handedOn bool, err error) {
	if r.in.Resume == nil {
		return false, nil
	}
	for _, fact := range r.in.Resume.Missed {
		r.take(fact)
	}
	for r.recovering = r.in.Resume.Recover; r.recovering != nil; {
		if r.kit().Ended && len(r.late) > maxCarried {
			// They may be many: a run that continues as new hands on only so many.
			if err := r.recordLate(false); err != nil {
				return false, err
			}
		}
		if r.drain.Due(r.ctx) {
			return true, r.drain.Release(r.ctx)
		}
		in := RecoverInput{ID: r.in.ID, Cursor: *r.recovering, Ended: r.kit().Ended}
		result, err := UntilDone(r.ctx, r.flow.callRecover(), in, r.show)
		if err != nil {
			return false, err
		}
		for _, fact := range result.Facts {
			r.take(fact)
		}
		r.recovering = result.Next
	}
	return false, nil
}

// afterEnd are the events that arrived before the run knew that the saga had ended. Facts merge; these are kept one by one, because
// the saga may have ended before they came: a workflow task is discarded when a signal arrives, and its second run learns of
// the end from the log.
type afterEnd struct {
	events []LateEvent
	// asked is how many of them there were when the log was asked last: when it answers that the saga is open, these came in time.
	asked int
}

// maxAfterEnd bounds how many of them are kept.
const maxAfterEnd = 2000

func (h *afterEnd) add(e LateEvent) {
	if len(h.events) < maxAfterEnd {
		h.events = append(h.events, e)
	}
}

// ask notes that the log is asked.
func (h *afterEnd) ask() { h.asked = len(h.events) }

// open notes that the saga was open when the log was asked.
func (h *afterEnd) open() { h.events, h.asked = slices.Clone(h.events[h.asked:]), 0 }
