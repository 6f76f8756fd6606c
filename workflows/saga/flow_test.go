package saga_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// topUp is a flow that shares nothing with the others: it locks a gift card, charges its owner, waits for an approval of large
// amounts, and raises the balance.
type topUp struct {
	saga.Saga
	Amount int64 `json:"amount"`
}

// till are the participants of top-ups: the tests of the table never call them.
type till struct{}

func (till) step(context.Context, saga.Call[topUp]) (saga.Outcome, error) { return saga.Outcome{}, nil }

const approvalDeadline saga.Deadline = "APPROVAL_DEADLINE"

func topUps() saga.Flow[topUp, till] {
	call := func(name string) *saga.Operation[topUp, till] {
		return &saga.Operation[topUp, till]{Run: till.step, Name: "card." + name, Queue: "cards", Summary: name}
	}
	find := call("Find")
	find.Within = time.Minute
	large := func(s *topUp) bool { return s.Amount > 100 }
	return saga.Flow[topUp, till]{
		Name: "top-up", Stream: "card", Subject: "topUpId", Queue: "cards",
		Own: func(s *topUp, r event.Record) error {
			if r.Type == "card.accepted" {
				return json.Unmarshal(r.Data, s)
			}
			return nil
		},
		Steps: []saga.Step[topUp, till]{
			{Name: "lock", Kind: saga.Compensable, Do: call("Lock"), Undo: call("Unlock"), Done: "card.locked", Refused: "card.lock_refused",
				Undone: []string{"card.unlocked"}, Deadline: "LOCK_DEADLINE", Status: "locked"},
			{Name: "charge", Kind: saga.Compensable, Do: call("Charge"), Lookup: find, Undo: call("Refund"), Done: "card.charged",
				Refused: "card.charge_refused", Undone: []string{"card.refunded"}, Deadline: "CHARGE_DEADLINE", Status: "charged"},
			{Name: "ask", Kind: saga.Compensable, When: large, Undo: &saga.Operation[topUp, till]{Summary: "withdraw"}, Done: "card.approval_asked",
				Undone: []string{"card.approval_withdrawn"}, Status: "awaiting_approval"},
			{Name: "approve", Kind: saga.Await, When: large, Done: "card.approved", Status: "approved", Wait: &saga.WaitRule{
				On: []string{"approval.given"}, For: "an approval", Since: "ask", Deadline: approvalDeadline, Overdue: "approval_timeout"}},
			{Name: "decide", Kind: saga.Pivot, Status: "settling"},
			{Name: "credit", Kind: saga.Forward, Do: call("Credit"), Done: "card.credited", StuckText: "the credit is stuck"},
		},
	}
}

// card is one saga of the flow: its stream, its facts, its clock.
type card struct {
	t       *testing.T
	flow    saga.Flow[topUp, till]
	records []event.Record
	facts   saga.Facts
	now     time.Time
}

func newCard(t *testing.T, amount int64) *card {
	c := &card{t: t, flow: topUps(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	require.NoError(t, c.flow.Check())
	c.add(event.New("card-7", saga.SlotAccept, "card.accepted", "7", c.now, map[string]any{"topUpId": "7", "amount": amount}))
	return c
}

func (c *card) state() topUp {
	s, err := c.flow.Fold(topUp{}, c.records)
	require.NoError(c.t, err)
	return s
}

func (c *card) add(e event.Entry) {
	for _, r := range c.records {
		require.NotEqual(c.t, r.Key, e.Key, "a slot is written once")
	}
	c.records = append(c.records, event.Record{Stream: "card-7", Version: int64(len(c.records)) + 1, Entry: e})
}

// next decides, and appends what is to be recorded until something else is to be done.
func (c *card) next() saga.Action {
	for {
		a := c.flow.Decide(c.state(), c.facts, c.now, func(saga.Deadline) time.Duration { return time.Hour })
		if a.Kind != saga.Record {
			return a
		}
		c.facts.Stuck = nil
		c.add(a.Entry)
	}
}

// outcome records what a step came to.
func (c *card) outcome(slot, eventType string, data map[string]any) {
	s := c.state()
	if data == nil {
		data = map[string]any{}
	}
	c.add(s.Entry("card-7", slot, eventType, c.now, saga.Object("topUpId", "7", data)))
}

func (c *card) timeline() []string {
	var types []string
	for _, r := range c.records {
		types = append(types, r.Type)
	}
	return types
}

func (c *card) wants(kind saga.ActionKind, step string) {
	c.t.Helper()
	a := c.next()
	require.Equal(c.t, string(kind)+" "+step, a.String(), "%v", c.timeline())
}

// start is how random top-ups begin.
var start = sagatest.Start[topUp]{
	Data: func(t *rapid.T) any {
		return map[string]int64{"amount": rapid.SampledFrom([]int64{5, 500}).Draw(t, "amount")}
	},
	Settles: map[string]string{"credit": "charge"},
}

func TestDefinition(t *testing.T) { sagatest.Definition(t, ptr(topUps()), start) }

func TestModel(t *testing.T) { sagatest.Model(t, ptr(topUps()), start) }

func TestTableDecidesTheWholeWay(t *testing.T) {
	c := newCard(t, 500)
	c.wants(saga.Do, "lock")
	c.outcome("lock", "card.locked", nil)
	require.Equal(t, saga.Status("locked"), c.state().Status)
	c.wants(saga.Do, "charge")
	c.outcome("charge", "card.charged", nil)
	c.wants(saga.Wait, "approve")
	require.Equal(t, saga.Status("awaiting_approval"), c.state().Status)
	require.Equal(t, c.now.Add(time.Hour), c.state().Slot("ask").ExpiresAt, "the event says how long the wait lasts")
	c.facts.Received = []saga.Fact{{Type: "approval.given", ID: "f", Cause: "e-1", Identity: "i-1"}}
	c.wants(saga.Do, "credit")
	require.True(t, c.state().Caused("i-1"))
	c.outcome("credit", "card.credited", nil)
	c.wants(saga.Close, "")
	require.Equal(t, []string{
		"card.accepted", "card.locked", "card.charged", "card.approval_asked", "card.approved", "card.settling", "card.credited", "card.completed",
	}, c.timeline())
	require.JSONEq(t, `{"topUpId":"7","outcome":"completed"}`, string(c.records[len(c.records)-1].Data))
	require.Equal(t, "7", c.records[len(c.records)-1].Subject)
}

func TestRowThatDoesNotApplyIsPassedOver(t *testing.T) {
	c := newCard(t, 5)
	c.outcome("lock", "card.locked", nil)
	c.outcome("charge", "card.charged", nil)
	c.wants(saga.Do, "credit")
	require.Equal(t, []string{"card.accepted", "card.locked", "card.charged", "card.settling"}, c.timeline())
}

func TestFirstRefusalEndsAtOnce(t *testing.T) {
	c := newCard(t, 5)
	c.outcome("lock", "card.lock_refused", map[string]any{"reason": "unknown_card"})
	c.wants(saga.Close, "")
	require.Equal(t, []string{"card.accepted", "card.lock_refused", "card.rejected"}, c.timeline())
	require.Equal(t, "unknown_card", c.state().Reason)
}

func TestCompensationIsNewestFirst(t *testing.T) {
	for name, c := range map[string]struct {
		amount  int64
		prepare func(c *card)
		undone  []string
		status  saga.Status
		reason  string
	}{
		"refused": {5, func(c *card) {
			c.outcome("lock", "card.locked", nil)
			c.outcome("charge", "card.charge_refused", map[string]any{"reason": "no_money"})
		}, []string{"lock"}, saga.Rejected, "no_money"},
		"cancelled during an attempt": {5, func(c *card) {
			c.outcome("lock", "card.locked", nil)
			c.facts.Cancellations = []saga.Cancellation{{ID: "c"}}
		}, []string{"charge", "lock"}, saga.Cancelled, saga.ReasonRequested},
		"cancelled before the first outcome": {5, func(c *card) {
			c.facts.Cancellations = []saga.Cancellation{{ID: "c"}}
		}, []string{"lock"}, saga.Cancelled, saga.ReasonRequested},
		"unavailable": {5, func(c *card) {
			c.outcome("lock", "card.locked", nil)
			c.facts.GivenUp, c.facts.LookedUp = "charge", "charge"
		}, []string{"charge", "lock"}, saga.Failed, "charge_unavailable"},
		"not approved in time": {500, func(c *card) {
			c.outcome("lock", "card.locked", nil)
			c.outcome("charge", "card.charged", nil)
			c.next()
			c.now = c.now.Add(time.Hour)
		}, []string{"ask", "charge", "lock"}, saga.Failed, "approval_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCard(t, c.amount)
			c.prepare(w)
			for _, step := range c.undone {
				w.wants(saga.Undo, step)
				w.outcome(saga.UndoSlot(step), map[string]string{"lock": "card.unlocked", "charge": "card.refunded", "ask": "card.approval_withdrawn"}[step], nil)
			}
			w.wants(saga.Close, "")
			require.Equal(t, c.status, w.state().Status)
			require.Equal(t, c.reason, w.state().Reason)
		})
	}
}

func TestApprovalInViewComesBeforeACancellation(t *testing.T) {
	c := newCard(t, 500)
	c.outcome("lock", "card.locked", nil)
	c.outcome("charge", "card.charged", nil)
	c.wants(saga.Wait, "approve")
	c.facts.Received = []saga.Fact{{Type: "approval.given", ID: "f"}}
	c.facts.Cancellations = []saga.Cancellation{{ID: "c"}}
	c.wants(saga.Do, "credit")
	require.True(t, c.state().CancelRefused)
	require.Equal(t, "the top-up is being settled", c.flow.RefusalText(ptr(c.state())))
}

func readNothing(string, json.RawMessage) (saga.Fact, error) { return saga.Fact{}, nil }

func endNowhere(json.RawMessage) (saga.Ending, error) { return saga.Ending{}, nil }

func ptr[T any](v T) *T { return &v }

func TestGivenUpStepIsLookedUpFirst(t *testing.T) {
	c := newCard(t, 5)
	c.outcome("lock", "card.locked", nil)
	c.facts.GivenUp = "charge"
	c.wants(saga.Lookup, "charge")
}

func TestStuckStepWaitsForAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		resolution saga.Resolution
		event      string
	}{
		"skip":       {saga.Resolution{ID: "r", Action: saga.Skip, Note: "paid out"}, "card.step_skipped"},
		"substitute": {saga.Resolution{ID: "r", Action: saga.Substitute, Reference: "T-1"}, "card.step_substituted"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCard(t, 5)
			w.outcome("lock", "card.locked", nil)
			w.outcome("charge", "card.charged", nil)
			w.wants(saga.Do, "credit")
			w.facts.Stuck = &saga.StuckCall{Step: "credit", Error: "no answer", Attempts: 1}
			w.wants(saga.Do, "credit")
			situation, allowed := w.flow.AttentionKind(ptr(w.state()))
			require.Equal(t, "the credit is stuck", situation)
			require.Equal(t, []saga.ResolutionAction{saga.Retry, saga.Skip, saga.Substitute}, allowed)
			require.Equal(t, saga.NeedsAttention, w.state().Status)
			w.facts.Resolutions = []saga.Resolution{{ID: "x", Action: saga.Compensate}, c.resolution}
			w.wants(saga.Close, "")
			require.Contains(t, w.timeline(), c.event)
			require.Equal(t, "card.attention_resolved", w.records[len(w.records)-2].Type)
			require.False(t, w.state().Recorded("x"), "what has left is not turned back")
		})
	}
}

func TestUnknownVersionIsNotFolded(t *testing.T) {
	c := newCard(t, 5)
	s := c.state()
	e := s.Entry("card-7", "lock", event.InventoryReserved, c.now, struct{}{})
	e.SchemaVersion = 99
	_, err := c.flow.Fold(s, []event.Record{{Stream: "card-7", Version: 2, Entry: e}})
	require.Error(t, err)
	_, err = c.flow.Fold(s, []event.Record{{Stream: "card-7", Version: 3, Entry: e}})
	require.Error(t, err, "a gap")
}

func TestFoldDoesNotChangeTheOldState(t *testing.T) {
	c := newCard(t, 5)
	before := c.state()
	c.outcome("lock", "card.locked", nil)
	_, err := c.flow.Fold(before, c.records)
	require.NoError(t, err)
	require.False(t, before.Has("lock"))
	require.True(t, c.state().Has("lock", "card.locked"))
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	require.NoError(t, ptr(topUps()).Check())
	for want, spoil := range map[string]func(f *saga.Flow[topUp, till]){
		"a flow must have a Name": func(f *saga.Flow[topUp, till]) { f.Name = "" },
		`the stream "gift-card"`:  func(f *saga.Flow[topUp, till]) { f.Stream = "gift-card" },
		"one pivot, not 0":        func(f *saga.Flow[topUp, till]) { f.Steps = append(f.Steps[:4:4], f.Steps[5]) },
		"one pivot, not 2": func(f *saga.Flow[topUp, till]) {
			f.Steps = append(f.Steps, saga.Step[topUp, till]{Name: "again", Slot: "decide", Kind: saga.Pivot})
		},
		`step "lock": a compensable step must have Undo`:           func(f *saga.Flow[topUp, till]) { f.Steps[0].Undo = nil },
		`step "lock": an operation must have a step function: Run`: func(f *saga.Flow[topUp, till]) { f.Steps[0].Do.Run = nil },
		`step "lock": the compensation must have a type`:           func(f *saga.Flow[topUp, till]) { f.Steps[0].Undone = nil },
		`step "lock": a compensable step with Do must have`:        func(f *saga.Flow[topUp, till]) { f.Steps[0].Deadline = "" },
		`step "charge": a lookup must have Within`:                 func(f *saga.Flow[topUp, till]) { f.Steps[1].Lookup.Within = 0 },
		`a flow must have a task queue`:                            func(f *saga.Flow[topUp, till]) { f.Queue = "" },
		`step "lock": only a lookup may have Within`:               func(f *saga.Flow[topUp, till]) { f.Steps[0].Undo.Within = time.Minute },
		`step "credit": only a lookup may have Within`:             func(f *saga.Flow[topUp, till]) { f.Steps[5].Do.Within = time.Minute },
		`step "ask": the compensation of a step without`:           func(f *saga.Flow[topUp, till]) { f.Steps[2].Undo.Run = till.step },
		`step "credit": the activity "card.Lock" is`:               func(f *saga.Flow[topUp, till]) { f.Steps[5].Do.Name = "card.Lock" },
		`step "credit": the activity "card.Publish" is`:            func(f *saga.Flow[topUp, till]) { f.Steps[5].Do.Name = "card.Publish" },
		`step "lock": the outcomes must have different types`:      func(f *saga.Flow[topUp, till]) { f.Steps[0].Refused = f.Steps[0].Done },
		`step "approve": a step must not wait for "stop"`:          func(f *saga.Flow[topUp, till]) { f.CancelRequested, f.Steps[3].Wait.On = "stop", []string{"stop"} },
		`the signal "cancel" is declared twice`:                    func(f *saga.Flow[topUp, till]) { f.Signals = []saga.Signal{{Name: "cancel", Read: readNothing}} },
		`the signal "stop" is declared twice`: func(f *saga.Flow[topUp, till]) {
			f.Signals, f.TurnBack = []saga.Signal{{Name: "stop", Read: readNothing}}, &saga.TurnBackRule{Signal: "stop", Ending: endNowhere}
		},
		`a signal must have a Name`:                                                 func(f *saga.Flow[topUp, till]) { f.Signals = []saga.Signal{{Read: readNothing}} },
		`the signal "pay" must have Read`:                                           func(f *saga.Flow[topUp, till]) { f.Signals = []saga.Signal{{Name: "pay"}} },
		`TurnBack must have Signal and Ending`:                                      func(f *saga.Flow[topUp, till]) { f.TurnBack = &saga.TurnBackRule{Signal: "stop"} },
		`Late must have Workflow, WorkflowID`:                                       func(f *saga.Flow[topUp, till]) { f.Late = &saga.LateRule[topUp]{Workflow: "LateTopUp"} },
		`EarlyStream and EarlyType`:                                                 func(f *saga.Flow[topUp, till]) { f.EarlyType = "card.cancellation_kept" },
		`step "approve": Since of a wait must name an earlier step`:                 func(f *saga.Flow[topUp, till]) { f.Steps[3].Wait.Since = "credit" },
		`step "approve": a wait must name its events: On`:                           func(f *saga.Flow[topUp, till]) { f.Steps[3].Wait.On = nil },
		`step "approve": a step of kind "await"`:                                    func(f *saga.Flow[topUp, till]) { f.Steps[3].Wait = nil },
		`step "decide": the pivot must not have Do`:                                 func(f *saga.Flow[topUp, till]) { f.Steps[4].Do = f.Steps[5].Do },
		`step "credit": a forward step must not have Undo: it is never compensated`: func(f *saga.Flow[topUp, till]) { f.Steps[5].Undo, f.Steps[5].Undone = f.Steps[0].Undo, []string{"x"} },
		`step "credit": a forward step must not have a Deadline`:                    func(f *saga.Flow[topUp, till]) { f.Steps[5].Deadline = "D" },
		`step "credit": a forward step that can be refused must have`:               func(f *saga.Flow[topUp, till]) { f.Steps[5].Refused = "card.credit_refused" },
		`step "credit": the outcome must have a type`:                               func(f *saga.Flow[topUp, till]) { f.Steps[5].Done = "" },
		`step "credit": "maybe" is not a kind of step`:                              func(f *saga.Flow[topUp, till]) { f.Steps[5].Kind = "maybe" },
		`the slot "lock" is used twice`:                                             func(f *saga.Flow[topUp, till]) { f.Steps[5].Slot = "lock" },
		`the slot "end" is used twice or reserved`:                                  func(f *saga.Flow[topUp, till]) { f.Steps[5].Slot = "end" },
		`the name "lock" is used twice`:                                             func(f *saga.Flow[topUp, till]) { f.Steps[5].Name = "lock" },
		`step "lock": the type "card.rejected" is reserved`:                         func(f *saga.Flow[topUp, till]) { f.Steps[0].Refused = "card.rejected" },
		`step "decide": the pivot must not have When: it applies to every saga`:     func(f *saga.Flow[topUp, till]) { f.Steps[4].When = f.Steps[3].When },
		`step "credit": only a compensable step with Do`:                            func(f *saga.Flow[topUp, till]) { f.Steps[5].Pending = &saga.PendingRule{} },
		`step "lock": a pending outcome must have Event, On`:                        func(f *saga.Flow[topUp, till]) { f.Steps[0].Pending = &saga.PendingRule{} },
		`step "notify": only the first step after`: func(f *saga.Flow[topUp, till]) {
			f.Steps = append(f.Steps, saga.Step[topUp, till]{Name: "notify", Kind: saga.Forward, Reversible: f.Steps[3].When})
		},
		`step "later": a compensable step must come before the wait`: func(f *saga.Flow[topUp, till]) {
			later := f.Steps[0]
			later.Name = "later"
			f.Steps = slices.Insert(f.Steps, 4, later)
		},
		`step "again": only one wait may come before the pivot`: func(f *saga.Flow[topUp, till]) {
			again := f.Steps[3]
			again.Name = "again"
			f.Steps = slices.Insert(f.Steps, 4, again)
		},
		`step "approve": AfterCancel must not have the name of the step`: func(f *saga.Flow[topUp, till]) {
			f.Steps[3].Wait.AfterCancel = &saga.Trouble{Step: "lock", Text: "x", AttentionKind: "y"}
		},
		`slots that begin with "undo/" are reserved`:                         func(f *saga.Flow[topUp, till]) { f.Steps[5].Slot = "undo/lock" },
		`step "charge": the slot "lock/pending" is used twice`:               func(f *saga.Flow[topUp, till]) { f.Steps[1].Slot = "lock/pending" },
		`step "credit": the slot "cancel/refused" is used twice or reserved`: func(f *saga.Flow[topUp, till]) { f.Steps[5].Slot = "cancel/refused" },
	} {
		f := topUps()
		spoil(&f)
		require.ErrorContains(t, f.Check(), want)
	}
	require.ErrorContains(t, (&saga.Flow[struct{}, any]{Name: "x", Stream: "x"}).Check(), "must embed saga.Saga")
}

// A record that only a newer version understands must not fail the workflow: its task fails, and is tried again.
func TestRecordOfANewerVersionFailsTheTask(t *testing.T) {
	c := newCard(t, 5)
	e := c.state().Entry("card-7", "lock", event.InventoryReserved, c.now, struct{}{})
	e.SchemaVersion = 99
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	sagatest.ExtendTimeouts(env)
	env.ExecuteWorkflow(func(workflow.Context) error {
		saga.Must(c.flow.Fold(c.state(), []event.Record{{Stream: "card-7", Version: 2, Entry: e}}))
		return nil
	})
	var panicked *temporal.PanicError
	require.ErrorAs(t, env.GetWorkflowError(), &panicked)
}

// A wait begins with the event of a row, whatever the row's slot is called.
func TestWaitBeginsWithTheEventOfItsRow(t *testing.T) {
	c := newCard(t, 500)
	c.flow.Steps[2].Slot = "approval"
	require.NoError(t, c.flow.Check())
	c.outcome("lock", "card.locked", nil)
	c.outcome("charge", "card.charged", nil)
	c.wants(saga.Wait, "approve")
	require.Equal(t, c.now.Add(time.Hour), c.state().Slot("approval").ExpiresAt)
}

// A wait ends even when the row that it begins with does not apply to the saga.
func TestWaitWithoutItsFirstRowEnds(t *testing.T) {
	c := newCard(t, 500)
	c.flow.Steps[2].When = func(*topUp) bool { return false }
	c.outcome("lock", "card.locked", nil)
	c.outcome("charge", "card.charged", nil)
	require.Equal(t, c.now.Add(time.Hour), c.next().Until)
	c.now = c.now.Add(time.Hour)
	c.wants(saga.Undo, "charge")
	require.Equal(t, "approval_timeout", c.state().Reason)
}

// What a lookup found about one step says nothing about another.
func TestLookupBelongsToItsStep(t *testing.T) {
	c := newCard(t, 5)
	c.outcome("lock", "card.locked", nil)
	c.facts.GivenUp, c.facts.LookedUp = "charge", "lock"
	c.wants(saga.Lookup, "charge")
}

// The type of a terminal event ends a saga in its own slot only.
func TestTerminalTypeEndsInItsSlotOnly(t *testing.T) {
	c := newCard(t, 5)
	c.outcome("note", "card.failed", nil)
	require.False(t, c.state().Ended)
	c.wants(saga.Do, "lock")
}
