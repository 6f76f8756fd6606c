package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/eventlog"
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
	// Lost returns what a saga was told by signals to runs that were broken off, and that no later run was to take over. TellAgain signals it
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
	// Mend makes the list entry of a saga anew, by the name of its stream.
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
	RepairResume: {"a run was started that goes on from the log", func(f Flow, ctx context.Context, id string) error { return f.Sagas.GoOn(ctx, id) }},
	RepairRerun: {"a run was started that begins with what Temporal knows", func(f Flow, ctx context.Context, id string) error {
		return f.Sagas.Rerun(ctx, id)
	}},
	RepairRepublish: {"a run was started that publishes every event again", func(f Flow, ctx context.Context, id string) error {
		return f.Sagas.Republish(ctx, id)
	}},
	RepairSignal: {"the saga was told again", func(f Flow, ctx context.Context, id string) error { return f.Sagas.TellAgain(ctx, id) }},
	RepairList: {"the list entry was made anew", func(f Flow, ctx context.Context, id string) error {
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
// shows it, and a run goes on with it.
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
		u.damage(StreamBeginning, first.Version, "it tells of %s %q", u.flow.Info().Name, id)
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
			u.damage(StreamAfterEnd, r.Version, "%s comes after %s, which ends it", r.Type, ended)
		}
		wants := ""
		switch undo := strings.HasPrefix(r.Key, saga.UndoSlot("")); {
		case r.Key == saga.SlotDecide:
			if decision = ahead; strings.HasSuffix(r.Type, ".compensating") {
				decision = back
			}
		case r.Key == saga.SlotTurn:
			if decision != ahead {
				u.damage(StreamPivot, r.Version, "%s comes when it has decided %q", r.Type, decision)
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
			u.damage(StreamPivot, r.Version, "%s needs the decision %q, and it is %q", r.Type, wants, decision)
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
		l.found(ListOrphan, id, stream, e.Version, "the log has no such saga, and the list shows version %d as %q", e.Version, e.Status)
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

// run holds a saga against its newest run.
func (u *flowUnit) run(ctx context.Context, v saga.View) error {
	run, err := u.flow.Sagas.Inspect(ctx, u.id)
	if err != nil {
		return err
	}
	switch {
	case run.Running:
		if v.Attention != nil && u.now.Sub(v.UpdatedAt) > attentionForLong {
			u.found(AttentionForLong, v.Version, "%s since %s", v.Attention.Step, v.UpdatedAt.UTC().Format(time.RFC3339))
		}
		kind, why, err := u.stalledFlow(u.flow, v, u.records, run)
		if err == nil && kind != "" {
			u.found(kind, v.Version, "%s", why)
		}
		return err
	case !run.Found && !v.Ended:
		u.found(WorkflowGone, v.Version, "it is %s at version %d, and Temporal has no workflow of it", v.Status, v.Version)
	case !v.Ended:
		u.found(WorkflowClosed, v.Version, "it is %s at version %d, and its newest run is %s", v.Status, v.Version, run.Status)
	case run.Found && !run.Completed:
		u.found(EndUnpublished, v.Version, "it ended as %s, and its newest run is %s", v.Status, run.Status)
	}
	return nil
}

// stalledFlow says why nothing comes of the run of a saga: it is WorkflowFailing or OrderStalled; "" when something does, or may.
func (l *look) stalledFlow(f Flow, v saga.View, records []event.Record, run Run) (kind Kind, why string, err error) {
	if run.TaskAttempts >= failingAttempts {
		return WorkflowFailing, fmt.Sprintf("its workflow task has failed %d times in a row", run.TaskAttempts-1), nil
	}
	since, stale := l.quiet(v.UpdatedAt, run)
	why = "nothing has come of it since " + since
	switch {
	case !stale:
		return "", "", nil
	case run.TaskAttempts > 0:
		return OrderStalled, why + "; no worker takes its workflow task", nil
	case run.Activities > 0, v.Attention != nil:
		return "", "", nil
	case len(records) == 0:
		return OrderStalled, why + "; it has not recorded anything", nil
	case v.Ended:
		return OrderStalled, why + "; it has ended and its run does not close", nil
	}
	due, within, err := f.Due(records, saga.Facts{}, l.now, f.Timing)
	if err != nil || due == "" || l.now.Sub(later(v.UpdatedAt, run.StartedAt)) <= within {
		return "", "", err
	}
	return OrderStalled, why + "; what is to be done is: " + due, nil
}

// eachSaga checks the sagas of added flows that a list of runs names; in a second look, those that it is about.
func (l *look) eachSaga(
	ctx context.Context, runs func(f Flow) iter.Seq2[string, error], check func(ctx context.Context, f Flow, id string) error,
) error {
	if l.streams != nil {
		for stream := range l.streams {
			if f, id, ok := l.flowOf(stream); ok {
				l.work.Go(func() error { return check(ctx, f, id) })
			}
		}
		return nil
	}
	for _, f := range l.cfg.Flows {
		seen := make(map[string]bool)
		for id, err := range runs(f) {
			if err != nil {
				return err
			}
			if !seen[id] {
				seen[id] = true
				l.work.Go(func() error { return check(ctx, f, id) })
			}
		}
	}
	return nil
}

// unrecordedSagas looks for sagas of added flows that Temporal alone knows.
func (l *look) unrecordedSagas(ctx context.Context) error {
	var since time.Time
	if l.o.Since > 0 {
		since = l.now.Add(-l.o.Since)
	}
	return l.eachSaga(ctx, func(f Flow) iter.Seq2[string, error] { return f.Sagas.All(ctx, since) }, l.unrecordedSaga)
}

func (l *look) unrecordedSaga(ctx context.Context, f Flow, id string) error {
	stream := f.StreamOf(id)
	l.need(OrderUnrecorded, stream, 0, stream)
	records, err := l.cfg.Log.Read(ctx, stream, 0, 2)
	if err == nil && len(records) == 0 {
		records, err = eventlog.ReadCertain(ctx, l.cfg.Log, stream, 0, 2)
	}
	if len(records) > 0 || damaged(err) {
		return nil
	}
	if err != nil {
		return err
	}
	run, err := f.Sagas.Inspect(ctx, id)
	if err != nil || !run.Found {
		return err
	}
	kind, why, err := l.stalledFlow(f, saga.View{}, nil, run)
	switch {
	case err != nil:
		return err
	case !run.Running:
		l.found(OrderUnrecorded, id, stream, 0, "its newest run is %s, and the log has no event of it", run.Status)
	case kind == WorkflowFailing, kind != "" && run.TaskAttempts > 0:
		// A binary without the flow fails its tasks.
		l.found(kind, id, stream, 0, "%s", why)
	case run.TaskAttempts == 0 && l.now.Sub(run.StartedAt) > l.o.Stale:
		l.found(OrderUnrecorded, id, stream, 0, "its run has been open since %s, and the log has no event of it", run.StartedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// sagaSignals looks for signals to runs of added flows' sagas that were broken off, and that no later run took over.
func (l *look) sagaSignals(ctx context.Context) error {
	return l.eachSaga(ctx, func(f Flow) iter.Seq2[string, error] { return f.Sagas.BrokenOff(ctx) }, l.lostSagaSignals)
}

func (l *look) lostSagaSignals(ctx context.Context, f Flow, id string) error {
	stream := f.StreamOf(id)
	records, ok, err := l.read(ctx, stream)
	if err != nil || !ok || len(records) == 0 {
		return err
	}
	v, folds := f.viewOf(records)
	if !folds || v.Ended {
		return nil // nothing follows from what comes after the end
	}
	run, err := f.Sagas.Inspect(ctx, id)
	if err != nil || !run.Running || run.TaskAttempts > 0 || run.Activities > 0 {
		// Another run is to take over, or this one is at work.
		return err
	}
	facts, err := f.Sagas.Lost(ctx, id)
	if err != nil {
		return err
	}
	waits, _, err := f.Due(records, saga.Facts{}, l.now, f.Timing)
	if err != nil || waits != "" {
		return err
	}
	if due, _, err := f.Due(records, facts, l.now, f.Timing); err != nil || due == "" {
		return err
	}
	var names []string
	if len(facts.Cancellations) > 0 {
		names = append(names, "a cancellation")
	}
	for _, fact := range facts.Heard {
		names = append(names, fact.Type)
	}
	l.found(SignalLost, id, stream, v.Version, "it is %s, and a run that was broken off was told: %s", v.Status, strings.Join(names, ", "))
	return nil
}

// earlySaga checks that a saga was cancelled by what came before it, or has answered it.
func (c *chain) earlySaga(f Flow) {
	folds(c, nil, collect, func(ctx context.Context, records []event.Record) error {
		kept, err := f.EarlyCancellations(records)
		switch {
		case err != nil:
			c.damage(StreamFold, c.head.Version, "%v", err)
			return nil
		case len(kept) == 0, c.now.Sub(records[len(records)-1].Time) <= c.o.Stale:
			return nil // its event may still be on its way
		}
		stream := f.StreamOf(c.id)
		c.needs(CancellationUnanswered, c.head.Version, stream)
		of, ok, err := c.read(ctx, stream)
		if !ok || len(of) == 0 {
			return err
		}
		late, ok, err := c.read(ctx, f.LateStreamOf(c.id))
		if !ok {
			return err
		}
		v, folds := f.viewOf(of)
		if !folds || v.Status == saga.Cancelled {
			return nil
		}
		for _, request := range kept {
			e := f.Cancellation(c.id, request).Late()
			answered, err := f.Answers(of, e)
			if err != nil {
				return err
			}
			if answered || slices.ContainsFunc(late, func(r event.Record) bool { return r.Key == e.Identity }) {
				return nil
			}
		}
		c.found(CancellationUnanswered, c.head.Version, "%d of them came before %s %s, which is %s", len(kept), v.Flow, c.id, v.Status)
		return nil
	})
}

// lateSaga checks that what is kept as late came after the end of a saga that is known.
func (c *chain) lateSaga(f Flow) {
	folds(c, nil, collect, func(ctx context.Context, _ []event.Record) error {
		stream := f.StreamOf(c.id)
		c.needs(LateUnfounded, c.head.Version, stream)
		of, ok, err := c.read(ctx, stream)
		if !ok {
			return err
		}
		if v, err := f.View(of); err == nil && !v.Ended {
			c.found(LateUnfounded, c.head.Version, "%d events are kept as late, and %s %s has not ended", c.head.Version, f.Info().Name, c.id)
		}
		return nil
	})
}

// undeliveredFact checks that the saga which a dead letter's fact is about is not known.
func (c *chain) undeliveredFact(ctx context.Context, f Flow, s deadletter.State) error {
	stream := f.StreamOf(s.Subject)
	c.needs(FactUndelivered, s.Head.Version, stream)
	records, ok, err := c.read(ctx, stream)
	if !ok || len(records) == 0 {
		return err
	}
	v, err := f.View(records)
	cancels := slices.ContainsFunc(f.Info().Inbound, func(in saga.Inbound) bool { return in.Name == s.Type && in.Role == saga.RoleCancel })
	if err == nil && (!cancels || v.Status != saga.Cancelled) {
		c.found(FactUndelivered, s.Head.Version, "it is a %s about %s %s, which is %s", s.Type, v.Flow, s.Subject, v.Status)
	}
	return nil
}

// flowOfType returns the flow that a type of events from outside is for.
func (r *Reconciler) flowOfType(name string) (Flow, bool) {
	for _, f := range r.cfg.Flows {
		if slices.ContainsFunc(f.Info().Inbound, func(in saga.Inbound) bool { return in.Name == name }) {
			return f, true
		}
	}
	return Flow{}, false
}

// flowPayment checks the payment of a saga of an added flow: it does not contradict itself, does not stand after the end, and has cost nothing
// where the saga turned back, unless a person has settled a step.
func (c *chain) flowPayment() {
	b := books{stream: c.stream}
	c.take = func(r event.Record) {
		d, err := event.Decode[struct{ Amount int64 }](r.Event)
		if err != nil {
			c.damage(StreamFold, r.Version, "version %d: %v", r.Version, err)
			return
		}
		b.add(r, d.Amount)
	}
	c.done = func(ctx context.Context) error {
		c.work.Go(func() error { return c.paidSaga(ctx, b) })
		return ctx.Err()
	}
}

// paidSaga holds a payment against its saga.
func (c *chain) paidSaga(ctx context.Context, b books) error {
	flow, id, _ := event.FlowPaymentOf(c.stream)
	found := func(k Kind, format string, args ...any) {
		c.needs(k, b.version, c.stream) // what is missing may say otherwise
		c.found(k, b.version, format, args...)
	}
	if len(b.wrong) > 0 {
		found(PaymentContradiction, "%s", strings.Join(b.wrong, "; "))
	}
	if b.authorizations > 1 {
		found(AuthorizedTwice, "%d authorizations were made", b.authorizations)
	}
	stream := flow + "-" + event.Escape(id)
	f, _, known := c.flowOf(stream)
	if !known || !b.moved() && b.net() == 0 {
		return nil // its flow is not in this binary, or nothing came of it
	}
	records, ok, err := c.read(ctx, stream)
	if err != nil || !ok {
		return err
	}
	if len(records) == 0 {
		found(PaymentWithoutOrder, "the ledger has %d captured and %d authorizations", b.net(), b.authorizations)
		return nil
	}
	v, folds := f.viewOf(records)
	switch stands := b.stands(); {
	case !folds, !v.Ended, c.o.Since > 0 && c.now.Sub(v.UpdatedAt) > c.o.Since:
	case v.ByHand && (stands != "" || v.Status != saga.Completed && b.net() != 0):
		found(ExceptionOnRecord, "the %s has ended as %s and cost %d, as a person decided", v.Flow, v.Status, b.net())
	case stands != "":
		found(AuthorizationStands, "the %s has ended as %s, and its payment is %s", v.Flow, v.Status, stands)
	case v.Status != saga.Completed && b.net() != 0:
		found(MoneyWrong, "the %s has ended as %s, and has cost %d", v.Flow, v.Status, b.net())
	}
	return nil
}
