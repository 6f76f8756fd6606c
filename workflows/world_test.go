package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// world is a saga's environment in memory: a log, scripted participants, a bus.
type world struct {
	t        testing.TB
	env      *testsuite.TestWorkflowEnvironment
	log      *memlog.Log
	stock    *stock
	gateway  *gateway
	bus      *bus
	list     *list
	lateList *attentionList
	timing   order.Timing
	// skew is by how much the workers' clocks differ from the workflow's.
	skew time.Duration
	// inlinePayment: the gateway is fast.
	inlinePayment bool
	// slow are steps that the service of another team takes, gate is what decides whether their calls run inline; nil: never.
	slow []string
	gate *activities.Gate
	// callerID reports whether the client chose the order's id.
	callerID bool
	// resume is the input from an earlier run, pendingFacts are the pages of facts of interrupted runs.
	resume       *saga.Resume
	pendingFacts [][]saga.Fact
}

func newWorld(t testing.TB) *world {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	w := &world{
		t: t, env: suite.NewTestWorkflowEnvironment(), log: memlog.New(), stock: &stock{}, gateway: &gateway{},
		bus: &bus{}, list: &list{}, lateList: &attentionList{}, timing: order.DefaultTiming(), inlinePayment: true,
	}
	w.env.SetStartTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	sagatest.ExtendTimeouts(w.env)
	return w
}

// run runs the saga of o to its end. What is mocked is mocked by before, when everything is registered.
func (w *world) run(o order.Order, before ...func()) saga.Result {
	w.t.Helper()
	recorder := &activities.Recorder{Log: w.log, Publisher: w.bus, Clock: w.clock, Logger: slog.New(slog.DiscardHandler), Gate: w.gate}
	workers.RegisterWorkflows(w.env)
	workers.RegisterActivities(w.env, w.orders(recorder, w.gateway), w.lateMoney(w.gateway))
	for _, mock := range before {
		mock()
	}
	in := input(o)
	in.CallerID, in.Resume = w.callerID, w.resume
	w.env.ExecuteWorkflow(order.Flow.WorkflowType(), in)
	require.True(w.t, w.env.IsWorkflowCompleted())
	require.NoError(w.t, w.env.GetWorkflowError())
	var result saga.Result
	require.NoError(w.t, w.env.GetWorkflowResult(&result))
	return result
}

// orders are the activities of the order's flow.
func (w *world) orders(recorder *activities.Recorder, g payment.Gateway) *activities.Flow[order.State, *order.Participants] {
	return &activities.Flow[order.State, *order.Participants]{
		Recorder: recorder, Table: &order.Flow, Settings: w.settings(), List: w.list, Late: latepayment.Recorder{Log: recorder.Log, Clock: recorder.Clock}.Record, Predecessors: w,
		Participants: &order.Participants{Stock: order.PerSKU(w.stock), Gateway: g, Refunds: w.log},
	}
}

// settings are what runs are given.
func (w *world) settings() saga.Settings {
	settings := w.timing.Settings(w.inlinePayment)
	settings.Slow = w.slow
	return settings
}

// input starts the saga of an order.
func input(o order.Order) saga.Input {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return saga.Input{ID: o.ID, Data: data, CorrelationID: "corr", CausationID: "cause"}
}

// fact is a signal as a run hears it.
func fact(t *testing.T, signal, payload string) saga.Fact {
	t.Helper()
	f, known, err := order.Flow.FactOf("42", signal, json.RawMessage(payload))
	require.NoError(t, err)
	require.True(t, known)
	return f
}

// clock is what the workers take for the time.
func (w *world) clock() time.Time { return w.env.Now().Add(w.skew) }

// Recover implements activities.Predecessors: the cursor counts pages.
func (w *world) Recover(_ context.Context, in saga.RecoverInput) (saga.RecoverResult, error) {
	n := int(in.Cursor.After)
	result := saga.RecoverResult{Facts: w.pendingFacts[n]}
	if n+1 < len(w.pendingFacts) {
		result.Next = &saga.RecoverCursor{Runs: []string{"r-1"}, After: int64(n) + 1}
	}
	return result, nil
}

// lateMoney are the activities of the late saga.
func (w *world) lateMoney(g payment.Gateway) *activities.Flow[latepayment.State, *latepayment.Participants] {
	return &activities.Flow[latepayment.State, *latepayment.Participants]{
		Recorder: &activities.Recorder{Log: w.log, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)},
		Table:    &latepayment.Flow, Settings: w.timing.Settings(w.inlinePayment), List: w.lateList,
		Participants: &latepayment.Participants{Gateway: g, Refunds: w.log, Payment: order.Reader{Log: w.log}.Payment},
	}
}

// timeline lists the types of the order's events.
func (w *world) timeline() []string {
	records, err := w.log.Read(context.Background(), event.OrderStream("42"), 0, 0)
	require.NoError(w.t, err)
	eventtest.CheckRecords(w.t, records...)
	types := make([]string, len(records))
	for i, r := range records {
		types[i] = r.Type
	}
	return types
}

// record appends entries to the order's stream, as an earlier run did.
func (w *world) record(entries ...event.Entry) order.State {
	w.t.Helper()
	head, ok, err := w.log.Head(context.Background(), event.OrderStream("42"))
	require.NoError(w.t, err)
	at := event.Head{}
	if ok {
		at = head.HeadOf()
	}
	if len(entries) > 0 {
		_, _, err = w.log.Append(context.Background(), event.OrderStream("42"), at, entries)
		require.NoError(w.t, err)
	}
	records, err := w.log.Read(context.Background(), event.OrderStream("42"), 0, 0)
	require.NoError(w.t, err)
	s, err := order.Fold(records)
	require.NoError(w.t, err)
	return s
}

func tea(f order.Fulfillment) order.Order {
	return order.Order{
		ID: "42", CustomerID: "c-7", Currency: "EUR", Lines: []order.Line{{SKU: "tea", Quantity: 2, UnitAmount: 450}},
		Payment: order.PaymentMethod{Method: "tok_visa"}, Fulfillment: f,
	}.Normalize()
}

// stock is a participant with slots.
type stock struct {
	mu     sync.Mutex
	refuse string
	// fail makes the next calls fail, a name of a method each.
	fail  []string
	do    order.Effect
	end   string
	calls []string
	// short reports whether other orders hold the stock for now; requests are what was asked for.
	short    func(order.ReserveRequest) bool
	requests []order.ReserveRequest
	// lost is true when fewer were counted than are reserved.
	lost bool
}

func (s *stock) call(name string) error {
	s.calls = append(s.calls, name)
	for i, f := range s.fail {
		if f == name {
			s.fail = append(s.fail[:i:i], s.fail[i+1:]...)
			return fault.New(fault.Unavailable, "stock is away")
		}
	}
	return nil
}

// mend has every call come through from now on. The environment may call back while an activity is under way.
func (s *stock) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = nil
}

func (s *stock) Acquire(_ context.Context, r order.ReserveRequest) ([]order.Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("reserve"); err != nil {
		return nil, err
	}
	s.requests = append(s.requests, r)
	if s.do == "" && s.end == "" && s.short != nil && s.short(r) {
		return []order.Reservation{{Effect: order.Short}}, nil
	}
	if s.do == "" {
		s.do = order.Done
		if s.refuse != "" {
			s.do = order.Refused
		}
	}
	if s.end == "released" {
		return []order.Reservation{{Effect: order.Undone}}, nil
	}
	return []order.Reservation{{Effect: s.do, Reason: s.refuse}}, nil
}

func (s *stock) Lookup(context.Context, string, string) (order.Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("lookup"); err != nil {
		return order.Reservation{}, err
	}
	if s.end == "released" {
		return order.Reservation{Effect: order.Undone}, nil
	}
	return order.Reservation{Effect: s.do, Reason: s.refuse}, nil
}

func (s *stock) Release(context.Context, string, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("release"); err != nil {
		return err
	}
	if s.end == "committed" {
		return fault.New(fault.EffectSettled, "committed")
	}
	s.end = "released"
	return nil
}

func (s *stock) Commit(context.Context, string, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("commit"); err != nil {
		return err
	}
	if s.end == "released" {
		return fault.New(fault.EffectSettled, "released")
	}
	if s.lost {
		return fault.New(fault.StockInsufficient, "only 0 are on hand")
	}
	s.end = "committed"
	return nil
}

// gateway is a scripted payment provider.
type gateway struct {
	mu sync.Mutex
	// answer is what an authorization comes to; Authorized by default.
	answer payment.State
	// captureRefused: captures are refused.
	captureRefused bool
	// down counts how many more calls of a method fail; a negative number is for ever.
	down map[string]int
	// doThenFail makes failing calls have their effect first.
	doThenFail bool
	state      payment.State
	calls      []string
	// asked: the payer was asked; arrived is what came when the payment had been voided, refunds what was given
	// back, by key.
	asked   bool
	arrived int64
	refunds map[string]int64
}

func (g *gateway) Traits() payment.Traits { return payment.Traits{Name: "fake", Fast: true} }

// call counts a call, and fails it after the effect or before.
func (g *gateway) call(name string, effect func()) error {
	g.calls = append(g.calls, name)
	if g.down[name] == 0 {
		effect()
		return nil
	}
	g.down[name]--
	if g.doThenFail {
		effect()
	}
	return fault.New(fault.OutcomeUnknown, "the line went dead")
}

// mend has every call come through from now on. The environment may call back while an activity is under way.
func (g *gateway) mend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = nil
}

// count is how many calls there were.
func (g *gateway) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

// captured captures the payment outside the saga.
func (g *gateway) captured() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = payment.Captured
}

func (g *gateway) Authorize(context.Context, string, payment.Payment) (payment.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.call("authorize", func() {
		if g.state == "" {
			g.state = payment.Authorized
			if g.answer != "" {
				g.state = g.answer
			}
			g.asked = g.state == payment.Pending
		}
	})
	return payment.Result{State: g.state, PaymentID: "p-1"}, err
}

func (g *gateway) Capture(context.Context, string, payment.Payment) (payment.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.captureRefused {
		return payment.Result{State: payment.CaptureRefused, Code: "expired"}, nil
	}
	err := g.call("capture", func() { g.state = payment.Captured })
	return payment.Result{State: g.state}, err
}

func (g *gateway) Void(context.Context, string, payment.Payment) (payment.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == payment.Captured {
		return payment.Result{}, fault.New(fault.EffectSettled, "captured")
	}
	err := g.call("void", func() { g.state = payment.Undone })
	return payment.Result{State: g.state}, err
}

func (g *gateway) Refund(_ context.Context, key string, _ payment.Payment, amount int64) (payment.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.call("refund", func() {
		if g.refunds == nil {
			g.refunds = map[string]int64{}
		}
		g.refunds[key] = amount
	})
	return payment.Result{State: payment.Refunded}, err
}

// there is what has arrived and is not given back.
func (g *gateway) there() int64 {
	left := g.arrived
	for _, amount := range g.refunds {
		left -= amount
	}
	return left
}

func (g *gateway) Lookup(context.Context, payment.Payment) (payment.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.call("lookup", func() {}); err != nil {
		return payment.Result{}, err
	}
	if g.state == "" {
		return payment.Result{State: payment.Absent}, nil
	}
	return payment.Result{
		State: g.state, PaymentID: "p-1", Asynchronous: g.answer == payment.Pending, Arrived: g.there(),
	}, nil
}

// Settle settles a pending payment, as a payer does. The money of one that was voided arrives all the same.
func (g *gateway) Settle(_ context.Context, p payment.Payment, succeeded bool, _ string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.asked && succeeded && g.state == payment.Undone && g.arrived == 0:
		g.arrived = p.Amount
	case g.state != payment.Pending:
	case succeeded:
		g.state = payment.Authorized
	default:
		g.state = payment.Refused
	}
	return nil
}

// bus collects what is published, each version once, and checks the order.
type bus struct {
	mu   sync.Mutex
	down int
	got  []event.Record
}

func (b *bus) Publish(_ context.Context, records []event.Record) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != 0 {
		b.down--
		return 0, fault.New(fault.Unavailable, "no broker")
	}
	for _, r := range records {
		if n := len(b.got); n == 0 || r.Version == b.got[n-1].Version+1 {
			b.got = append(b.got, r)
		} else if r.Version > b.got[n-1].Version {
			panic("events are published out of order")
		}
	}
	return len(records), nil
}

func (b *bus) types() []string {
	types := make([]string, len(b.got))
	for i, r := range b.got {
		types[i] = r.Type
	}
	return types
}

// list is the read model.
type list struct {
	mu       sync.Mutex
	statuses []order.Status
}

func (l *list) Project(_ context.Context, s order.State) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.statuses); n == 0 || l.statuses[n-1] != s.Status {
		l.statuses = append(l.statuses, s.Status)
	}
	return nil
}

// attentionList is the list of late events that need attention.
type attentionList struct {
	mu    sync.Mutex
	fail  int
	shown []string
}

func (d *attentionList) Project(_ context.Context, s latepayment.State) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail > 0 {
		d.fail--
		return fault.New(fault.Unavailable, "no list")
	}
	what := "nothing"
	if s.Attention.Open {
		what = s.Attention.Step
	}
	if n := len(d.shown); n == 0 || d.shown[n-1] != what {
		d.shown = append(d.shown, what)
	}
	return nil
}

// quiet is a logger for the test environment.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
