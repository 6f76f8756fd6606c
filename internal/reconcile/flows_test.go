package reconcile_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/testflow"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// flowWorld is a world in which sagas of an added flow run, too: done and ended, back and turned back by a cancellation that came early, poor
// and refused at once, wait that waits for an approval, and desk that needs attention.
type flowWorld struct {
	*world
	flow flowSagas
}

// flowSagas are the runs and the list of the added flow's sagas.
type flowSagas struct {
	mu       sync.Mutex
	runs     map[string]reconcile.Run
	list     map[string]readmodel.Order
	lost     map[string]saga.Facts
	repaired []string
	gets     int
	since    time.Time
}

func (s *flowSagas) Inspect(_ context.Context, id string) (reconcile.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[id], nil
}

func (s *flowSagas) All(_ context.Context, since time.Time) iter.Seq2[string, error] {
	s.since = since
	return ids(slices.Sorted(maps.Keys(s.runs)))
}

func (s *flowSagas) Interrupted(context.Context) iter.Seq2[string, error] {
	return ids(slices.Sorted(maps.Keys(s.lost)))
}

func ids(all []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, id := range append(all, all...) {
			if !yield(id, nil) {
				return
			}
		}
	}
}

func (s *flowSagas) Lost(_ context.Context, id string) (saga.Facts, error) { return s.lost[id], nil }

func (s *flowSagas) repair(what, id string) error {
	s.repaired = append(s.repaired, what+" "+id)
	return nil
}

func (s *flowSagas) ResendSignals(_ context.Context, id string) error { return s.repair("tell", id) }
func (s *flowSagas) StartRun(_ context.Context, id string) error      { return s.repair("go on", id) }
func (s *flowSagas) Rerun(_ context.Context, id string) error         { return s.repair("rerun", id) }
func (s *flowSagas) Republish(_ context.Context, id string) error     { return s.repair("republish", id) }

// flowList is the list.
type flowList struct{ *flowSagas }

func (l flowList) All(context.Context) iter.Seq2[readmodel.Order, error] {
	return func(yield func(readmodel.Order, error) bool) {
		for _, stream := range slices.Sorted(maps.Keys(l.list)) {
			if !yield(l.list[stream], nil) {
				return
			}
		}
	}
}

func (l flowList) Get(_ context.Context, stream string) (readmodel.Order, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gets++
	e, there := l.list[stream]
	return e, there, nil
}

func newFlowWorld(t testing.TB) *flowWorld {
	w := &flowWorld{world: newWorld(t), flow: flowSagas{runs: map[string]reconcile.Run{}, list: map[string]readmodel.Order{}, lost: map[string]saga.Facts{}}}
	s := newShop(t)
	ctx := t.Context()
	cancel := saga.Cancellation{ID: event.DerivedID("c"), Cause: "evt-c"}
	for _, c := range []struct {
		id             string
		amount         int64
		refused, stuck string
		facts          saga.Facts
	}{
		{"done", 5, "", "", saga.Facts{}},
		{"back", testflow.Large, "", "", testflow.FactsOf("back", testflow.Flow.Cancellation("back", cancel))},
		{"poor", 5, "lock", "", saga.Facts{}},
		{"wait", testflow.Large, "", "", saga.Facts{}},
		{"desk", 5, "", "credit", saga.Facts{}},
	} {
		state, err := testflow.Begin(ctx, s.log, c.id, testflow.TopUp{CardID: "c", Amount: c.amount}, now)
		require.NoError(t, err)
		if c.id == "back" {
			// It arrived before its saga, which has reached the approval.
			state, err = testflow.Drive(ctx, s.log, state, saga.Facts{}, "", "", now)
			require.NoError(t, err)
			_, _, err = s.log.Append(ctx, testflow.Flow.EarlyStreamOf("back"), event.Head{}, []event.Entry{testflow.Flow.Early("back", cancel, "corr", now)})
			require.NoError(t, err)
		}
		state, err = testflow.Drive(ctx, s.log, state, c.facts, c.refused, c.stuck, now)
		require.NoError(t, err)
		w.flow.list["card-"+c.id] = readmodel.FromView(testflow.Flow.ViewOf(&state), "card-"+c.id)
		w.flow.runs[c.id] = reconcile.Run{Found: true, Running: !state.Ended, Completed: state.Ended, Status: "completed", StartedAt: now}
		if c.refused != "" {
			continue
		}
		p := payment.Payment{Flow: "card", OrderID: c.id, Amount: c.amount, Currency: "EUR", Method: "tok_visa"}
		result, err := s.money.Authorize(ctx, p.Key("authorize"), p)
		require.NoError(t, err)
		p.ID = result.PaymentID
		switch c.id {
		case "done", "desk":
			_, err = s.money.Capture(ctx, p.Key("capture"), p)
		case "back":
			_, err = s.money.Void(ctx, p.Key("void"), p)
		}
		require.NoError(t, err)
	}
	late := saga.LateInput{ID: "done", Status: saga.Completed, Events: []saga.LateEvent{{ID: "l", EventID: "l", Type: testflow.Approved, Identity: event.DerivedID("l")}}}
	_, _, err := s.log.Append(ctx, testflow.Flow.LateStreamOf("done"), event.Head{}, testflow.Flow.LateEntries(late, now))
	require.NoError(t, err)
	for _, name := range s.log.Names() {
		records, err := s.log.Read(ctx, name, 0, 0)
		require.NoError(t, err)
		w.streams[name] = records
	}
	return w
}

func (w *flowWorld) check(o reconcile.Options) reconcile.Report {
	w.t.Helper()
	c := w.config()
	for e, err := range c.FlowList.All(w.t.Context()) {
		require.NoError(w.t, err)
		w.flow.list[e.ID] = e
	}
	c.FlowList = flowList{&w.flow}
	c.Flows = append(c.Flows, reconcile.Flow{
		Definer: testflow.Flow, Sagas: &w.flow, Timing: testflow.Waits,
		RebuildEntry: func(_ context.Context, stream string) error { return w.flow.repair("mend", stream) },
	})
	r, err := reconcile.New(c)
	require.NoError(w.t, err)
	report, err := r.Run(w.t.Context(), o)
	require.NoError(w.t, err)
	return report
}

func (w *flowWorld) entry(id string, change func(*readmodel.Order)) {
	e := w.flow.list["card-"+id]
	change(&e)
	w.flow.list["card-"+id] = e
}

func (w *flowWorld) sagaRun(id string, change func(*reconcile.Run)) {
	r := w.flow.runs[id]
	change(&r)
	w.flow.runs[id] = r
}

// flowPlant is something about a saga of an added flow that does not hold.
type flowPlant struct {
	name    string
	kind    reconcile.Kind
	subject string
	// repair is the expected repair; it is empty if the violation is recorded, or nothing is done.
	repair string
	also   []reconcile.Kind
	plant  func(w *flowWorld)
}

var flowPlants = []flowPlant{
	{"a workflow that was deleted", reconcile.WorkflowGone, "wait", "go on wait", nil, func(w *flowWorld) { delete(w.flow.runs, "wait") }},
	{"a workflow that was terminated", reconcile.WorkflowClosed, "wait", "go on wait", nil, func(w *flowWorld) {
		w.flow.runs["wait"] = reconcile.Run{Found: true, Status: "terminated"}
	}},
	{"a workflow that completed without its saga", reconcile.WorkflowClosed, "desk", "go on desk", nil, func(w *flowWorld) {
		w.flow.runs["desk"] = reconcile.Run{Found: true, Completed: true, Status: "completed"}
	}},
	{"a run that was terminated after the end", reconcile.EndUnpublished, "done", "republish done", nil, func(w *flowWorld) {
		w.flow.runs["done"] = reconcile.Run{Found: true, Status: "terminated"}
	}},
	{"a saga that Temporal alone knows", reconcile.OrderUnrecorded, "new", "rerun new", nil, func(w *flowWorld) {
		w.flow.runs["new"] = reconcile.Run{Found: true, Status: "timedout"}
	}},
	{"a saga whose run waits, and the log was restored", reconcile.OrderUnrecorded, "new", "rerun new", nil, func(w *flowWorld) {
		w.flow.runs["new"] = reconcile.Run{Found: true, Running: true, StartedAt: now.Add(-time.Hour)}
	}},
	{"a saga that only binaries without the flow look at", reconcile.WorkflowFailing, "new", "", nil, func(w *flowWorld) {
		w.flow.runs["new"] = reconcile.Run{Found: true, Running: true, StartedAt: now, TaskAttempts: 7}
	}},
	{"a saga whose queue no worker polls", reconcile.OrderStalled, "new", "", nil, func(w *flowWorld) {
		w.flow.runs["new"] = reconcile.Run{Found: true, Running: true, StartedAt: now.Add(-time.Hour), TaskAttempts: 1, TaskSince: now.Add(-time.Hour)}
	}},
	{"a workflow task that fails", reconcile.WorkflowFailing, "wait", "", nil, func(w *flowWorld) {
		w.sagaRun("wait", func(r *reconcile.Run) { r.TaskAttempts = 7 })
	}},
	{"a workflow task that no worker takes", reconcile.OrderStalled, "wait", "", nil, func(w *flowWorld) {
		w.sagaRun("wait", func(r *reconcile.Run) { r.TaskAttempts, r.TaskSince = 1, now })
		w.at = now.Add(time.Hour)
	}},
	{"a run that does nothing although something is to be done", reconcile.OrderStalled, "desk", "", []reconcile.Kind{reconcile.ListAhead}, func(w *flowWorld) {
		w.cut("card-desk", 1)
		w.at = now.Add(time.Hour)
	}},
	{"a run that waits for what was due", reconcile.OrderStalled, "wait", "", []reconcile.Kind{reconcile.AttentionForLong, reconcile.OrderStalled}, func(w *flowWorld) {
		w.at = now.Add(8 * 24 * time.Hour)
	}},
	{"a run that does not close", reconcile.OrderStalled, "done", "", nil, func(w *flowWorld) {
		w.flow.runs["done"] = reconcile.Run{Found: true, Running: true}
		w.at = now.Add(time.Hour)
	}},
	{"a saga whose attention has no decision", reconcile.AttentionForLong, "desk", "", []reconcile.Kind{reconcile.AttentionForLong, reconcile.OrderStalled}, func(w *flowWorld) {
		w.at = now.Add(25 * time.Hour)
	}},
	{"an approval that a terminated run was told", reconcile.SignalLost, "wait", "tell wait", nil, func(w *flowWorld) {
		var facts saga.Facts
		facts.AddFact(saga.Fact{Type: testflow.Approved, ID: "a", Cause: "a", Identity: event.DerivedID("a")})
		w.flow.lost["wait"], w.flow.lost["done"], w.flow.lost["desk"] = facts, facts, facts
	}},

	{"a missing version", reconcile.StreamGap, "card-done", "", nil, func(w *flowWorld) {
		w.streams["card-done"] = slices.Delete(w.streams["card-done"], 2, 3)
	}},
	{"a record that was changed", reconcile.StreamHash, "card-done", "", nil, func(w *flowWorld) {
		w.streams["card-done"][2].CausationID = "other"
	}},
	{"a record that does not fold", reconcile.StreamFold, "card-done", "", nil, func(w *flowWorld) {
		w.alter("card-done", 1, func(r *event.Record) { r.Data = changed(r.Data, with(map[string]any{"amount": "much"})) })
	}},
	{"a stream that begins in the middle", reconcile.StreamBeginning, "card-done", "", nil, func(w *flowWorld) {
		w.edit("card-done", func(r []event.Record) []event.Record { return r[1:] })
	}},
	{"a stream of another saga", reconcile.StreamBeginning, "card-done", "", nil, func(w *flowWorld) {
		w.alter("card-done", 1, func(r *event.Record) { r.Data = changed(r.Data, with(map[string]any{"topUpId": "other"})) })
	}},
	{"an event after the end", reconcile.StreamAfterEnd, "card-done", "", []reconcile.Kind{reconcile.ListBehind}, func(w *flowWorld) {
		w.add("card-done", "more", "card.unheard", nil)
	}},
	{"a capture of a saga that turned back", reconcile.StreamPivot, "card-back", "", nil, func(w *flowWorld) {
		w.edit("card-back", func(r []event.Record) []event.Record {
			i := slices.IndexFunc(r, func(r event.Record) bool { return r.Key == "undo/lock" })
			r[i].Key, r[i].Type = "capture", "card.captured"
			return r
		})
	}},
	{"a compensation of a saga that went forward", reconcile.StreamPivot, "card-done", "", nil, func(w *flowWorld) {
		w.edit("card-done", func(r []event.Record) []event.Record {
			i := slices.IndexFunc(r, func(r event.Record) bool { return r.Key == "credit" })
			r[i].Key, r[i].Type = "undo/lock", "card.unlocked"
			return r
		})
	}},

	{"an entry that is missing", reconcile.ListMissing, "done", "mend card-done", nil, func(w *flowWorld) { delete(w.flow.list, "card-done") }},
	{"an entry of a waiting saga that is missing", reconcile.ListMissing, "wait", "mend card-wait", nil, func(w *flowWorld) { delete(w.flow.list, "card-wait") }},
	{"an entry of an older version", reconcile.ListBehind, "done", "mend card-done", nil, func(w *flowWorld) {
		w.list3("card-done", 3)
	}},
	{"an entry that is ahead", reconcile.ListAhead, "wait", "mend card-wait", nil, func(w *flowWorld) {
		w.entry("wait", func(e *readmodel.Order) { e.Version++ })
	}},
	{"an entry that says otherwise", reconcile.ListDifferent, "done", "mend card-done", nil, func(w *flowWorld) {
		w.entry("done", func(e *readmodel.Order) { e.Status = saga.Cancelled })
	}},
	{"an entry that cannot be read", reconcile.ListDifferent, "back", "mend card-back", nil, func(w *flowWorld) {
		w.entry("back", func(e *readmodel.Order) { *e = readmodel.Order{Order: order.Order{ID: e.ID}} })
	}},
	{"an entry without a saga", reconcile.ListOrphan, "ghost", "mend card-ghost", nil, func(w *flowWorld) {
		w.flow.list["card-ghost"] = readmodel.Order{Order: order.Order{ID: "card-ghost"}, Version: 3, Status: "completed"}
		w.flow.list["other-ghost"] = readmodel.Order{Order: order.Order{ID: "other-ghost"}, Version: 3, Status: "completed"}
	}},

	{"a cancellation that was not answered", reconcile.CancellationUnanswered, "wait", "", nil, func(w *flowWorld) {
		entry := testflow.Flow.Early("wait", saga.Cancellation{ID: event.DerivedID("x"), Cause: "x"}, "corr", now)
		_, _, err := w.Append(w.t.Context(), testflow.Flow.EarlyStreamOf("wait"), event.Head{}, []event.Entry{entry})
		require.NoError(w.t, err)
		w.at = now.Add(time.Hour)
	}},
	{"a fact that did not arrive", reconcile.FactUndelivered, "letter-1", "", nil, func(w *flowWorld) {
		w.refused("letter-1", testflow.Approved, "wait", fault.Invalid)
		w.refused("letter-2", testflow.Approved, "open", fault.OrderUnknown) // that is an order, and no saga of the flow
		w.refused("letter-3", testflow.CancellationRequested, "back", fault.OrderUnknown)
	}},
	{"a late event of a saga that has not ended", reconcile.LateUnfounded, "wait", "", nil, func(w *flowWorld) {
		late := saga.LateInput{ID: "wait", Status: saga.Completed, Events: []saga.LateEvent{{ID: "l", EventID: "l", Type: testflow.Approved}}}
		_, _, err := w.Append(w.t.Context(), testflow.Flow.LateStreamOf("wait"), event.Head{}, testflow.Flow.LateEntries(late, now))
		require.NoError(w.t, err)
	}},

	{"a cancelled saga that was charged", reconcile.MoneyWrong, "back", "", nil, func(w *flowWorld) {
		w.alter("payment.card-back", 2, func(r *event.Record) { r.Type = event.ChargeCaptured })
	}},
	{"an authorization that was not voided", reconcile.AuthorizationLeftOpen, "back", "", nil, func(w *flowWorld) { w.cut("payment.card-back", 1) }},
	{"a completed saga whose payment was not captured", reconcile.AuthorizationLeftOpen, "done", "", nil, func(w *flowWorld) { w.cut("payment.card-done", 1) }},
	{"a payment without a saga", reconcile.PaymentWithoutOrder, "ghost", "", nil, func(w *flowWorld) {
		w.streams["payment.card-ghost"] = w.streams["payment.card-wait"]
		w.edit("payment.card-ghost", func(r []event.Record) []event.Record { return r })
	}},
	{"captured twice", reconcile.PaymentContradiction, "done", "", nil, func(w *flowWorld) {
		w.add("payment.card-done", "settle/again", event.ChargeCaptured, nil)
	}},
	{"two authorizations", reconcile.AuthorizedTwice, "wait", "", nil, func(w *flowWorld) {
		w.add("payment.card-wait", "authorize/again", event.ChargeAuthorized, nil)
	}},
	{"a gap in a payment", reconcile.StreamGap, "payment.card-done", "", nil, func(w *flowWorld) {
		w.streams["payment.card-done"] = w.streams["payment.card-done"][1:]
	}},
	{"money that a person decided about", reconcile.ExceptionOnRecord, "back", "", nil, func(w *flowWorld) {
		w.cut("payment.card-back", 1)
		w.edit("card-back", func(r []event.Record) []event.Record {
			i := slices.IndexFunc(r, func(r event.Record) bool { return r.Key == "undo/authorize" })
			r[i].Type = "card.step_skipped"
			r[i].Data = changed(r[i].Data, with(map[string]any{"requestId": "d", "attention": 1, "step": "authorize", "undo": true, "action": "skip"}))
			return r
		})
	}},
}

// list3 has the list show a saga as it was at a version.
func (w *flowWorld) list3(stream string, version int) {
	v, err := testflow.Flow.View(w.streams[stream][:version])
	require.NoError(w.t, err)
	w.flow.list[stream] = readmodel.FromView(v, stream)
}

func TestEveryKindIsFoundForAddedFlows(t *testing.T) {
	w := newFlowWorld(t)
	require.Empty(t, w.check(reconcile.Options{}).Findings)
	require.Zero(t, w.flow.gets, "the list is walked beside the log")
	for _, p := range flowPlants {
		t.Run(strings.ReplaceAll(p.name, " ", "_"), func(t *testing.T) {
			w := newFlowWorld(t)
			p.plant(w)
			found := func(report reconcile.Report) (f reconcile.Finding) {
				for _, f = range report.Findings {
					aboutOrders := f.Subject == "open" || f.Subject == "desk"
					require.True(t, f.Kind == p.kind || slices.Contains(p.also, f.Kind) || aboutOrders && w.at.After(now.Add(time.Hour)),
						"%s of %s: %s", f.Kind, f.Subject, f.Detail)
				}
				i := slices.IndexFunc(report.Findings, func(f reconcile.Finding) bool { return f.Kind == p.kind && f.Subject == p.subject })
				require.GreaterOrEqual(t, i, 0, "%s of %s is not found: %v", p.kind, p.subject, report.Findings)
				return report.Findings[i]
			}
			require.Equal(t, string(reconcile.MeaningOf(p.kind).Repair), found(w.check(reconcile.Options{})).Repair)
			require.Empty(t, w.flow.repaired)

			f := found(w.check(reconcile.Options{Repair: true}))
			require.Equal(t, p.repair != "", f.Repaired, f.Repair)
			if p.repair != "" {
				require.Contains(t, w.flow.repaired, p.repair)
			}
			if reconcile.MeaningOf(p.kind).Repair == reconcile.RepairRecord {
				require.Contains(t, f.Repair, "recorded in stream reconcile-")
			}
			require.NotContains(t, f.Repair, "failed")
		})
	}
}

// A run that publishes while the broker is away has not stalled, nor one that waits for a participant within the step's time.
func TestActiveRunsOfAddedFlowsAreNotReported(t *testing.T) {
	w := newFlowWorld(t)
	w.flow.runs["done"] = reconcile.Run{Found: true, Running: true, StartedAt: now, Activities: 1}
	w.flow.runs["new"] = reconcile.Run{Found: true, Running: true, StartedAt: now, TaskAttempts: 1, TaskSince: now}
	w.at = now.Add(time.Hour)
	for _, f := range w.check(reconcile.Options{Stale: 2 * time.Hour}).Findings {
		require.Fail(t, f.Detail)
	}
	delete(w.flow.runs, "new")
	require.Empty(t, w.check(reconcile.Options{}).Findings)
}

func TestSinceSkipsOldSagasOfAddedFlows(t *testing.T) {
	w := newFlowWorld(t)
	w.at = now.Add(2 * time.Hour)
	w.flow.runs["done"] = reconcile.Run{Found: true, Status: "terminated"}
	w.cut("payment.card-back", 1)
	require.Empty(t, w.check(reconcile.Options{Since: time.Hour}).Findings)
	require.Equal(t, w.at.Add(-time.Hour), w.flow.since)
	require.Len(t, w.check(reconcile.Options{Since: 3 * time.Hour}).Findings, 2)
	require.Len(t, w.check(reconcile.Options{}).Findings, 2)
}

// A binary without the flow only checks the chains of its streams.
func TestSagasOfUnregisteredFlowsAreIgnored(t *testing.T) {
	w := newFlowWorld(t)
	w.cut("payment.card-back", 1)
	require.Empty(t, w.world.check(reconcile.Options{Repair: true}).Findings)
	w.streams["card-done"] = slices.Delete(w.streams["card-done"], 2, 3)
	report := w.world.check(reconcile.Options{})
	require.Len(t, report.Findings, 1)
	require.Equal(t, reconcile.StreamGap, report.Findings[0].Kind)
}

// Findings of many sagas are checked again in batches, each with these sagas only.
func TestManySagasOfAddedFlows(t *testing.T) {
	w := newFlowWorld(t)
	for i := range 1200 {
		w.flow.runs[fmt.Sprintf("new-%04d", i)] = reconcile.Run{Found: true, Status: "terminated"}
	}
	report := w.check(reconcile.Options{})
	require.Len(t, report.Findings, 1200)
}
