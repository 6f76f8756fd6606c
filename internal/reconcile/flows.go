package reconcile

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// FlowSagas are the runs of the sagas of a flow that a team has added; internal/sagaclient has them.
type FlowSagas interface {
	// Inspect returns the newest run of a saga.
	Inspect(ctx context.Context, id string) (Run, error)
	// All yields the IDs of the sagas of which Temporal lists a run; those whose run completed only if that was at since or later, unless
	// since is zero. BrokenOff yields those of which it lists a run that closed without having come to its end. An ID may come several times.
	All(ctx context.Context, since time.Time) iter.Seq2[string, error]
	BrokenOff(ctx context.Context) iter.Seq2[string, error]
	// Lost returns the facts that interrupted runs of a saga received by signals, and that no later run was to take over. TellAgain signals it
	// to the saga again.
	Lost(ctx context.Context, id string) (saga.Facts, error)
	TellAgain(ctx context.Context, id string) error
	// GoOn starts a run of an open saga that has none, Rerun one of a saga of which the log has no event, Republish one of a saga that has
	// ended, which publishes all its events.
	GoOn(ctx context.Context, id string) error
	Rerun(ctx context.Context, id string) error
	Republish(ctx context.Context, id string) error
}

// FlowList is the list of the sagas of added flows, by the names of their streams.
type FlowList interface {
	// All yields every entry in the order of the bytes of the names; one that cannot be read has a name and version 0.
	All(ctx context.Context) iter.Seq2[readmodel.Order, error]
	Get(ctx context.Context, stream string) (readmodel.Order, bool, error)
}

// Flow is a flow that a team has added, as a check looks at it.
type Flow struct {
	saga.Definer
	Sagas FlowSagas
	// Timing is how long the waits of its sagas last.
	Timing saga.Timing
	// Mend rebuilds the list entry of a saga, by the name of its stream.
	Mend func(ctx context.Context, stream string) error
}

// flowOf returns the flow that a stream belongs to, and the ID of the saga.
func (r *Reconciler) flowOf(stream string) (f Flow, id string, ok bool) {
	return r.flowBy(stream, func(f Flow) string { return f.StreamOf("") })
}

// flowBy returns the flow whose streams of a kind a stream is one of, and the ID of the saga.
func (r *Reconciler) flowBy(stream string, prefix func(Flow) string) (f Flow, id string, ok bool) {
	for _, f := range r.cfg.Flows {
		begins := prefix(f)
		if escaped, ok := strings.CutPrefix(stream, begins); ok && begins != "" {
			id, ok = event.Unescape(escaped)
			return f, id, ok
		}
	}
	return Flow{}, "", false
}

// flowRepairs are what is done about the sagas of added flows, and what is said about it then.
var flowRepairs = map[Repair]struct {
	done string
	do   func(f Flow, ctx context.Context, id string) error
}{
	RepairResume: {"started a run that continues from the log", func(f Flow, ctx context.Context, id string) error { return f.Sagas.GoOn(ctx, id) }},
	RepairRerun: {"started a run with the input from Temporal", func(f Flow, ctx context.Context, id string) error {
		return f.Sagas.Rerun(ctx, id)
	}},
	RepairRepublish: {"started a run that publishes every event again", func(f Flow, ctx context.Context, id string) error {
		return f.Sagas.Republish(ctx, id)
	}},
	RepairSignal: {"sent the signal again", func(f Flow, ctx context.Context, id string) error { return f.Sagas.TellAgain(ctx, id) }},
	RepairList: {"wrote the list entry again", func(f Flow, ctx context.Context, id string) error {
		return f.Mend(ctx, f.StreamOf(id))
	}},
}

// flowUnit is a saga of an added flow with everything that belongs to it.
type flowUnit struct {
	*chain
	flow    Flow
	records []event.Record
	entry   readmodel.Order
	shown   bool
}

// saga checks a saga of an added flow: its stream folds and goes no further than its end, nothing was done that it had not decided, the list
// shows it, and a run continues it.
func (c *chain) saga(f Flow) {
	u := &flowUnit{chain: c, flow: f}
	c.take = func(r event.Record) { u.records = append(u.records, r) }
	c.done = func(ctx context.Context) (err error) {
		if u.entry, u.shown, err = c.listedSagas.of(c.stream); err != nil {
			return err
		}
		if c.broken || len(u.records) == 0 {
			return nil
		}
		c.work.Go(func() error { return u.examine(ctx) })
		return ctx.Err()
	}
}

// subjectOf is the ID in the data of an event; "" when there is none.
func subjectOf(r event.Record, field string) (id string) {
	var d map[string]json.RawMessage
	if json.Unmarshal(r.Data, &d) == nil {
		_ = json.Unmarshal(d[field], &id)
	}
	return id
}

func (u *flowUnit) examine(ctx context.Context) error {
	first := u.records[0]
	if first.Key != saga.SlotAccept {
		u.damage(StreamBeginning, first.Version, "it begins with %s in slot %s", first.Type, first.Key)
		return nil
	}
	if id := subjectOf(first, u.flow.Info().Subject); id != u.id {
		u.damage(StreamBeginning, first.Version, "it contains %s %q", u.flow.Info().Name, id)
		return nil
	}
	v, folds := u.flow.viewOf(u.records)
	if !folds {
		u.unreadable()
		return nil
	}
	u.decisions()
	if err := u.list(v); err != nil {
		return err
	}
	if v.Ended && u.o.Since > 0 && u.now.Sub(v.UpdatedAt) > u.o.Since {
		return nil
	}
	return u.run(ctx, v)
}

// unreadable finds the first record that does not fold.
func (u *flowUnit) unreadable() {
	for n := range u.records {
		if _, err := u.flow.View(u.records[:n+1]); err != nil {
			u.damage(StreamFold, u.records[n].Version, "%v", err)
			return
		}
	}
}

// viewOf is what records make of a saga. Folds is false when they do not fold: that is found where the stream is walked.
func (f Flow) viewOf(records []event.Record) (v saga.View, folds bool) {
	v, err := f.View(records)
	return v, err == nil
}

// decisions checks that nothing comes after the end, and nothing before the decision that it needs.
func (u *flowUnit) decisions() {
	info := u.flow.Info()
	forward, undone := make(map[string]bool), make(map[string]bool)
	past := false
	for _, step := range info.Steps {
		if past = past || step.Kind == saga.Pivot; past && step.Done != "" {
			forward[step.Done] = true
		}
		for _, t := range step.Undone {
			undone[t] = true
		}
	}
	const ahead, back = "forward", "back"
	decision, ended := "", ""
	for _, r := range u.records {
		if ended != "" {
			u.damage(StreamAfterEnd, r.Version, "%s is recorded after the terminal event %s", r.Type, ended)
		}
		wants := ""
		switch undo := strings.HasPrefix(r.Key, saga.UndoSlot("")); {
		case r.Key == saga.SlotDecide:
			if decision = ahead; strings.HasSuffix(r.Type, ".compensating") {
				decision = back
			}
		case r.Key == saga.SlotTurn:
			if decision != ahead {
				u.damage(StreamPivot, r.Version, "%s is recorded although the decision is %q", r.Type, decision)
			}
			decision = back
		case r.Key == saga.SlotEnd:
			ended = r.Type
			switch {
			case strings.HasSuffix(r.Type, "."+string(saga.Completed)):
				wants = ahead
			case decision == ahead:
				wants = back
			}
		case undo && undone[r.Type]:
			wants = back
		case !undo && forward[r.Type]:
			wants = ahead
		}
		if wants != "" && wants != decision {
			u.damage(StreamPivot, r.Version, "%s requires the decision %q, but it is %q", r.Type, wants, decision)
		}
	}
}

// list holds the list entry against the saga. The list skips what lasts milliseconds: it must show the newest status in which sagas of the
// flow may stay, at any version from there on.
func (u *flowUnit) list(v saga.View) error {
	name := v.Flow + " " + v.ID
	if !u.shown {
		u.found(ListMissing, v.Version, "%s is %s at version %d", name, v.Status, v.Version)
		return nil
	}
	switch {
	case u.entry.Version > v.Version:
		u.found(ListAhead, v.Version, "the list shows version %d as %s, the log ends at %d", u.entry.Version, u.entry.Status, v.Version)
		return nil
	case u.entry.Version < 1:
		u.found(ListDifferent, v.Version, "the list entry cannot be read")
		return nil
	}
	at := v
	for n := u.entry.Version; n <= v.Version; n++ {
		next, err := u.flow.View(u.records[:n])
		if err != nil {
			return err
		}
		switch {
		case n > u.entry.Version && next.Status != at.Status && u.flow.Lasts(next.Status):
			u.found(ListBehind, v.Version, "the list shows version %d as %s, %s is %s at version %d", u.entry.Version, u.entry.Status, name, v.Status, v.Version)
			return nil
		case n > u.entry.Version:
		case !same(u.entry, readmodel.FromView(next, u.stream)):
			u.found(ListDifferent, v.Version, "the list shows version %d as %s, the log says %s, or they differ in another field", n, u.entry.Status, next.Status)
			return nil
		default:
			at = next
		}
	}
	return nil
}

// sagaOrphan is a list entry without a saga. Those of flows that this binary does not have are left alone.
func (l *look) sagaOrphan(stream string, e readmodel.Order) {
	if _, id, ok := l.flowOf(stream); ok {
		l.found(ListOrphan, id, stream, e.Version, "the list shows version %d as %q, but the log has no such saga", e.Version, e.Status)
	}
}

// sagaEntries are the entries of the list of sagas of added flows; in a second look, those that it is about.
func (l *look) sagaEntries(ctx context.Context) iter.Seq2[named[readmodel.Order], error] {
	return func(yield func(named[readmodel.Order], error) bool) {
		switch {
		case l.cfg.FlowList == nil:
		case l.streams == nil:
			for e, err := range l.cfg.FlowList.All(ctx) {
				if !yield(named[readmodel.Order]{e.ID, e}, err) || err != nil {
					return
				}
			}
		default:
			for _, stream := range slices.Sorted(maps.Keys(l.streams)) {
				if _, _, ok := l.flowOf(stream); !ok {
					continue
				}
				e, there, err := l.cfg.FlowList.Get(ctx, stream)
				if (there || err != nil) && (!yield(named[readmodel.Order]{stream, e}, err) || err != nil) {
					return
				}
			}
		}
	}
}
