package sagatest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// handle is what the process of a run has of log, bus, list and earlier runs.
type handle[S, P any] struct{ e *execution[S, P] }

// table is the flow with step functions that are watched.
func (e *execution[S, P]) table() saga.Flow[S, P] {
	flow := *e.trial.plan.Flow
	flow.Steps = slices.Clone(flow.Steps)
	for i := range flow.Steps {
		if p := flow.Steps[i].Parts; p != nil && p.Follow != nil {
			parts, follow := *p, *p.Follow
			parts.Follow, flow.Steps[i].Parts = &follow, &parts
		}
	}
	for row := range flow.Operated() {
		for kind, o := range map[saga.ActionKind]**saga.Operation[S, P]{saga.Do: &row.Do, saga.Lookup: &row.Lookup, saga.Undo: &row.Undo} {
			if *o == nil || (*o).Run == nil {
				continue
			}
			watched := **o
			watched.Run = e.watch(row, kind, watched.Run)
			*o = &watched
		}
	}
	return flow
}

// watch is a step function with a point before and after its effect.
func (e *execution[S, P]) watch(row *saga.Step[S, P], kind saga.ActionKind, run saga.StepFunc[S, P]) saga.StepFunc[S, P] {
	name, rowKind := row.Name, row.Kind
	return func(p P, ctx context.Context, c saga.Call[S]) (saga.Outcome, error) {
		if err := e.trial.reach(ctx, e, point{name, string(kind), before}); err != nil {
			return saga.Outcome{}, err
		}
		e.trial.checkCall(e, name, rowKind, kind)
		o, err := run(p, ctx, c)
		if err != nil {
			e.trial.note(e, "%s of %s: %v", kind, name, err)
			return o, err
		}
		e.trial.note(e, "%s of %s: %s", kind, name, o)
		if err := e.trial.reach(ctx, e, point{name, string(kind), done}); err != nil {
			return saga.Outcome{}, err
		}
		return o, nil
	}
}

// pointsOf are the points at which records are appended. Step is that of the activity's step function, if it has one.
func (t *trial[S, P]) pointsOf(ctx context.Context, entries []event.Entry) (step *point, kit []point) {
	operation, ok := t.operations[activity.GetInfo(ctx).ActivityType.Name]
	if ok {
		step = &operation
	}
	for _, e := range entries {
		if at := t.plan.pointOf(e.Key); !ok || at.op == opRecord || at.op == rowTurn {
			kit = append(kit, at)
		}
	}
	return step, kit
}

// pointOf is the point at which the event of a slot is recorded.
func (p *plan[S, P]) pointOf(key string) point {
	switch {
	case key == saga.SlotAccept:
		return point{row: saga.SlotAccept, op: opOpen}
	case key == saga.SlotTurn:
		return point{row: saga.SlotDecide, op: rowTurn}
	case key == saga.SlotCancelRefused:
		return point{row: rowCancel, op: opRecord}
	case key == saga.SlotEnd:
		return point{row: saga.SlotEnd, op: opRecord}
	case strings.HasPrefix(key, rowAttention+"/") && strings.HasSuffix(key, "/decided"):
		return point{row: rowDecision, op: opRecord}
	case strings.HasPrefix(key, rowAttention+"/"):
		return point{row: rowAttention, op: opRecord}
	}
	for row := range p.Flow.Operated() {
		slot := slotOf(row)
		switch {
		case row.Parts != nil && strings.HasPrefix(key, row.Parts.Slot+"/"):
			return point{row: strings.ReplaceAll(key, "/", " "), op: opRecord}
		case row.Parts != nil && isOfPart(row, key):
			return point{row: row.Parts.Follow.Name, op: string(saga.Do)}
		case row.Kind == saga.Pivot && key == saga.SlotDecide, key == slot && row.Do == nil:
			return point{row: row.Name, op: opRecord}
		case key == slot, key == slot+"/pending":
			return point{row: row.Name, op: string(saga.Do)}
		case key == saga.UndoSlot(row.Name):
			return point{row: row.Name, op: string(saga.Undo)}
		}
	}
	return point{row: key, op: string(saga.Do)}
}

// Append implements activities.Log.
func (h *handle[S, P]) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	t := h.e.trial
	step, kit := t.pointsOf(ctx, entries)
	for _, at := range kit {
		at.at = before
		if err := t.reach(ctx, h.e, at); err != nil {
			return event.Head{}, nil, err
		}
	}
	if !h.e.may(attemptOf(ctx)) {
		return event.Head{}, nil, errGone
	}
	newest, tail, err := t.log.Append(ctx, stream, head, entries)
	if err != nil {
		t.note(h.e, "not recorded: %v", err)
		return newest, tail, err
	}
	for _, r := range tail {
		fresh := false
		t.locked(func() {
			fresh = r.Version > t.newest
			t.newest = max(t.newest, r.Version)
		})
		if fresh {
			t.note(h.e, "+ %d %s: %s", r.Version, r.Key, r.Type)
		}
	}
	t.appended(h.e)
	if step != nil {
		kit = append(kit, *step)
	}
	for _, at := range kit {
		at.at = recorded
		if err := t.reach(ctx, h.e, at); err != nil {
			return event.Head{}, nil, err
		}
	}
	return newest, tail, nil
}

// Read implements activities.Log.
func (h *handle[S, P]) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	if !h.e.may(attemptOf(ctx)) {
		return nil, errGone
	}
	return h.e.trial.log.Read(ctx, stream, after, limit)
}

// Head implements activities.Log.
func (h *handle[S, P]) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	if !h.e.may(attemptOf(ctx)) {
		return event.Record{}, false, errGone
	}
	return h.e.trial.log.Head(ctx, stream)
}

// Publish implements activities.Publisher.
func (h *handle[S, P]) Publish(ctx context.Context, records []event.Record) (int, error) {
	t := h.e.trial
	if err := t.reach(ctx, h.e, point{rowEvents, opPublish, before}); err != nil {
		return 0, err
	}
	t.locked(func() { t.published = append(t.published, records...) })
	t.note(h.e, "published: %d to %d", records[0].Version, records[len(records)-1].Version)
	if err := t.reach(ctx, h.e, point{rowEvents, opPublish, done}); err != nil {
		return 0, err
	}
	return len(records), nil
}

// Project implements activities.List.
func (h *handle[S, P]) Project(ctx context.Context, s S) error {
	if !h.e.may(attemptOf(ctx)) {
		return errGone
	}
	t := h.e.trial
	t.locked(func() { t.listed = append(t.listed, t.plan.Flow.Kit(&s).Status) })
	return nil
}

// Recover implements activities.Predecessors: it reads the signals of the interrupted run.
func (h *handle[S, P]) Recover(_ context.Context, in saga.RecoverInput) (saga.RecoverResult, error) {
	collected := h.e.flow.Collect(in.ID, in.Ended)
	for _, e := range h.e.trial.all() {
		if fmt.Sprint("run ", e.n) != in.Cursor.Run {
			continue
		}
		if e.in.Resume != nil {
			collected.Before(*e.in.Resume)
		}
		for _, s := range e.heard() {
			payload, err := payloadOf(s.payload)
			if err == nil {
				err = collected.Signal(s.name, payload)
			}
			if err != nil {
				return saga.RecoverResult{}, err
			}
		}
	}
	return saga.RecoverResult{Facts: collected.Facts()}, nil
}

// late records late events.
func (h *handle[S, P]) late(ctx context.Context, in saga.LateInput) (saga.LateResult, error) {
	if !h.e.may(attemptOf(ctx)) {
		return saga.LateResult{}, activities.ToTemporal(errGone)
	}
	t := h.e.trial
	for _, e := range in.Events {
		t.locked(func() { t.lateTypes = append(t.lateTypes, e.Type) })
		t.note(h.e, "late: %s", e.Type)
	}
	if t.plan.Late != nil {
		return t.plan.Late(ctx, in)
	}
	return saga.LateResult{}, nil
}
