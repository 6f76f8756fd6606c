package reconcile

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// FlowSagas are the runs of the sagas of a flow that a team has added; internal/sagaclient has them.
type FlowSagas interface {
	// Inspect returns the newest run of a saga.
	Inspect(ctx context.Context, id string) (Run, error)
	// All yields the IDs of the sagas of which Temporal lists a run; those whose run completed only if that was at since or later, unless
	// since is zero. An ID may come several times.
	All(ctx context.Context, since time.Time) iter.Seq2[string, error]
	// GoOn starts a run of an open saga that has none, Rerun one of a saga of which the log has no event, Republish one of a saga that has
	// ended, which publishes all its events.
	GoOn(ctx context.Context, id string) error
	Rerun(ctx context.Context, id string) error
	Republish(ctx context.Context, id string) error
}

// Flow is a flow that a team has added, as a check looks at it.
type Flow struct {
	saga.Definer
	Sagas FlowSagas
	// Entry returns what the list shows of a saga, by the name of its stream; Mend makes that entry anew.
	Entry func(ctx context.Context, stream string) (readmodel.Order, bool, error)
	Mend  func(ctx context.Context, stream string) error
}

// flowOf returns the flow that a stream belongs to, and the ID of the saga.
func (r *Reconciler) flowOf(stream string) (f Flow, id string, ok bool) {
	for _, f := range r.cfg.Flows {
		if escaped, ok := strings.CutPrefix(stream, f.StreamOf("")); ok {
			id, ok = event.Unescape(escaped)
			return f, id, ok
		}
	}
	return Flow{}, "", false
}

// flowRepairs are what is done about the sagas of added flows.
var flowRepairs = map[Repair]func(f Flow, ctx context.Context, id string) error{
	RepairResume:    func(f Flow, ctx context.Context, id string) error { return f.Sagas.GoOn(ctx, id) },
	RepairRerun:     func(f Flow, ctx context.Context, id string) error { return f.Sagas.Rerun(ctx, id) },
	RepairRepublish: func(f Flow, ctx context.Context, id string) error { return f.Sagas.Republish(ctx, id) },
	RepairList:      func(f Flow, ctx context.Context, id string) error { return f.Mend(ctx, f.StreamOf(id)) },
}

// saga checks a saga of an added flow: its stream folds and goes no further than its end, nothing was done that it had not decided, the list
// shows it, and a run goes on with it.
func (c *chain) saga(f Flow) {
	var records []event.Record
	c.take = func(r event.Record) { records = append(records, r) }
	c.done = func(ctx context.Context) error {
		if c.broken || len(records) == 0 {
			return nil
		}
		c.work.Go(func() error { return c.examineSaga(ctx, f, records) })
		return ctx.Err()
	}
}

func (c *chain) examineSaga(ctx context.Context, f Flow, records []event.Record) error {
	if first := records[0]; first.Key != saga.SlotAccept {
		c.damage(StreamBeginning, first.Version, "it begins with %s in slot %s", first.Type, first.Key)
		return nil
	}
	v, err := f.View(records)
	if err != nil {
		c.damage(StreamFold, records[len(records)-1].Version, "%v", err)
		return nil
	}
	c.decisions(f.Info(), records)
	if err := c.flowList(ctx, f, v); err != nil {
		return err
	}
	return c.flowRun(ctx, f, v)
}

// decisions checks that nothing comes after the end, and nothing before the decision that it needs.
func (c *chain) decisions(info saga.Info, records []event.Record) {
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
	decision, ended := "", ""
	for _, r := range records {
		if ended != "" {
			c.damage(StreamAfterEnd, r.Version, "%s comes after %s, which ends it", r.Type, ended)
		}
		wants := ""
		switch {
		case r.Key == saga.SlotDecide || r.Key == saga.SlotTurn:
			decision = "forward"
			if strings.HasSuffix(r.Type, ".compensating") {
				decision = "back"
			}
		case r.Key == saga.SlotEnd:
			ended = r.Type
		case forward[r.Type]:
			wants = "forward"
		case undone[r.Type] && strings.HasPrefix(r.Key, saga.UndoSlot("")):
			wants = "back"
		}
		if wants != "" && wants != decision {
			c.damage(StreamPivot, r.Version, "%s needs the decision %q, and it is %q", r.Type, wants, decision)
		}
	}
}

// flowList holds the list entry against a saga that has ended or needs attention: what lasts milliseconds is not listed.
func (c *chain) flowList(ctx context.Context, f Flow, v saga.View) error {
	if !v.Ended && v.Attention == nil {
		return nil
	}
	entry, shown, err := f.Entry(ctx, c.stream)
	switch {
	case err != nil:
		return err
	case !shown:
		c.found(ListMissing, v.Version, "the %s is %s at version %d", v.Flow, v.Status, v.Version)
	case entry.Version > v.Version:
		c.found(ListAhead, v.Version, "the list shows version %d as %s, the log ends at %d", entry.Version, entry.Status, v.Version)
	case entry.Status != v.Status:
		c.found(ListBehind, v.Version, "the list shows version %d as %s, the %s is %s at version %d", entry.Version, entry.Status, v.Flow, v.Status, v.Version)
	}
	return nil
}

// flowRun holds a saga against its newest run.
func (c *chain) flowRun(ctx context.Context, f Flow, v saga.View) error {
	if v.Ended && c.o.Since > 0 && c.now.Sub(v.UpdatedAt) > c.o.Since {
		return nil
	}
	run, err := f.Sagas.Inspect(ctx, c.id)
	if err != nil {
		return err
	}
	since, stale := c.quiet(v.UpdatedAt, run)
	switch {
	case run.Running && run.TaskAttempts >= failingAttempts:
		c.found(WorkflowFailing, v.Version, "its workflow task has failed %d times in a row", run.TaskAttempts-1)
	case run.Running && stale && (run.TaskAttempts > 0 || v.Ended):
		c.found(OrderStalled, v.Version, "nothing has come of it since %s", since)
	case run.Running:
		if v.Attention != nil && c.now.Sub(v.Attention.Since) > attentionForLong {
			c.found(AttentionForLong, v.Version, "%s since %s", v.Attention.Step, v.Attention.Since.UTC().Format(time.RFC3339))
		}
	case !run.Found && !v.Ended:
		c.found(WorkflowGone, v.Version, "it is %s at version %d, and Temporal has no workflow of it", v.Status, v.Version)
	case !v.Ended:
		c.found(WorkflowClosed, v.Version, "it is %s at version %d, and its newest run is %s", v.Status, v.Version, run.Status)
	case run.Found && !run.Completed:
		c.found(EndUnpublished, v.Version, "it ended as %s, and its newest run is %s", v.Status, run.Status)
	}
	return nil
}

// unrecordedSagas looks for sagas of added flows that Temporal alone knows.
func (l *look) unrecordedSagas(ctx context.Context) error {
	var since time.Time
	if l.o.Since > 0 {
		since = l.now.Add(-l.o.Since)
	}
	for _, f := range l.cfg.Flows {
		for id, err := range f.Sagas.All(ctx, since) {
			if err != nil {
				return err
			}
			if l.streams == nil || l.streams[f.StreamOf(id)] {
				l.work.Go(func() error { return l.unrecordedSaga(ctx, f, id) })
			}
		}
	}
	return nil
}

func (l *look) unrecordedSaga(ctx context.Context, f Flow, id string) error {
	stream := f.StreamOf(id)
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
	if err == nil && run.Found && (!run.Running || run.TaskAttempts == 0 && l.now.Sub(run.StartedAt) > l.o.Stale) {
		l.found(OrderUnrecorded, id, stream, 0, "Temporal has a run of it, and the log has no event of it")
	}
	return err
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
		if len(b.wrong) > 0 {
			c.found(PaymentContradiction, b.version, "%s", strings.Join(b.wrong, "; "))
		}
		if !c.broken && b.moved() {
			c.work.Go(func() error { return c.paidSaga(ctx, b) })
		}
		return ctx.Err()
	}
}

// paidSaga holds a payment against its saga.
func (c *chain) paidSaga(ctx context.Context, b books) error {
	of, id, _ := event.FlowPaymentOf(c.stream)
	stream := of + "-" + event.Escape(id)
	f, _, known := c.flowOf(stream)
	if !known {
		return nil // its flow is not in this binary
	}
	records, ok, err := c.read(ctx, stream)
	if err != nil || !ok {
		return err
	}
	if len(records) == 0 {
		c.found(PaymentWithoutOrder, b.version, "the ledger has %d captured and %d authorizations", b.net(), b.authorizations)
		return nil
	}
	v, err := f.View(records)
	switch {
	case err != nil: // that is found where the stream is walked
	case !v.Ended || v.ByHand:
	case b.standing || b.pending:
		c.found(AuthorizationStands, b.version, "the %s has ended as %s, and its payment still stands", v.Flow, v.Status)
	case v.Status != saga.Completed && b.net() != 0:
		c.found(MoneyWrong, b.version, "the %s has ended as %s, and has cost %d", v.Flow, v.Status, b.net())
	}
	return nil
}
