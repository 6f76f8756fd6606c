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
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// FlowSagas are the runs of the sagas of a flow; internal/sagaclient has them.
type FlowSagas interface {
	// Inspect returns the newest run of a saga.
	Inspect(ctx context.Context, id string) (Run, error)
	// All yields the IDs of the sagas of which Temporal lists a run; those whose run completed only if that was at since or later, unless
	// since is zero. Interrupted yields those of which it lists a run that closed without having come to its end. An ID may come several times.
	All(ctx context.Context, since time.Time) iter.Seq2[string, error]
	Interrupted(ctx context.Context) iter.Seq2[string, error]
	// Lost returns the facts that interrupted runs of a saga received by signals, and that no later run was to take over. ResendSignals signals it
	// to the saga again.
	Lost(ctx context.Context, id string) (saga.Facts, error)
	ResendSignals(ctx context.Context, id string) error
	// StartRun starts a run of an open saga that has none, Rerun one of a saga of which the log has no event, Republish one of a saga that has
	// ended, which publishes all its events.
	StartRun(ctx context.Context, id string) error
	Rerun(ctx context.Context, id string) error
	Republish(ctx context.Context, id string) error
}

// Flow is a flow, as a check looks at it.
type Flow struct {
	saga.Definer
	Sagas FlowSagas
	// Timing is how long the waits of its sagas last.
	Timing saga.Timing
	// RebuildEntry rebuilds the list entry of a saga, by the name of its stream.
	RebuildEntry func(ctx context.Context, stream string) error
	// Unsettled is found of a saga of an endless flow that no run works on, although something is left to be done.
	Unsettled Kind
}

// flowOf returns the flow that a stream belongs to, and the ID of the saga.
func (r *Reconciler) flowOf(stream string) (f Flow, id string, ok bool) {
	return r.flowBy(stream, func(f Flow) string { return f.StreamOf("") })
}

func (r *Reconciler) isOrders(f Flow) bool { return f.Info().Name == r.orders.Info().Name }

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

// flowUnit is a saga of any flow except order, with everything that belongs to it.
type flowUnit struct {
	*chain
	flow    Flow
	records []event.Record
	entry   readmodel.Order
	shown   bool
}

// saga checks a saga: its stream folds and goes no further than its end, nothing was done that it had not decided, the list
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
	info, first := u.flow.Info(), u.records[0]
	switch id := subjectOf(first, info.Subject); {
	case info.Endless:
	case first.Key != saga.SlotAccept:
		u.damage(StreamBeginning, first.Version, "it begins with %s in slot %s", first.Type, first.Key)
		return nil
	case id != u.id:
		u.damage(StreamBeginning, first.Version, "it contains %s %q", info.Name, id)
		return nil
	}
	var v, atEntry saga.View
	var listedAt int64
	worked := !info.Endless
	for next, err := range u.flow.Views(u.records) {
		if err != nil {
			u.damage(StreamFold, next.Version, "%v", err)
			return nil
		}
		if next.Version == u.entry.Version {
			atEntry = next
		}
		// The stream of an endless saga may have entries of others only, of which nothing follows: no run has listed it.
		worked = worked || next.Status == saga.Accepted || next.Attention != nil
		if worked && u.flow.Lasts(next.Status) && (listedAt == 0 || next.Status != v.Status) {
			listedAt = next.Version
		}
		v = next
	}
	if info.Endless {
		return u.endless(ctx, v, atEntry, listedAt)
	}
	u.decisions()
	var err error
	switch info.Name {
	case refund.Flow.Name:
		err = u.refund(ctx)
	case returns.Flow.Name:
		err = u.returned(ctx)
	}
	if err != nil {
		return err
	}
	u.list(u.entry, u.shown, readmodel.FromView(atEntry, u.stream), readmodel.FromView(v, u.stream), listedAt)
	return u.run(ctx, u.flow, v, u.records)
}

// endless checks a saga that has no end. Its stream is written by others, too: a run that is about to read it writes the list.
func (u *flowUnit) endless(ctx context.Context, v, atEntry saga.View, listedAt int64) error {
	if err := u.lateAfter(ctx); err != nil {
		return err
	}
	fresh := u.now.Sub(v.UpdatedAt) <= u.o.Stale
	if !fresh {
		u.list(u.entry, u.shown, readmodel.FromView(atEntry, u.stream), readmodel.FromView(v, u.stream), listedAt)
	}
	info, open := u.flow.Info(), v.Status == saga.Accepted || v.Attention != nil
	if fresh && info.NoAttention || !open && info.Private {
		return nil
	}
	run, err := u.flow.Sagas.Inspect(ctx, u.id)
	switch {
	case err != nil:
		return err
	case run.Running:
		return u.progress(u.flow, v, u.records, run)
	case open && !run.Found:
		u.found(u.flow.Unsettled, v.Version, "it is %s at version %d, and Temporal has no workflow of it", v.Status, v.Version)
	case open || run.Found && !run.Completed:
		// A run that was broken off may have left events unpublished.
		u.found(u.flow.Unsettled, v.Version, "it is %s at version %d, and its newest run is %s", v.Status, v.Version, run.Status)
	}
	return nil
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

// sagaOrphan is a list entry without a saga. Those of flows that this binary does not have are left alone.
func (l *look) sagaOrphan(stream string, e readmodel.Order) {
	if _, id, ok := l.flowOf(stream); ok {
		l.found(ListOrphan, id, stream, e.Version, "the list shows version %d as %q, but the log has no such saga", e.Version, e.Status)
	}
}

// sagaStreams are the streams of sagas that are no orders among the subjects of a second look.
func (l *look) sagaStreams() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(l.streams)), func(stream string) bool {
		f, _, ok := l.flowOf(stream)
		return !ok || l.isOrders(f)
	})
}
