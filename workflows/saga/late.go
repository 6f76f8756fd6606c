package saga

import (
	"cmp"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
)

// lateBatch is how many late events are recorded at once.
const lateBatch = 50

// maxCarried is how many late events a run that is due hands on to the next one.
const maxCarried = 200

// recordLate records every event that arrived after the saga had ended, until no other one has arrived meanwhile or the
// run is due, and starts the saga that handles them. First reports that the facts of the run are checked, too.
func (r *run[S, P]) recordLate(first bool) error {
	if first {
		r.unanswered()
	}
	for r.DrainSignals(); len(r.late) > 0 || r.unsettled; r.DrainSignals() {
		if r.drain.Due(r.ctx) && len(r.late) <= maxCarried && !r.unsettled {
			return nil
		}
		batch := r.late[:min(len(r.late), lateBatch)]
		k := r.kit()
		in := LateInput{
			ID: k.ID, Status: k.Status, CorrelationID: k.CorrelationID, Events: batch,
			Handled: k.HappenedAfterCancel, Unsettled: r.unsettled, Now: workflow.Now(r.ctx),
		}
		r.late, r.unsettled = r.late[len(batch):], false
		result, err := UntilDone(r.ctx, r.flow.callLate(), in, r.show)
		if err == nil && result.Consequential {
			err = r.settleLate()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recordLateEvent keeps an event to be recorded as late, unless no event of the bus brought the fact, or the log has its effect or its answer: what has
// caused one of the saga's events came in time, and again, as it does when a workflow is reset.
func (r *run[S, P]) recordLateEvent(e LateEvent) {
	if e.EventID != "" && !r.flow.Answered(&r.state, e) {
		r.late = append(r.late, e)
	}
}

// Answered reports whether the log shows that the event was handled before: then it is a redelivery.
func (f *Flow[S, P]) Answered(s *S, e LateEvent) bool {
	k := kitOf(s)
	return k.Caused(e.Identity) || e.Type == f.cancelRequested() && k.CancelRefused
}

// unanswered finds what the run took for a fact before it knew that the saga had ended, or was decided: it came late
// too. A workflow task is discarded when a signal arrives while it runs, and runs again with the signal in view; then the
// log knows more than the run.
func (r *run[S, P]) unanswered() {
	k := r.kit()
	for _, c := range r.facts.Cancellations {
		if !k.Cancelled() && !k.CancelRefused {
			r.recordLateEvent(c.fact(r.flow.cancelRequested()).Late())
		}
	}
	if k.Decision != GoForward {
		for _, e := range r.heard.events {
			if r.isUnanswered(e.Type) {
				r.recordLateEvent(e)
			}
		}
	}
	for _, facts := range [][]Fact{r.unconfirmed, r.facts.Received} {
		for _, fact := range facts {
			r.unused(fact)
		}
	}
}

// unused judges a fact that the saga has not used.
func (r *run[S, P]) unused(fact Fact) {
	k := r.kit()
	switch {
	case r.flow.notifies(fact.Type) && k.Decision == GoForward:
		// It came in time and says nothing new, or an earlier attempt has taken it for late, and what it began is still
		// to be done.
		r.unsettled = r.unsettled || r.flow.Late != nil && r.flow.Late.Unsettled != nil && r.flow.Late.Unsettled(fact.Type)
	case r.flow.notifies(fact.Type), k.Decision != GoForward && !k.HappenedAfterCancel:
		r.recordLateEvent(fact.Late())
	}
}

// isUnanswered reports whether nothing that the saga has recorded answers an event of the type that came before its end was known.
func (r *run[S, P]) isUnanswered(eventType string) bool {
	switch {
	case eventType == r.flow.cancelRequested():
		return !r.kit().Cancelled()
	case r.flow.notifies(eventType):
		return true
	}
	return !r.kit().HappenedAfterCancel
}

// notifies reports whether events of the type notify of the outcome of a step that was pending.
func (f *Flow[S, P]) notifies(eventType string) bool {
	return slices.ContainsFunc(f.Steps, func(row Step[S, P]) bool { return row.Pending != nil && slices.Contains(row.Pending.On, eventType) })
}

// lateEvent is the data of the event that keeps a late one, but for the saga's ID.
type lateEvent struct {
	EventID  string `json:"eventId"`
	Type     string `json:"type"`
	Status   Status `json:"status"`
	Identity string `json:"identity,omitempty"`
}

// LateStreamOf is the name of the stream of events that came after a saga of the flow had ended, where nothing follows from them.
func (f *Flow[S, P]) LateStreamOf(id string) string { return f.Stream + ".late-" + event.Escape(id) }

// LateEntries are the events that keep late ones. Each has the slot of its identity.
func (f *Flow[S, P]) LateEntries(in LateInput, at time.Time) []event.Entry {
	entries := make([]event.Entry, len(in.Events))
	for i, e := range in.Events {
		slot := cmp.Or(e.Identity, event.DerivedID(e.Type, e.ID))
		data := Object(f.subject(), in.ID, lateEvent{e.EventID, e.Type, in.Status, e.Identity})
		entries[i] = event.New(f.LateStreamOf(in.ID), slot, f.prefix()+"."+kindLate, in.ID, at, data).CausedBy(in.CorrelationID, e.EventID)
	}
	return entries
}

// settleLate starts a separate saga that handles late events. It outlives this one.
func (r *run[S, P]) settleLate() error {
	rule, k := r.flow.Late, r.kit()
	if rule == nil || rule.Workflow == "" {
		return nil
	}
	id := rule.WorkflowID(k.ID)
	child := workflow.WithChildOptions(r.ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, TaskQueue: r.flow.Queue, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         Summary(rule.Summary(k.ID)),
		TypedSearchAttributes: temporal.NewSearchAttributes(rule.Attributes(&r.state)...),
	})
	for range settleAttempts {
		err := workflow.ExecuteChildWorkflow(child, rule.Workflow, Input{ID: k.ID}).GetChildWorkflowExecution().Get(r.ctx, nil)
		if !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return err
		}
		if workflow.SignalExternalWorkflow(r.ctx, id, "", rule.Signal, nil).Get(r.ctx, nil) == nil {
			return nil
		}
		// It has closed between the two: the next one is started.
		if err := workflow.Sleep(r.ctx, time.Second); err != nil {
			return err
		}
	}
	// The events are in the log: reconcile finds that they are not handled.
	r.log.Error("the saga for late events could be neither started nor signalled", "stream", r.flow.StreamOf(k.ID))
	return nil
}

// settleAttempts bounds how often a saga that closes at that moment is signalled.
const settleAttempts = 30
