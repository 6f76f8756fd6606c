package saga

import (
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
	// slow are the activities whose calls are too slow for workflow tasks.
	slow []string

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
	r.state, r.unlisted, r.slow = state, result.Unlisted, result.Slow
	r.readParts()
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
