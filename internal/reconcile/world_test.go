package reconcile_test

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a shop in which everything holds, until something is planted: a log, a list, runs and a gateway.
type world struct {
	*store
	t       testing.TB
	log     reconcile.Log
	gateway payment.Gateway
	// at is the time of the check.
	at time.Time

	mu   sync.Mutex
	list map[string]readmodel.Order
	runs map[string]reconcile.Run
	// lates are the late sagas, by order.
	lates map[string]reconcile.Run
	// others are the newest runs of customers and messages, by workflow id.
	others map[string]reconcile.Run
	// lost are signals that interrupted runs received, by order.
	lost map[string]order.Facts
	// seen is called at each look at a run.
	seen func(orderID string)
	// resumed, rerun, republished and mended are the orders with that repair.
	resumed, rerun, republished, mended, settled []string
	// completedSince is the start of the period whose completed runs were listed.
	completedSince time.Time
}

// newWorld makes a shop with an order at every kind of end, one that waits, one on the attention desk, one whose money came
// when it had ended, and one whose capture happened when it had been turned back. Each has a SKU
// of its own, which is called as it is.
func newWorld(t testing.TB) *world {
	w, s := emptyWorld(t), newShop(t)
	for _, o := range []struct {
		id, method string
		sends      order.Fulfillment
		then       []order.Facts
	}{
		{"done", "tok_visa", order.Immediate, nil},
		{"sent", "tok_visa", order.Shipment, []order.Facts{
			order.FactsOf("sent", order.ShipmentSignal{Kind: order.ShipmentDispatched}),
			order.FactsOf("sent", order.ShipmentSignal{Kind: order.ShipmentDelivered}),
		}},
		{"gone", "tok_visa", order.Shipment, []order.Facts{
			order.FactsOf("gone", order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{
				ID: "p", ParcelID: "p-1", Lines: []order.ShipmentLine{{Line: 1, Quantity: 1}},
			}}),
			order.FactsOf("gone", order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: "p", ParcelID: "p-1"}}),
			{Resolutions: []order.Resolution{{ID: "d", Action: order.Refund}}},
			order.FactsOf("gone", order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "q", ParcelID: "p-2"}}),
		}},
		{"back", "tok_visa", order.Shipment, []order.Facts{order.FactsOf("back", order.Cancellation{ID: "c"})}},
		{"poor", "tok_declined", order.Immediate, nil},
		{"turn", "tok_capture_refused", order.Immediate, nil},
		{"none", "tok_visa", order.Immediate, nil},
		{"open", "tok_visa", order.Shipment, nil},
		{"desk", "tok_capture_stuck", order.Immediate, nil},
		{"late", "tok_pending", order.Immediate, []order.Facts{order.FactsOf("late", order.Cancellation{ID: "c"})}},
		{"slow", "tok_capture_late", order.Immediate, []order.Facts{{
			Resolutions: []order.Resolution{{ID: "d", Action: order.Compensate, Note: "no answer"}}, NotDone: "d",
		}}},
	} {
		state := s.drive(order.Order{
			ID: o.id, CustomerID: "c-1", Currency: "EUR", Lines: []order.Line{{SKU: o.id, Quantity: 2, UnitAmount: 250}},
			Payment: order.PaymentMethod{Method: o.method}, Fulfillment: o.sends,
		}.Normalize(), o.then)
		w.knows(state)
	}
	s.paidLate("late")
	w.lates["late"] = reconcile.Run{Found: true, Completed: true, Status: "completed", StartedAt: now}
	w.takeOver(s)
	return w
}

func emptyWorld(t testing.TB) *world {
	return &world{
		store: &store{streams: map[string][]event.Record{}, ids: map[string]string{}}, t: t, at: now.Add(time.Second),
		list: map[string]readmodel.Order{}, runs: map[string]reconcile.Run{}, lates: map[string]reconcile.Run{}, others: map[string]reconcile.Run{}, lost: map[string]order.Facts{}, seen: func(string) {},
	}
}

// knows lists an order, with its run.
func (w *world) knows(state order.State) {
	w.list[state.Order.ID] = readmodel.FromState(state)
	w.runs[state.Order.ID] = reconcile.Run{Found: true, Running: !state.Ended, Completed: state.Ended, Status: "completed", StartedAt: now}
}

// takeOver takes the streams of a shop.
func (w *world) takeOver(s *shop) {
	t := w.t
	for _, name := range s.log.Names() {
		records, err := s.log.Read(t.Context(), name, 0, 0)
		require.NoError(t, err)
		eventtest.CheckRecords(t, records...)
		w.streams[name] = records
	}
	w.log = w.store
	gateway, err := simulator.New(simulator.Config{Log: w.store})
	require.NoError(t, err)
	w.gateway = gateway
}

// check runs the check.
func (w *world) check(o reconcile.Options) reconcile.Report {
	w.t.Helper()
	r, err := reconcile.New(w.config())
	require.NoError(w.t, err)
	report, err := r.Run(w.t.Context(), o)
	require.NoError(w.t, err)
	return report
}

func (w *world) config() reconcile.Config {
	return reconcile.Config{
		Log: w.log, List: w, FlowList: folded{w}, Shortages: w, Gateway: w.gateway, Flows: w.flows(),
		Clock: func() time.Time { return w.at }, Logger: slog.New(slog.DiscardHandler), Pause: time.Millisecond,
	}
}

// flows are the flows of the service.
func (w *world) flows() []reconcile.Flow {
	flows := []reconcile.Flow{{
		Definer: &order.Flow, Sagas: orderRuns{w}, Timing: order.DefaultTiming().Settings(false).Of, RebuildEntry: func(ctx context.Context, stream string) error {
			id, _ := order.Flow.IDOf(stream)
			return w.RebuildEntry(ctx, id)
		},
	}}
	for kind, f := range map[reconcile.Kind]saga.Definer{
		reconcile.LateUnsettled: &latepayment.Flow, reconcile.CustomerUnsettled: &onboarding.Flow, reconcile.NoticeUnsettled: &notification.Flow,
	} {
		flows = append(flows, reconcile.Flow{Definer: f, Sagas: otherRuns{w, f}, Unsettled: kind})
	}
	for _, f := range []saga.Definer{&refund.Flow, &returns.Flow} {
		flows = append(flows, reconcile.Flow{Definer: f, Sagas: endedRuns{orderRuns{w}}, Timing: order.DefaultTiming().Settings(false).Of})
	}
	return flows
}

// endedRuns are the runs of sagas that are all completed.
type endedRuns struct{ orderRuns }

func (endedRuns) Inspect(context.Context, string) (reconcile.Run, error) {
	return reconcile.Run{Found: true, Completed: true, Status: "completed", StartedAt: now}, nil
}

func (endedRuns) All(context.Context, time.Time) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

// folded is a list of the sagas that are no orders in which everything is as the log says.
type folded struct{ *world }

func (f folded) Get(ctx context.Context, stream string) (e readmodel.Order, there bool, err error) {
	for e, err := range f.All(ctx) {
		if err != nil || e.ID == stream {
			return e, true, err
		}
	}
	return e, false, nil
}

func (f folded) All(ctx context.Context) iter.Seq2[readmodel.Order, error] {
	return func(yield func(readmodel.Order, error) bool) {
		f.store.mu.Lock()
		streams := maps.Clone(f.streams)
		f.store.mu.Unlock()
		for _, stream := range slices.Sorted(maps.Keys(streams)) {
			for _, flow := range []saga.Definer{&latepayment.Flow, &onboarding.Flow, &notification.Flow, &refund.Flow, &returns.Flow} {
				if !strings.HasPrefix(stream, flow.StreamOf("")) {
					continue
				}
				v, err := flow.View(streams[stream])
				if err == nil && !yield(readmodel.FromView(v, stream), nil) {
					return
				}
			}
		}
	}
}

// otherRuns are the runs of sagas of an endless flow. No other method is called.
type otherRuns struct {
	*world
	flow saga.Definer
}

func (r otherRuns) Inspect(_ context.Context, id string) (reconcile.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flow.Info().Workflow == latepayment.Workflow {
		return r.lates[id], nil
	}
	return r.others[r.flow.WorkflowID(id)], nil
}

func (r otherRuns) StartRun(_ context.Context, id string) error {
	if r.flow.Info().Workflow != latepayment.Workflow {
		id = r.flow.WorkflowID(id)
	}
	r.settled = append(r.settled, id)
	return nil
}

func (r otherRuns) All(context.Context, time.Time) iter.Seq2[string, error] { panic("not asked") }

// orderRuns are the runs of orders.
type orderRuns struct{ *world }

func (w *world) All(context.Context) iter.Seq2[readmodel.Order, error] {
	return func(yield func(readmodel.Order, error) bool) {
		w.mu.Lock()
		ids := slices.Sorted(maps.Keys(w.list))
		w.mu.Unlock()
		for _, id := range ids {
			if e, there, _ := w.Get(context.Background(), id); there && !yield(e, nil) {
				return
			}
		}
	}
}

func (w *world) Get(_ context.Context, id string) (readmodel.Order, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, there := w.list[id]
	return e, there, nil
}

// Mend makes an entry anew.
func (w *world) RebuildEntry(ctx context.Context, id string) error {
	records, err := w.Read(ctx, event.OrderStream(id), 0, 0)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mended = append(w.mended, id)
	if len(records) == 0 {
		delete(w.list, id)
		return nil
	}
	state, err := order.Fold(records)
	w.list[id] = readmodel.FromState(state)
	return err
}

func (w *world) Inspect(_ context.Context, id string) (reconcile.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	run := w.runs[id]
	w.seen(id)
	return run, nil
}

func (w *world) Interrupted(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		w.mu.Lock()
		ids := slices.Sorted(maps.Keys(w.lost))
		w.mu.Unlock()
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

func (w *world) Lost(_ context.Context, id string) (order.Facts, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost[id], nil
}

func (w *world) ResendSignals(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.lost, id)
	return nil
}

func (w orderRuns) All(_ context.Context, since time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		w.mu.Lock()
		runs := maps.Clone(w.runs)
		w.completedSince = since
		w.mu.Unlock()
		for _, id := range slices.Sorted(maps.Keys(runs)) {
			if !yield(id, nil) {
				return
			}
		}
	}
}

func (w *world) Rerun(_ context.Context, id string) error {
	w.rerun = append(w.rerun, id)
	return nil
}

func (w *world) StartRun(_ context.Context, id string) error {
	w.resumed = append(w.resumed, id)
	return nil
}

func (w *world) Republish(_ context.Context, id string) error {
	w.republished = append(w.republished, id)
	return nil
}

func (w *world) InspectShortage(_ context.Context, sku string) (reconcile.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.others["shortage-"+sku], nil
}

func (w *world) SettleShortage(_ context.Context, sku string) error {
	w.settled = append(w.settled, "shortage-"+sku)
	return nil
}

// shop drives orders through the real ledger and the real simulator, as the workflow does.
type shop struct {
	t      testing.TB
	log    *memlog.Log
	ledger *inventory.Ledger
	money  *simulator.Simulator
}

func newShop(t testing.TB) *shop {
	s := &shop{t: t, log: memlog.New()}
	var err error
	clock := func() time.Time { return now }
	s.ledger, err = inventory.New(inventory.Config{Log: s.log, Registry: &inventory.MemoryRegistry{}, Temporary: order.Temporary, Clock: clock})
	require.NoError(t, err)
	t.Cleanup(s.ledger.Close)
	s.money, err = simulator.New(simulator.Config{Log: s.log, Clock: clock})
	require.NoError(t, err)
	return s
}

// drive runs an order until it waits or ends, then again with each of the facts. The SKU of order none is never received.
func (s *shop) drive(o order.Order, then []order.Facts) order.State {
	s.t.Helper()
	if o.ID != "none" {
		_, err := s.ledger.Receive(s.t.Context(), o.Lines[0].SKU, 10, "r-"+o.ID)
		require.NoError(s.t, err)
	}
	state := s.append(order.State{Order: o}, order.Accept(o, "corr", "cause", now))
	state = s.run(state, order.Facts{})
	for _, f := range then {
		state = s.run(state, f)
	}
	return state
}

func (s *shop) append(state order.State, entries ...event.Entry) order.State {
	s.t.Helper()
	_, tail, err := s.log.Append(s.t.Context(), event.OrderStream(state.Order.ID), state.Head, entries)
	require.NoError(s.t, err)
	state, err = state.Fold(tail)
	require.NoError(s.t, err)
	return state
}

func (s *shop) run(state order.State, f order.Facts) order.State {
	s.t.Helper()
	timing := order.DefaultTiming()
	for {
		switch a := order.Next(state, f, now, timing); a.Kind {
		case order.Wait, order.Close:
			return state
		case order.Record:
			state = s.append(state, order.Decisions(state, f, now, timing)...)
			if state.Attention.Open {
				return state
			}
		case order.Do:
			if a.Step == order.StepRefund {
				state = s.refundParcel(state, a.Item)
				continue
			}
			entry, stuck := s.do(state, a.Step)
			if stuck {
				f.Stuck = &order.Stuck{Step: a.Step, Error: "it is stuck", Attempts: 1}
				continue
			}
			state = s.append(state, entry)
		default:
			if a.Step == order.StepAuthorize && state.Order.Payment.Method == "tok_capture_late" {
				state = s.refundCapture(state)
				continue
			}
			state = s.append(state, s.undo(state, a.Step))
		}
	}
}

// refundParcel refunds lost goods, like the activity.
func (s *shop) refundParcel(state order.State, item string) order.State {
	s.t.Helper()
	flow := &activities.Flow[order.State, *order.Participants]{
		Recorder: &activities.Recorder{Log: s.log, Clock: func() time.Time { return now }}, Table: &order.Flow,
		Participants: &order.Participants{Gateway: s.money, Refunds: s.log},
	}
	in := saga.StepInput[order.State]{State: state, Settings: order.DefaultTiming().Settings(false), Item: item}
	out, err := flow.Step(order.StepRefund, saga.Do)(s.t.Context(), in)
	require.NoError(s.t, err)
	state, err = state.Fold(out.Tail)
	require.NoError(s.t, err)
	return state
}

// refundCapture adds a capture that the log does not have, and refunds it, like the activity.
func (s *shop) refundCapture(state order.State) order.State {
	s.t.Helper()
	_, err := s.money.Lookup(s.t.Context(), s.payment(state))
	require.NoError(s.t, err)
	flow := &activities.Flow[order.State, *order.Participants]{
		Recorder: &activities.Recorder{Log: s.log, Clock: func() time.Time { return now }}, Table: &order.Flow,
		Participants: &order.Participants{Gateway: s.money, Refunds: s.log},
	}
	in := saga.StepInput[order.State]{State: state, Settings: order.DefaultTiming().Settings(false)}
	out, err := flow.Step(order.StepAuthorize, saga.Undo)(s.t.Context(), in)
	require.NoError(s.t, err)
	state, err = state.Fold(out.Tail)
	require.NoError(s.t, err)
	require.True(s.t, state.Refunded)
	return state
}

// paidLate adds a payment for an ended order, and refunds it, like the late saga.
func (s *shop) paidLate(id string) {
	s.t.Helper()
	ctx := s.t.Context()
	v := latepayment.LateRecord{ID: "evt-1", OrderID: id, EventID: "evt-1", Type: event.PaymentSucceeded, Status: order.StatusCancelled}
	require.NoError(s.t, latepayment.WriteLateRecord(ctx, s.log, v, "corr", now))
	money := &activities.Flow[latepayment.State, *latepayment.Participants]{
		Recorder: &activities.Recorder{Log: s.log, Clock: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}, Table: &latepayment.Flow,
		Participants: &latepayment.Participants{Gateway: s.money, Refunds: s.log, Payment: order.Reader{Log: s.log}.Payment},
	}
	opened, err := money.Open(ctx, saga.OpenInput{ID: id})
	require.NoError(s.t, err)
	in, out := saga.StepInput[latepayment.State]{}, opened.StepResult
	for _, step := range []string{latepayment.StepJudge, latepayment.StepRefund} {
		in.State, err = in.State.Fold(out.Tail)
		require.NoError(s.t, err)
		in.Item = latepayment.Flow.Decide(in.State, saga.Facts{}, now, nil).Item
		out, err = money.Step(step, saga.Do)(ctx, in)
		require.NoError(s.t, err)
	}
}

func (s *shop) payment(state order.State) payment.Payment {
	o := state.Order
	return payment.Payment{OrderID: o.ID, ID: state.PaymentID, Amount: o.TotalAmount, Currency: o.Currency, Method: o.Payment.Method}
}

func (s *shop) do(state order.State, step order.Step) (e event.Entry, stuck bool) {
	s.t.Helper()
	ctx, o, p := s.t.Context(), state.Order, s.payment(state)
	switch step {
	case order.StepReserve:
		line := o.Lines[0]
		r, err := s.ledger.Reserve(ctx, o.ID, line.SKU, line.Quantity)
		require.NoError(s.t, err)
		return state.Reserved([]order.LineOutcome{{
			SKU: line.SKU, Quantity: line.Quantity, Reserved: r.Effect == order.Done, Reason: r.Reason,
		}}, now), false
	case order.StepAuthorize:
		r, err := s.money.Authorize(ctx, p.Key("authorize"), p)
		require.NoError(s.t, err)
		if r.State == payment.Pending {
			return state.PaymentPending(r.PaymentID, now, now.Add(order.DefaultTiming().PaymentPending)), false
		}
		if r.State == payment.Refused {
			return state.Declined(r.PaymentID, r.Code, false, now), false
		}
		return state.Authorized(r.PaymentID, now), false
	case order.StepCapture:
		r, err := s.money.Capture(ctx, p.Key("capture"), p)
		if err != nil {
			return e, true
		}
		if r.State == payment.CaptureRefused {
			return state.CaptureRefused(r.Code, now), false
		}
		return state.Captured(r.PaymentID, now), false
	default:
		require.NoError(s.t, s.ledger.Commit(ctx, o.ID, o.Lines[0].SKU))
		return state.CommittedStock(now), false
	}
}

func (s *shop) undo(state order.State, step order.Step) event.Entry {
	s.t.Helper()
	switch step {
	case order.StepReserve:
		require.NoError(s.t, s.ledger.Release(s.t.Context(), state.Order.ID, state.Order.Lines[0].SKU))
	case order.StepAuthorize:
		p := s.payment(state)
		_, err := s.money.Void(s.t.Context(), p.Key("void"), p)
		require.NoError(s.t, err)
	}
	return state.Undone(step, now)
}

var _ eventlog.Log = (*store)(nil)
