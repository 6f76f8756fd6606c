package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
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

// desk is what a run knows of the operators' decisions besides order.Facts.
type desk struct {
	// refused are the reasons of the decisions that were refused, by id: a duplicate gets the same answer.
	refused map[string]string
}

// handleResolve registers the Update. It only sets a fact and waits for the verdict.
func (r *orderRun) handleResolve(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateResolve, r.resolve, workflow.UpdateHandlerOptions{
		Validator: func(_ workflow.Context, d order.Resolution) error {
			if !event.ValidID(d.ID) {
				return fault.New(fault.Invalid, "the id of a decision %s", event.IDRule)
			}
			return nil
		},
		Description: "Decides about what is stuck and waits for the verdict.",
	})
}

// resolve takes in a decision and waits until it stands in the log, or does not fit any more. What does not fit when it
// comes is refused at once.
func (r *orderRun) resolve(ctx workflow.Context, d order.Resolution) (ResolveVerdict, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	// Before that it is not known what is stuck.
	if err := workflow.Await(disconnected, func() bool { return r.conflict || r.state.Opened() }); err != nil {
		return ResolveVerdict{}, err
	}
	r.addResolution(d)
	if err := workflow.Await(disconnected, func() bool { return r.conflict || r.judged(d.ID) }); err != nil {
		return ResolveVerdict{}, err
	}
	verdict := ResolveVerdictOf(r.state, d)
	if !verdict.Accepted {
		verdict.Detail = r.desk.refused[d.ID]
	}
	return verdict, nil
}

// addResolution makes a decision a fact, once an id, or refuses it.
func (r *orderRun) addResolution(d order.Resolution) {
	if _, refused := r.desk.refused[d.ID]; refused || r.state.Recorded(d.ID) || r.pending(d.ID) >= 0 {
		return
	}
	if why := r.state.WhyNotResolvable(d); why != "" {
		r.refuse(d.ID, why)
		return
	}
	// It is about what is open now, and not about what may come after it.
	d.Attention = r.state.Attention.Count
	r.facts.Resolutions = append(r.facts.Resolutions, d)
	r.changes++
}

// judged reports whether a decision has its verdict, and refuses it when it has stopped to fit.
func (r *orderRun) judged(id string) bool {
	if n := r.pending(id); n >= 0 {
		switch why := r.state.WhyNotResolvable(r.facts.Resolutions[n]); {
		case r.state.Recorded(id):
			r.facts.Resolutions = slices.Delete(r.facts.Resolutions, n, n+1)
		case why != "":
			r.refuse(id, why)
		}
	}
	return r.pending(id) < 0
}

// refuse refuses a decision.
func (r *orderRun) refuse(id, why string) {
	if r.desk.refused == nil {
		r.desk.refused = make(map[string]string)
	}
	r.desk.refused[id] = why
	if n := r.pending(id); n >= 0 {
		r.facts.Resolutions = slices.Delete(r.facts.Resolutions, n, n+1)
	}
}

// pending returns the place of the decision of that id among the facts, -1 when it is not there.
func (r *orderRun) pending(id string) int {
	return slices.IndexFunc(r.facts.Resolutions, func(d order.Resolution) bool { return d.ID == id })
}

// decided reports whether an operator has decided something that is to be followed now: no attempt and no pause is worth
// waiting for then.
func (r *orderRun) decided() bool {
	_, decided := r.state.Decided(r.facts)
	return decided
}

// proves reports whether an action asks the gateway whether the payment was captured, because an operator wants the order
// to be undone.
func proves(a saga.Action) bool { return a.Kind == saga.Lookup && a.Step == string(order.StepCapture) }

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
		r.refuse(d.ID, "the gateway does not say whether the payment was captured: "+saga.Describe(cause)+
			"; decide again, with another note, when it does")
	}
}
