package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// ResolveVerdict answers an operator's decision.
type ResolveVerdict struct {
	// Accepted tells that the decision stands in the log.
	Accepted bool         `json:"accepted"`
	Status   order.Status `json:"status"`
	// Detail says why not.
	Detail string `json:"detail,omitempty"`
}

// ResolveVerdictOf is the answer to a decision about an order, as far as the log knows it.
func ResolveVerdictOf(s order.State, d order.Resolution) ResolveVerdict {
	v := ResolveVerdict{Accepted: s.Recorded(d.ID), Status: s.Status}
	if !v.Accepted {
		v.Detail = s.WhyNotResolvable(d)
	}
	return v
}

// maxDecisions bounds how many decisions wait for a run at once.
const maxDecisions = 8

// desk is where operators' decisions come to a run.
type desk struct {
	// ready reports whether it is known what is stuck, and over that the run has nothing to do with it.
	ready func() (known, over bool)
	// state is what the log knows; open is the number of the attention that is open, or was last.
	state func() (s deskState, open int)
	// facts are the decisions that are not recorded yet; changed tells the run of a new one.
	facts   *[]order.Resolution
	changed func()
	// verdict answers a decision.
	verdict func(d order.Resolution) ResolveVerdict
	// refused are the reasons of the decisions that were refused, by id: a duplicate gets the same answer. They are few: the
	// run takes only decisions that fit, and a decision that does not fit when it comes is rejected without a trace.
	refused map[string]string
	// drain is the run's.
	drain *saga.Drain
}

// deskState is what a desk has to know of a saga.
type deskState interface {
	Recorded(resolutionID string) bool
	WhyNotResolvable(d order.Resolution) string
}

// handle registers the Update. It only sets a fact and waits for the verdict.
func (d *desk) handle(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateResolve, d.resolve, workflow.UpdateHandlerOptions{
		Validator: func(_ workflow.Context, r order.Resolution) error {
			switch {
			case !event.ValidID(r.ID):
				return fault.New(fault.Invalid, "the id of a decision %s", event.IDRule)
			case d.drain.Closed() || d.answered(r) || len(*d.facts) >= maxDecisions && d.pending(r.ID) < 0:
				return saga.ErrTryAgain()
			}
			return nil
		},
		Description: "Decides about what is stuck and waits for the verdict.",
	})
}

// resolve takes in a decision and waits until it stands in the log, or does not fit any more. What does not fit when it
// comes is refused at once.
func (d *desk) resolve(ctx workflow.Context, r order.Resolution) (ResolveVerdict, error) {
	d.drain.Count()
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	if err := saga.AwaitStored(disconnected); err != nil {
		return ResolveVerdict{}, err
	}
	err := workflow.Await(disconnected, func() bool {
		known, over := d.ready()
		return known || over || d.drain.Released()
	})
	if err != nil {
		return ResolveVerdict{}, err
	}
	if !d.drain.Released() {
		d.add(r)
	}
	judged := false
	err = workflow.Await(disconnected, func() bool {
		_, over := d.ready()
		judged = over || d.judged(r.ID)
		return judged || d.drain.Released()
	})
	switch {
	case err != nil:
		return ResolveVerdict{}, err
	case d.drain.Released() && (!judged || !d.knows(r.ID)):
		return ResolveVerdict{}, saga.ErrTryAgain()
	}
	verdict := d.verdict(r)
	if !verdict.Accepted {
		verdict.Detail = d.refused[r.ID]
	}
	return verdict, nil
}

// answered reports whether the log has the answer to a decision that comes now: it was recorded, or nothing that is open
// takes it. A decision that was refused later than it came is answered by the run.
func (d *desk) answered(r order.Resolution) bool {
	known, over := d.ready()
	if _, refused := d.refused[r.ID]; !known || over || refused || d.pending(r.ID) >= 0 {
		return false
	}
	state, _ := d.state()
	return state.Recorded(r.ID) || state.WhyNotResolvable(r) != ""
}

// knows reports whether a decision was recorded or refused.
func (d *desk) knows(id string) bool {
	_, refused := d.refused[id]
	state, _ := d.state()
	return refused || state.Recorded(id)
}

// add makes a decision a fact, once an id, or refuses it.
func (d *desk) add(r order.Resolution) {
	state, open := d.state()
	if _, refused := d.refused[r.ID]; refused || state.Recorded(r.ID) || d.pending(r.ID) >= 0 {
		return
	}
	if why := state.WhyNotResolvable(r); why != "" {
		d.refuse(r.ID, why)
		return
	}
	// It is about what is open now, and not about what may come after it.
	r.Attention = open
	*d.facts = append(*d.facts, r)
	d.changed()
}

// judged reports whether a decision has its verdict, and refuses it when it has stopped to fit.
func (d *desk) judged(id string) bool {
	if n := d.pending(id); n >= 0 {
		state, _ := d.state()
		switch why := state.WhyNotResolvable((*d.facts)[n]); {
		case state.Recorded(id):
			*d.facts = slices.Delete(*d.facts, n, n+1)
		case why != "":
			d.refuse(id, why)
		}
	}
	return d.pending(id) < 0
}

// refuse refuses a decision.
func (d *desk) refuse(id, why string) {
	if d.refused == nil {
		d.refused = make(map[string]string)
	}
	d.refused[id] = why
	if n := d.pending(id); n >= 0 {
		*d.facts = slices.Delete(*d.facts, n, n+1)
	}
}

// pending returns the place of the decision of that id among the facts, -1 when it is not there.
func (d *desk) pending(id string) int {
	return slices.IndexFunc(*d.facts, func(r order.Resolution) bool { return r.ID == id })
}

// newDesk is the desk of an order's run.
func (r *orderRun) newDesk() desk {
	return desk{
		// Before the stream is open it is not known what is stuck.
		ready:   func() (known, over bool) { return r.state.Opened(), r.conflict },
		state:   func() (deskState, int) { return r.state, r.state.Attention.Count },
		facts:   &r.facts.Resolutions,
		changed: func() { r.changes++ },
		verdict: func(d order.Resolution) ResolveVerdict { return ResolveVerdictOf(r.state, d) },
		drain:   &r.drain,
	}
}

// decided reports whether an operator has decided something that is to be followed now: no attempt and no pause is worth
// waiting for then.
func (r *orderRun) decided() bool {
	_, decided := r.state.Decided(r.facts)
	return decided
}

// proves reports whether an action asks the gateway whether the payment was captured, because an operator wants the order
// to be undone.
func proves(a saga.Action) bool { return a.Kind == saga.Lookup && a.Step == order.StepCapture }

// notCaptured keeps in mind for which decision the gateway has said that nothing was captured. What was captured is
// adopted instead, and the decision does not fit any more.
func (r *orderRun) notCaptured() {
	if d, decided := r.state.Decided(r.facts); decided {
		r.facts.NotCaptured = d.ID
	}
}

// notProven refuses a decision about which the gateway does not say what it needs.
func (r *orderRun) notProven(cause error) {
	if d, decided := r.state.Decided(r.facts); decided {
		r.desk.refuse(d.ID, "the gateway does not say whether the payment was captured: "+saga.Describe(cause)+
			"; decide again, with another note, when it does")
	}
}
