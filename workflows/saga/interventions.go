package saga

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// maxWaiting bounds how many decisions of people wait for a run at once.
const maxWaiting = 8

// Interventions take in the decisions of people for a run: the Update UpdateResolve. All fields but refused are mandatory.
type Interventions struct {
	// Ready reports whether it is known what is stuck, and whether the run has nothing to do with it.
	Ready func() (known, over bool)
	// State is what the log knows; open is the number of the attention that is open, or was last.
	State func() (s Resolvable, open int)
	// Facts are the decisions that are not recorded yet; Changed is called when there is a new one.
	Facts   *[]Resolution
	Changed func()
	// Answer returns the answer to a decision.
	Answer func(r Resolution) ResolveAnswer
	// Drain is the run's.
	Drain *Drain
	// refused are the reasons of the decisions that were refused, by id: a duplicate gets the same answer. They are few: the
	// run takes only decisions that fit, and a decision that does not fit when it comes is rejected without a trace.
	refused map[string]string
}

// Resolvable is what interventions need of the state of a saga.
type Resolvable interface {
	Recorded(resolutionID string) bool
	RejectResolution(r Resolution) string
}

// Handle registers the Update. It only sets a fact and waits for the answer.
func (d *Interventions) Handle(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateResolve, d.resolve, workflow.UpdateHandlerOptions{
		Validator: func(_ workflow.Context, r Resolution) error {
			switch {
			case !event.ValidToken(r.ID):
				return fault.New(fault.Invalid, "the id of a decision %s", event.TokenRule)
			case max(len(r.Action), len(r.By), len(r.Note), len(r.Reference)) > maxClip:
				// Those of the API are short; anyone may send others with Temporal's tools.
				return fault.New(fault.Invalid, "a text of the decision is too long: at most %d bytes", maxClip)
			case d.Drain.Closed() || d.answered(r) || len(*d.Facts) >= maxWaiting && d.pending(r.ID) < 0:
				return ErrTryAgain()
			}
			return nil
		},
		Description: "Records an intervention and waits for the result.",
	})
}

// resolve adds a decision and waits until it is in the log, or no longer applies. A decision that does not apply when it
// arrives is refused at once.
func (d *Interventions) resolve(ctx workflow.Context, r Resolution) (ResolveAnswer, error) {
	d.Drain.Count()
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	if err := awaitStored(disconnected); err != nil {
		return ResolveAnswer{}, err
	}
	err := workflow.Await(disconnected, func() bool {
		known, over := d.Ready()
		return known || over || d.Drain.Released()
	})
	if err != nil {
		return ResolveAnswer{}, err
	}
	if !d.Drain.Released() {
		d.add(r)
	}
	judged := false
	err = workflow.Await(disconnected, func() bool {
		_, over := d.Ready()
		judged = over || d.isAnswered(r.ID)
		return judged || d.Drain.Released()
	})
	switch {
	case err != nil:
		return ResolveAnswer{}, err
	case d.Drain.Released() && (!judged || !d.knows(r.ID)):
		return ResolveAnswer{}, ErrTryAgain()
	}
	verdict := d.Answer(r)
	if !verdict.Accepted {
		verdict.Detail = d.refused[r.ID]
	}
	return verdict, nil
}

// answered reports whether the log has the answer to a decision that comes now: it was recorded, or nothing that is open
// takes it. A decision that was refused later than it came is answered by the run.
func (d *Interventions) answered(r Resolution) bool {
	known, over := d.Ready()
	if _, refused := d.refused[r.ID]; !known || over || refused || d.pending(r.ID) >= 0 {
		return false
	}
	state, _ := d.State()
	return state.Recorded(r.ID) || state.RejectResolution(r) != ""
}

// knows reports whether a decision was recorded or refused.
func (d *Interventions) knows(id string) bool {
	_, refused := d.refused[id]
	state, _ := d.State()
	return refused || state.Recorded(id)
}

// add makes a decision a fact, once an id, or refuses it.
func (d *Interventions) add(r Resolution) {
	state, open := d.State()
	if _, refused := d.refused[r.ID]; refused || state.Recorded(r.ID) || d.pending(r.ID) >= 0 {
		return
	}
	if why := state.RejectResolution(r); why != "" {
		d.Refuse(r.ID, why)
		return
	}
	// It is about what is open now, and not about what may come after it.
	r.Attention = open
	*d.Facts = append(*d.Facts, r)
	d.Changed()
}

// isAnswered reports whether a decision is answered, and refuses it when it no longer applies.
func (d *Interventions) isAnswered(id string) bool {
	if n := d.pending(id); n >= 0 {
		state, _ := d.State()
		switch why := state.RejectResolution((*d.Facts)[n]); {
		case state.Recorded(id):
			*d.Facts = slices.Delete(*d.Facts, n, n+1)
		case why != "":
			d.Refuse(id, why)
		}
	}
	return d.pending(id) < 0
}

// Refuse refuses a decision.
func (d *Interventions) Refuse(id, why string) {
	if d.refused == nil {
		d.refused = make(map[string]string)
	}
	d.refused[id] = why
	if n := d.pending(id); n >= 0 {
		*d.Facts = slices.Delete(*d.Facts, n, n+1)
	}
}

// pending returns the place of the decision of that id among the facts, -1 when it is not there.
func (d *Interventions) pending(id string) int {
	return slices.IndexFunc(*d.Facts, func(r Resolution) bool { return r.ID == id })
}
