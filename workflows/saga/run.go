package saga

import (
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Run is the workflow of a flow: Decide says where in the table a saga is, the driver does one thing, activities act, the log
// remembers.
//
// Any run can finish any saga. A run begins with what the stream knows, so it does not matter whether it is the first, one that
// took over from a terminated one, or one whose workflow task was thrown away after its effects had happened.
//
// An input without a valid ID is that of another version: it fails the workflow task, and never the workflow.
func (f *Flow[S, P]) Run(ctx workflow.Context, in Input) (Result, error) {
	if !event.ValidID(in.ID) {
		panic(fault.New(fault.Invalid, "the input of a %s has no ID: %s", f.Name, event.IDRule))
	}
	r, err := f.setup(ctx, in)
	if err != nil {
		return Result{}, err
	}
	return r.run()
}

// run is one run of a saga.
type run[S, P any] struct {
	flow *Flow[S, P]
	// ctx is disconnected from the workflow's cancellation: a cancellation is a fact, not an interruption.
	ctx workflow.Context
	// own is the workflow's own context, looked at for that fact.
	own workflow.Context
	log log.Logger
	in  Input

	state    S
	facts    Facts
	settings Settings
	// seen are the newest identities of the events that signals passed on, so that a duplicate changes nothing.
	seen *recentIDs
	// changes counts facts; a wait ends when it moves.
	changes       int
	interventions Interventions
	heard         afterEnd
	// recovering is where to continue reading the interrupted runs; nil when all of it is read.
	recovering *RecoverCursor
	// drain is what callers see of a run that is about to continue as new.
	drain Drain
	// late are events that came when the saga had ended. unsettled reports that an earlier attempt may have recorded some
	// from which something follows.
	late      []LateEvent
	unsettled bool
	// unconfirmed are notifications that the participant did not confirm, because it was not asked in time, or was asked too early: at
	// most one of a type.
	unconfirmed []Fact
	// conflict reports that the stream belongs to a saga with different data.
	conflict bool
	// known reports that the stream was read, unread that it has more, and again that it is to be folded again; the last two are of endless
	// flows.
	known, unread, again bool
	// unlisted reports that the list does not show the end of the saga yet.
	unlisted bool

	outbox outbox
	shown  Status
}

var _ Run[StepInput[Saga], StepResult[Saga]] = (*run[Saga, any])(nil)

// setup registers the handlers. It does nothing else: what a handler sets is looked at by run.
func (f *Flow[S, P]) setup(ctx workflow.Context, in Input) (*run[S, P], error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &run[S, P]{
		flow: f, ctx: disconnected, own: ctx, log: workflow.GetLogger(ctx), in: in,
		seen: newRecentIDs(nil), shown: Accepted,
	}
	if in.Resume != nil {
		r.facts, r.outbox.confirmed, r.unconfirmed = in.Resume.Facts, in.Resume.Published, in.Resume.Unconfirmed
		r.seen, r.late = newRecentIDs(in.Resume.Seen), in.Resume.Late
	}
	r.interventions = Interventions{
		// Before the stream is open it is not known what is stuck.
		Ready:   func() (known, over bool) { return r.known, r.conflict },
		State:   func() (Resolvable, int) { return resolvable[S, P]{f, &r.state}, r.kit().Attention.Count },
		Facts:   &r.facts.Resolutions,
		Changed: func() { r.changes++ },
		Answer:  func(d Resolution) ResolveAnswer { return f.ResolveAnswer(&r.state, d) },
		Drain:   &r.drain,
	}
	if err := r.handle(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// resolvable is a state as interventions need it.
type resolvable[S, P any] struct {
	flow  *Flow[S, P]
	state *S
}

func (r resolvable[S, P]) Recorded(resolutionID string) bool {
	return kitOf(r.state).Recorded(resolutionID)
}

func (r resolvable[S, P]) RejectResolution(d Resolution) string {
	return r.flow.RejectResolution(r.state, d)
}

// kit is the kit's part of the state.
func (r *run[S, P]) kit() *Saga { return kitOf(&r.state) }

// run drives the saga to its end.
func (r *run[S, P]) run() (Result, error) {
	if err := r.open(); err != nil {
		return Result{}, err
	}
	if r.conflict = !r.flow.SameStart(&r.state, r.in.Data); r.conflict {
		r.log.Error("the stream belongs to a saga with different data", "stream", r.flow.StreamOf(r.in.ID))
		err := workflow.Await(r.ctx, func() bool { return workflow.AllHandlersFinished(r.ctx) })
		return Result{ID: r.in.ID, Status: r.kit().Status, Conflict: true}, err
	}
	// Now it is known whether the saga has ended: each signal is judged like one that comes now.
	switch handedOn, err := r.recover(); {
	case err != nil:
		return Result{}, err
	case handedOn:
		r.DrainSignals()
		return Result{}, r.ContinueAsNew()
	}
	calls := r.flow.calls(&r.state)
	for again := true; again; again = r.unread {
		if err := NewDriver(r.ctx, calls, r).Run(); err != nil {
			return Result{}, err
		}
		if r.flow.Endless {
			r.DrainSignals() // what came while the last answers were given
		}
	}
	k := r.kit()
	return Result{ID: r.in.ID, Status: k.Status, Reason: k.Reason, Version: k.Head.Version}, nil
}

// open appends the first event, or finds the stream as another run left it, and takes in the cancellations that came before.
func (r *run[S, P]) open() error {
	in := OpenInput{
		ID: r.in.ID, Data: r.in.Data, CorrelationID: r.in.CorrelationID, CausationID: r.in.CausationID, CallerID: r.in.CallerID,
		Known: r.in.Resume != nil, Now: workflow.Now(r.ctx),
	}
	if r.flow.Endless {
		r.DrainSignals() // what is said to be there is read now
		r.unread = false
	}
	result, err := UntilDone(r.ctx, r.flow.callOpen(), in, r.show)
	if err != nil {
		return err
	}
	r.settings = result.Settings
	r.fold(result.StepResult)
	r.known = true
	for _, c := range result.Early {
		r.take(r.flow.Cancellation(r.in.ID, c))
	}
	return nil
}

// read takes in what others have appended to the stream of an endless flow.
func (r *run[S, P]) read() error {
	r.unread = false
	if r.again {
		var none S
		kitOf(&none).ID = r.in.ID
		r.state, r.known = none, false
	}
	result, err := UntilDone(r.ctx, r.flow.callRecord("read new events"), r.stepInput(), r.show)
	if err != nil {
		return err
	}
	r.fold(result)
	r.known = true
	return nil
}

// fold takes in what a step found in the log.
func (r *run[S, P]) fold(result StepResult[S]) {
	state := Must(r.flow.Fold(r.state, result.Tail))
	if result.State != nil && kitOf(result.State).Head.Version > kitOf(&state).Head.Version {
		state = *result.State
	}
	k := kitOf(&state)
	if !k.Ended {
		r.heard.open()
	}
	if !r.flow.Private {
		r.outbox.add(result.Tail)
		r.outbox.skip(k.Head.Version)
		r.outbox.confirm(result.Published)
	}
	if len(k.Slots) != len(r.kit().Slots) {
		// What was found out about an earlier attempt says nothing about this one.
		r.facts.GivenUp, r.facts.LookedUp = "", ""
	}
	if r.flow.Bound != nil {
		r.again = r.flow.Bound(&state)
	}
	r.state, r.unlisted = state, result.Unlisted
	r.readParts()
}

// Facts counts what signals have brought.
func (r *run[S, P]) Facts() int { return r.changes }

// Next asks Decide, once everything is read.
func (r *run[S, P]) Next(now time.Time) Action {
	if r.unread || r.again {
		return Action{Kind: Record}
	}
	return r.flow.Decide(r.state, r.facts, now, r.settings.Of)
}

// Record appends what Decide says, and everything that it says right after it, in one append.
func (r *run[S, P]) Record() error {
	if r.unread || r.again {
		if err := r.read(); err != nil {
			return err
		}
	}
	entries := r.flow.Decisions(r.state, r.facts, workflow.Now(r.ctx), r.settings.Of)
	if len(entries) == 0 {
		return nil
	}
	in := r.stepInput()
	in.Entries = entries
	result, err := UntilDone(r.ctx, r.flow.callRecord("record "+types(entries)), in, r.show)
	if err != nil {
		return err
	}
	r.facts.Stuck, r.facts.Answer = nil, nil
	r.fold(result)
	return nil
}

// stepInput is what every step gets.
func (r *run[S, P]) stepInput() StepInput[S] {
	r.heard.ask()
	return StepInput[S]{State: r.state, Settings: r.settings, Unpublished: r.outbox.beside(), Now: workflow.Now(r.ctx)}
}

// types lists the types of events, for people.
func types(entries []event.Entry) string {
	list := ""
	for i, e := range entries {
		if i > 0 {
			list += ", "
		}
		list += e.Type
	}
	return list
}

// Input is the saga as far as it is folded, with what the step needs besides.
func (r *run[S, P]) Input(a Action, inline bool) StepInput[S] {
	in := r.stepInput()
	in.Inline, in.Item = inline, a.Item
	row := r.flow.row(&r.state, a.Step)
	switch {
	case row == nil:
	case a.Kind == Lookup && row.Pending != nil:
		if f := r.facts.first(row.Pending.On); f != nil {
			fact := *f
			in.Fact, r.facts.Received = &fact, r.facts.without(fact)
		}
	case a.Kind == Do && r.facts.Later != nil && r.facts.Later.about(a):
		in.Hint, in.Tries, in.Last = r.facts.Later.Hint, r.facts.Later.Tries, r.facts.Later.Over(workflow.Now(r.ctx), r.settings.Of(row.Deadline))
	case a.Kind == Undo && row.Do == nil:
		in.Entries = []event.Entry{r.flow.entry(r.kit(), UndoSlot(row.Name), row.Undone[0], workflow.Now(r.ctx))}
	}
	return in
}

// Durable leaves out what only an inline step does. The background publishes from here on: every attempt would publish
// the same again.
func (r *run[S, P]) Durable(in StepInput[S]) StepInput[S] {
	in.Inline, in.Unpublished = false, nil
	return in
}

// Fast reports whether remote calls may run inside a workflow task.
func (r *run[S, P]) Fast() bool { return r.settings.Fast }

// Interrupts reports whether a cancellation, a request to turn back or a person's decision has made an attempt pointless.
func (r *run[S, P]) Interrupts(a Action) bool {
	if r.kit().Decision == "" && a.Kind == Do && (len(r.facts.Cancellations) > 0 || r.facts.TurnBack != nil) {
		return true
	}
	_, decided := r.decided()
	return a.Kind != Lookup && decided
}

// decided returns what a person has decided that is to be followed now: no attempt and no pause is worth waiting for then.
func (r *run[S, P]) decided() (Resolution, bool) {
	return r.flow.Decided(&r.state, r.facts.Resolutions)
}

// isLookupForCompensation reports whether an action asks whether a forward step was done, because a person wants the saga to be compensated.
func (r *run[S, P]) isLookupForCompensation(a Action) bool {
	row := r.flow.row(&r.state, a.Step)
	return a.Kind == Lookup && row != nil && row.Kind == Forward
}

// Fold takes in what a step has answered.
func (r *run[S, P]) Fold(a Action, in StepInput[S], out StepResult[S]) error {
	r.facts.Stuck = nil
	row := r.flow.row(&r.state, a.Step)
	switch {
	case a.Kind == Do:
		before := r.facts.Later
		r.facts.Later, r.facts.Answer = nil, out.Answer
		if out.Later != nil {
			out.Later.Step, out.Later.Item = a.Step, a.Item
			r.facts.Later = out.Later.After(before, r.in.ID, workflow.Now(r.ctx), r.settings.Of(row.Deadline))
		}
	case a.Kind != Lookup || len(out.Tail) > 0 || out.State != nil:
	case r.isLookupForCompensation(a):
		if d, decided := r.decided(); decided {
			r.facts.NotDone = d.ID
		}
	case in.Fact == nil:
		r.facts.LookedUp = a.Step
	case !r.flow.Unconfirmed(&r.facts, r.state, a.Step, *in.Fact, workflow.Now(r.ctx), r.settings.Of):
		// The participant does not know of it. If the saga is compensated, the notification is late.
		r.keep(*in.Fact)
	}
	r.fold(out)
	return nil
}

// GiveUp keeps in mind that it is not known whether a step happened: Decide has it looked up, or compensated.
func (r *run[S, P]) GiveUp(a Action, in StepInput[S], cause error) {
	r.log.Warn("the outcome of a step stays unknown", "stream", r.flow.StreamOf(r.in.ID), "step", a.Step, "error", cause)
	switch {
	case r.isLookupForCompensation(a):
		if d, decided := r.decided(); decided {
			r.interventions.Refuse(d.ID, r.flow.row(&r.state, a.Step).unknownText()+": "+Describe(cause)+
				"; send the decision again later, with a different note")
		}
	case a.Kind != Lookup:
		r.facts.GivenUp = a.Step
	case in.Fact == nil:
		r.facts.LookedUp = a.Step
	case !workflow.Now(r.ctx).Before(r.flow.PendingUntil(r.state, a.Step, r.settings.Of)), !Retryable(cause):
		// Nothing is waited for any more. If the saga is compensated, the notification is late.
		r.keep(*in.Fact)
	case !r.facts.has(in.Fact.Type):
		// It will not come again: its message was acknowledged.
		r.facts.AddFact(*in.Fact)
	}
}

// keep remembers a notification that the participant did not confirm.
func (r *run[S, P]) keep(fact Fact) {
	kept := Facts{Received: r.unconfirmed}
	kept.AddFact(fact)
	r.unconfirmed = kept.Received
}

// Raise has Decide ask an operator to act.
func (r *run[S, P]) Raise(s Stuck) {
	if r.flow.NoAttention {
		return
	}
	r.facts.Stuck = &StuckCall{
		Step: s.Step, Undo: s.Kind == Undo, Error: Describe(s.Cause), Attempts: s.Attempts, NextTry: s.NextTry,
	}
	if row := r.flow.partsRow(); row != nil && row.Parts.follows(s.Step) {
		r.facts.Stuck.Item = s.Item
	}
}

// Patience is the setting, and short once a person is being asked to act.
func (r *run[S, P]) Patience() time.Duration {
	if r.flow.NoAttention {
		return AttentionTimeout
	}
	if r.kit().Attention.Open {
		return min(SlowBatch, r.settings.Attention)
	}
	return r.settings.Attention
}

// Idle shows why the run stays where it is, and publishes what is left meanwhile.
func (r *run[S, P]) Idle(note string) {
	r.show(note)
	r.publishLater()
}

// Drain is what callers see of a run that is about to continue as new.
func (r *run[S, P]) Drain() *Drain { return &r.drain }

// MayContinueAsNew reports whether nothing would be lost by a new run. One that has ended closes instead.
func (r *run[S, P]) MayContinueAsNew() bool { return !r.kit().Ended }

// ContinueAsNew bounds the history of a run that waits for long.
func (r *run[S, P]) ContinueAsNew() error {
	if r.outbox.pending {
		// The next run continues publishing.
		r.outbox.cancel()
	}
	next := r.in
	facts := r.facts
	if r.kit().AnswersCancellation() {
		facts.Cancellations = nil
	}
	next.Resume = &Resume{
		Facts: facts, Seen: r.seen.list(), Published: r.outbox.confirmed, Unconfirmed: r.unconfirmed, Late: r.late, Recover: r.recovering,
	}
	return workflow.NewContinueAsNewError(r.ctx, r.flow.WorkflowType(), next)
}

// Close ends the run once everything is published and every caller has its answer. Events that arrive meanwhile are recorded as late.
func (r *run[S, P]) Close() error {
	r.show("")
	if r.unlisted {
		if _, err := UntilDone(r.ctx, r.flow.callList(), ListInput[S]{State: r.state}, r.show); err != nil {
			return err
		}
	}
	r.publishLater()
	for judged := false; ; judged = true {
		err := workflow.Await(r.ctx, func() bool {
			r.DrainSignals()
			return r.closable() || len(r.late) > 0 || r.drain.Due(r.ctx) || r.unread
		})
		if err == nil {
			err = r.recordLate(!judged)
		}
		switch {
		case err != nil:
			return err
		case r.unread: // it goes on
			return nil
		case r.closable() && len(r.late) == 0 && !r.unsettled:
			return nil
		case r.drain.Due(r.ctx):
			// Neither the broker nor senders of late events keep this run: another one closes.
			if err := r.drain.Release(r.ctx); err != nil {
				return err
			}
			r.DrainSignals()
			r.facts, r.unconfirmed = Facts{}, nil
			return r.ContinueAsNew()
		}
	}
}

// closable reports whether everything is published and every caller has its answer.
func (r *run[S, P]) closable() bool { return !r.outbox.pending && workflow.AllHandlersFinished(r.ctx) }
