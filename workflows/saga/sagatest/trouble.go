package sagatest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// interfere has something happen, or nothing.
func (w *world[S, P]) interfere() {
	if w.kit().Attention.Open && w.draw("person", 3) == 2 && w.operator(saga.ResolutionActions) {
		return
	}
	const calm, everything = 8, 18
	switch n := w.draw("meddle", everything) - calm; n {
	case 0:
		w.cancel()
	case 1, 2, 3:
		if types := w.listened(); len(types) > 0 {
			w.receive(types[w.draw("type", len(types))])
		}
	case 4:
		w.now = w.now.Add(time.Duration(1+w.draw("hours", 40*24)) * time.Hour)
	case 5:
		w.now = w.now.Add(time.Duration(1+w.draw("seconds", 60*60)) * time.Second)
	case 6:
		w.note("another run takes over")
		w.continueAsNewRun()
	case 7:
		w.anyone()
	case 8:
		if len(w.late) > 0 {
			at := w.late[w.draw("which", len(w.late))]
			w.note("late: %s", at.action)
			w.execute(at, true)
		}
	case 9:
		w.turnBack()
	}
}

// id returns the next ID.
func (w *world[S, P]) id(prefix string) string {
	w.count++
	return fmt.Sprintf("%s%d", prefix, w.count)
}

// listened are the types of the events to which rows listen.
func (w *world[S, P]) listened() []string {
	var types []string
	for i := range w.table.Steps {
		row := &w.table.Steps[i]
		if row.Pending != nil {
			types = append(types, row.Pending.On...)
		}
		if row.Wait != nil {
			types = append(types, row.Wait.On...)
			for _, trouble := range row.Wait.Trouble {
				types = append(types, trouble.On)
			}
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// fact draws an event of a type to which a row listens, as a fact.
func (w *world[S, P]) fact(eventType string) saga.Fact {
	id := w.id("e")
	f := saga.Fact{Type: eventType, ID: id, Identity: saga.Identity(eventType, sagaID, id)}
	if w.draw("cause", 2) == 0 {
		f.Cause = id
	}
	if data := w.start.fact(w.t, eventType); data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			w.fail("the data of %s: %v", eventType, err)
		}
		f.Data = raw
	}
	return f
}

// receive passes an event to the run, unless the saga has ended.
func (w *world[S, P]) receive(eventType string) {
	if !w.kit().Ended {
		w.note("heard: %s", eventType)
		w.run.facts.AddFact(w.fact(eventType))
	}
}

// cancel passes a cancellation to the run, unless the log has the answer.
func (w *world[S, P]) cancel() {
	if k := w.kit(); k.Ended || k.CancelRefused || len(w.run.facts.Cancellations) >= saga.MaxCancellations {
		return
	}
	w.note("cancelled")
	w.run.facts.Cancellations = append(w.run.facts.Cancellations, w.cancellation())
}

func (w *world[S, P]) cancellation() saga.Cancellation {
	id := w.id("c")
	return saga.Cancellation{ID: id, Cause: id, Identity: saga.Identity("cancellation", sagaID, id), Reason: "changed my mind"}
}

// turnBack has an undecided saga turn back by its own signal, if the flow has one.
func (w *world[S, P]) turnBack() {
	if w.table.TurnBack != nil && w.kit().Decision == "" && w.run.facts.TurnBack == nil {
		w.note("signalled to turn back")
		w.run.facts.TurnBack = w.turn()
	}
}

// turn is how a saga ends that turns back by the signal.
func (w *world[S, P]) turn() *saga.Ending {
	if w.table.TurnBack == nil {
		return nil
	}
	payload, err := w.start.turnBack()
	var ending saga.Ending
	if err == nil {
		ending, err = w.table.TurnBack.Ending(payload)
	}
	if err != nil {
		w.fail("the ending of %s: %v", w.table.TurnBack.Signal, err)
	}
	return &ending
}

// anyone has a person decide something about what is open.
func (w *world[S, P]) anyone() {
	action := saga.ResolutionActions[w.draw("action", len(saga.ResolutionActions))]
	texts := []string{"looked at it", ""}
	w.resolve(action, texts[w.draw("note", 2)], texts[w.draw("reference", 2)])
}

// resolve has a person decide: what does not fit is refused.
func (w *world[S, P]) resolve(action saga.ResolutionAction, note, reference string) {
	r := saga.Resolution{ID: w.id("r"), Action: action, Note: note, Reference: reference, By: "ops"}
	if w.flow.RejectResolution(&w.run.state, r) != "" {
		return
	}
	w.note("a person decides: %s", action)
	r.Attention = w.kit().Attention.Count
	w.run.facts.Resolutions = append(w.run.facts.Resolutions, r)
}

// withdraw takes a decision away that was refused.
func (w *world[S, P]) withdraw(id string) {
	w.run.facts.Resolutions = slices.DeleteFunc(slices.Clone(w.run.facts.Resolutions), func(r saga.Resolution) bool { return r.ID == id })
}

// forget removes the decisions that are answered.
func (w *world[S, P]) forget() {
	w.run.facts.Resolutions = slices.DeleteFunc(slices.Clone(w.run.facts.Resolutions), func(r saga.Resolution) bool {
		return w.kit().Recorded(r.ID) || w.flow.RejectResolution(&w.run.state, r) != ""
	})
}

// everything are facts of every kind.
func (w *world[S, P]) everything() saga.Facts {
	f := saga.Facts{
		Cancellations: []saga.Cancellation{w.cancellation()}, TurnBack: w.turn(),
		Resolutions: []saga.Resolution{{ID: w.id("r"), Action: saga.Skip, Note: "looked at it"}},
	}
	for _, eventType := range w.listened() {
		f.AddFact(w.fact(eventType))
	}
	for i := range w.table.Steps {
		f.Stuck = &saga.StuckCall{Step: w.table.Steps[i].Name, Error: "no answer"}
		f.GivenUp = w.table.Steps[i].Name
	}
	return f
}
