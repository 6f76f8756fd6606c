package sagatest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// began registers a run, and has everything come to it that is still to come.
func (t *trial[S, P]) began(e *execution[S, P]) {
	t.mu.Lock()
	e.n = len(t.runs) + 1
	t.runs = append(t.runs, e)
	coming := make(map[int]time.Duration)
	for i, at := range t.comes {
		if !t.came[i] {
			coming[i] = max(at.Sub(e.env.Now()), time.Millisecond)
		}
	}
	t.mu.Unlock()
	t.note(e, "run %d begins", e.n)
	for i, in := range coming {
		e.env.RegisterDelayedCallback(func() { t.arrive(e, i) }, in)
	}
	if k := t.kit(); k.Attention.Open && !k.Ended {
		t.askOperator(e, k.Attention.Count, operatorAfter)
	}
}

// appended reacts to what was recorded: an event may arrive, attention may be requested, another run may continue.
func (t *trial[S, P]) appended(e *execution[S, P]) {
	for _, other := range t.all() {
		if other != e && t.cell.fault == faultSecond {
			other.resume()
		}
	}
	s := t.folded()
	k := t.plan.Flow.Kit(&s)
	if k.Ended {
		return
	}
	e = t.current()
	if k.Attention.Open {
		t.askOperator(e, k.Attention.Count, operatorAfter)
	}
	if t.cell.scenario.unrelated != "" && k.Decision == saga.GoBack {
		t.expect(e, t.cell.scenario.unrelated)
	}
	a := t.plan.Flow.Decide(s, saga.Facts{}, e.env.Now(), t.plan.Settings.Of)
	row := t.plan.rowOf(point{row: a.Step})
	waits := a.Kind == saga.Wait && row != nil
	if t.cell.scenario.cancelled && k.Decision == "" && (waits && row.Kind == saga.Await || a.Kind == saga.Record && a.Entry.Key == saga.SlotDecide) {
		t.cancel()
		return
	}
	if waits && a.Step != t.cell.scenario.unrelated {
		t.expect(e, a.Step)
	}
}

// expect has the events come for which a row waits.
func (t *trial[S, P]) expect(e *execution[S, P], row string) {
	for i, a := range t.arrivals {
		if a.Row != row || a.Since != "" && !t.has(a.Since) {
			continue
		}
		expected := false
		t.locked(func() {
			if _, expected = t.comes[i]; !expected {
				t.comes[i] = e.env.Now().Add(a.After)
			}
		})
		switch {
		case expected:
		case row == t.cell.scenario.unrelated:
			t.arrive(e, i)
		default:
			e.env.RegisterDelayedCallback(func() { t.arrive(e, i) }, a.After)
		}
	}
}

// arrive has an event of the journey come to a run, if that is still the one to get it.
func (t *trial[S, P]) arrive(e *execution[S, P], i int) {
	if e != t.current() || e.gone() {
		return
	}
	t.locked(func() { t.came[i] = true })
	t.send(t.arrivals[i])
}

// send sends an event of the journey.
func (t *trial[S, P]) send(a Arrival) {
	if t.world.Before != nil {
		t.world.Before(a)
	}
	t.signal(sent{a.Signal, a.Payload})
}

// signal sends a signal.
func (t *trial[S, P]) signal(s sent) {
	e := t.current()
	t.note(e, "signal %s", s.name)
	e.signal(s)
}

// cancel sends a cancellation, once.
func (t *trial[S, P]) cancel() {
	again := false
	t.locked(func() { again, t.cancelled = t.cancelled, true })
	if !again {
		t.signal(sent{saga.SignalCancel, saga.Cancellation{ID: "cancellation-1", Cause: "cancellation-1", Reason: "changed my mind"}})
	}
}

// repeat sends everything again that was sent.
func (t *trial[S, P]) repeat() {
	for _, e := range t.all() {
		for _, s := range e.heard() {
			t.signal(s)
		}
	}
}

// has reports whether the stream has an event of a type.
func (t *trial[S, P]) has(eventType string) bool {
	return slices.ContainsFunc(t.records(), func(r event.Record) bool { return r.Type == eventType })
}

// decidedAbout reports whether a person has decided so about a part.
func (t *trial[S, P]) decidedAbout(part string, action saga.ResolutionAction) bool {
	return slices.ContainsFunc(t.records(), func(r event.Record) bool {
		var d saga.ResolutionData
		return r.Type == t.plan.decided(action) && json.Unmarshal(r.Data, &d) == nil && d.Item == part
	})
}

// unrelatedFact sends events to which no row listens, and those of the journey before the saga waits for them. A participant notifies only of
// what it was asked.
func (t *trial[S, P]) unrelatedFact() {
	t.signal(sent{"sagatest-stray", "stray"})
	t.signal(sent{saga.SignalFact, saga.Fact{Type: "sagatest.stray", ID: "stray-1", Cause: "stray-1"}})
	for i, a := range t.arrivals {
		came := false
		t.locked(func() { came = t.came[i] })
		if row := t.plan.rowOf(point{row: a.Row}); !came && row.Kind == saga.Await && (a.Since == "" || t.has(a.Since)) {
			t.send(a)
		}
	}
}

const (
	// operatorAfter is how long a person takes to decide, personAgain how long until the next decision about the same.
	operatorAfter = time.Minute
	operatorAgain = 10 * time.Minute
)

// call is what a run has a person called about.
type call struct{ run, attention int }

// askOperator makes an operator decide, after a while, about what needs attention, once.
func (t *trial[S, P]) askOperator(e *execution[S, P], attention int, after time.Duration) {
	called := false
	t.locked(func() {
		called = t.called[call{e.n, attention}]
		t.called[call{e.n, attention}] = true
	})
	if !called {
		e.env.RegisterDelayedCallback(func() { t.decide(e, attention) }, after)
	}
}

// decide has a person decide about what is open. What has failed until then works again.
func (t *trial[S, P]) decide(e *execution[S, P], attention int) {
	s := t.folded()
	k := t.plan.Flow.Kit(&s)
	if e != t.current() || e.gone() || k.Ended || !k.Attention.Open || k.Attention.Count != attention {
		return
	}
	situation, allowed := t.plan.Flow.AttentionKind(&s)
	if len(allowed) == 0 {
		return
	}
	decisions := 0
	t.locked(func() {
		t.decisions++
		decisions = t.decisions
	})
	if decisions > maxDecisions {
		t.giveUp("the saga needs attention for good: %s: %s", situation, k.Attention.Error)
		return
	}
	action := saga.Skip
	switch decision := t.cell.journey.Decision; {
	case decision != "" && t.plan.parts() != nil && t.plan.parts().Name == k.Attention.Step &&
		slices.Contains(allowed, decision) && !t.decidedAbout(k.Attention.Item, decision):
		action = decision
	case t.cell.scenario.stuck == k.Attention.Step && slices.Contains(allowed, saga.Compensate):
		action = saga.Compensate
	case slices.Contains(allowed, saga.Retry):
		action = saga.Retry
	}
	if action != saga.Compensate {
		t.locked(func() { t.outages, t.mended = nil, true })
	}
	r := saga.Resolution{Action: action, By: "sagatest", Note: fmt.Sprintf("decision %d", decisions)}
	r = r.Identified(t.plan.Flow.StreamOf(k.ID), k.Attention, "")
	t.note(e, "a person decides: %s", action)
	e.env.UpdateWorkflow(saga.UpdateResolve, r.ID, &answers{func(err error) { t.note(e, "the decision is not taken: %v", err) }}, r)
	e.env.RegisterDelayedCallback(func() { t.decide(e, attention) }, operatorAgain)
}

// answers receives the answer to a decision.
type answers struct{ refused func(err error) }

func (v *answers) Accept()          {}
func (v *answers) Reject(err error) { v.refused(err) }
func (v *answers) Complete(_ any, err error) {
	if err != nil {
		v.refused(err)
	}
}

// timer is called when a run begins a timer. One beside which another run goes on waits for that: their clocks are not the same.
func (t *trial[S, P]) timer(e *execution[S, P]) {
	t.mu.Lock()
	t.calls++
	calls := t.calls
	t.mu.Unlock()
	if calls > maxCalls {
		t.giveUp("the saga does not end: it has waited %d times", calls)
	}
	if current := t.current(); e != current && !e.gone() {
		<-current.over
	}
}

// payloadOf is a payload as Temporal keeps it.
func payloadOf(payload any) (json.RawMessage, error) { return json.Marshal(payload) }
