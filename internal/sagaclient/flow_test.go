package sagaclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// topUp is a saga of a flow that shares nothing with orders: it locks a gift card and raises its balance.
type topUp struct {
	saga.Saga
	Amount int64 `json:"amount"`
}

// till are the participants of top-ups: a client never calls them.
type till struct{}

func (till) step(context.Context, saga.Call[topUp]) (saga.Outcome, error) { return saga.Outcome{}, nil }

var (
	call   = &saga.Operation[topUp, till]{Run: till.step}
	topUps = saga.Flow[topUp, till]{
		Name: "top-up", Stream: "card", Subject: "topUpId", Queue: "cards",
		Own: func(s *topUp, r event.Record) error {
			if r.Key != saga.SlotAccept {
				return nil
			}
			return json.Unmarshal(r.Data, s)
		},
		Same: func(s *topUp, data json.RawMessage) bool {
			var other topUp
			return json.Unmarshal(data, &other) == nil && s.Amount == other.Amount
		},
		Steps: []saga.Step[topUp, till]{
			{Name: "lock", Kind: saga.Compensable, Do: call, Undo: call, Done: "card.locked", Refused: "card.lock_refused",
				Undone: []string{"card.unlocked"}, Deadline: "LOCK_DEADLINE"},
			{Name: "decide", Kind: saga.Pivot},
			{Name: "credit", Kind: saga.Forward, Do: call, Done: "card.credited", StuckText: "the credit is stuck"},
		},
	}
)

// cards has a client of top-up 7 and its dependencies.
type cards struct {
	*world
	client *sagaclient.FlowClient[topUp, till]
	state  topUp
}

func newCards(t *testing.T) *cards {
	require.NoError(t, topUps.Check())
	c := &cards{world: newWorld(t)}
	c.temporal.workflow, c.temporal.id = "top-up", "card-7"
	c.client = sagaclient.NewFlowClient(c.config(), &topUps, sagaclient.StartRule[topUp]{
		Data: func(s *topUp) any { return map[string]int64{"amount": s.Amount} },
		State: func(data json.RawMessage) (s topUp, err error) {
			err = json.Unmarshal(data, &s)
			return s, err
		},
		Summary:    func(*topUp) string { return "a top-up" },
		Details:    func(*topUp) string { return "" },
		Attributes: func(*topUp) []sdk.SearchAttributeUpdate { return nil },
		LogKey:     "top_up_id",
	})
	return c
}

// input is the input of a run of the top-up.
func (c *cards) input(amount string) saga.Input {
	return saga.Input{ID: "7", Data: json.RawMessage(`{"amount":` + amount + `}`)}
}

// open writes the first event of the top-up.
func (c *cards) open() {
	c.t.Helper()
	c.write(topUps.Accept(saga.OpenInput{ID: "7", Data: json.RawMessage(`{"amount":5}`), CorrelationID: "first"}, now))
}

func (c *cards) write(entries ...event.Entry) {
	c.t.Helper()
	_, tail, err := c.log.Append(c.t.Context(), "card-7", c.state.Head, entries)
	require.NoError(c.t, err)
	c.state, err = topUps.Fold(c.state, tail)
	require.NoError(c.t, err)
}

// outcome writes the outcome of a step.
func (c *cards) outcome(slot, eventType string) {
	c.t.Helper()
	c.write(c.state.Entry("card-7", slot, eventType, now, saga.Object("topUpId", "7", struct{}{})))
}

// decide appends the decision that follows from facts.
func (c *cards) decide(f saga.Facts) {
	c.t.Helper()
	c.write(topUps.Decisions(c.state, f, now, func(saga.Deadline) time.Duration { return time.Hour })...)
}

func TestAnyFlowIsStarted(t *testing.T) {
	c := newCards(t)
	replayed, err := c.client.Start(t.Context(), "7", topUp{Amount: 5}, nil)
	require.NoError(t, err)
	require.False(t, replayed)
	require.Equal(t, c.input("5"), c.temporal.began(t))
	require.Len(t, c.temporal.starts, 1)
	o := c.temporal.starts[0]
	status, _ := o.TypedSearchAttributes.GetKeyword(sdk.NewSearchAttributeKeyKeyword("SagaStatus"))
	attention, known := o.TypedSearchAttributes.GetBool(saga.NeedsAttentionAttribute)
	require.Equal(t, "accepted", status)
	require.False(t, attention)
	require.True(t, known)
	require.Equal(t, 2, o.TypedSearchAttributes.Size())
	require.Equal(t, client.StartWorkflowOptions{
		ID: "card-7", TaskQueue: "cards", WorkflowIDReusePolicy: rejectDuplicate,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true, EnableEagerStart: true,
		StaticSummary: "a top-up", TypedSearchAttributes: o.TypedSearchAttributes,
	}, o)

	for name, prepare := range map[string]func(c *cards){
		"not written yet": func(*cards) {}, "open": (*cards).open,
		"ended": func(c *cards) { c.open(); c.outcome("lock", "card.lock_refused"); c.decide(saga.Facts{}) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCards(t)
			c.ranWith(c.input("5"), true)
			prepare(c)
			replayed, err := c.client.Start(t.Context(), "7", topUp{Amount: 5}, nil)
			require.NoError(t, err)
			require.True(t, replayed)
			_, err = c.client.Start(t.Context(), "7", topUp{Amount: 6}, nil)
			require.ErrorIs(t, err, fault.Conflict)
			require.EqualError(t, err, "top-up 7 exists with different content")
		})
	}
}

func TestAnyFlowHasRulesForNewSagas(t *testing.T) {
	broken := errors.New("too much")
	check := func() error { return broken }
	c := newCards(t)
	_, err := c.client.Start(t.Context(), "7", topUp{Amount: 5}, check)
	require.ErrorIs(t, err, broken)
	require.Empty(t, c.temporal.starts)
	c.ranWith(c.input("5"), true)
	replayed, err := c.client.Start(t.Context(), "7", topUp{Amount: 5}, check)
	require.NoError(t, err, "it is not new")
	require.True(t, replayed)
}

func TestAnyFlowIsSignalled(t *testing.T) {
	c := newCards(t)
	_, err := c.client.Signal(t.Context(), "7", saga.SignalCancel, cancellation)
	require.ErrorIs(t, err, fault.OrderUnknown)
	require.ErrorContains(t, err, "top-up 7 is not known")

	c.open()
	late, err := c.client.Signal(t.Context(), "7", saga.SignalCancel, cancellation)
	require.NoError(t, err)
	require.Nil(t, late)
	require.Equal(t, []signal{{"card-7", saga.SignalCancel, cancellation}}, c.temporal.signals)
	in := c.temporal.began(t)
	require.JSONEq(t, `{"amount":5}`, string(in.Data), "it goes on from the log")
	require.Equal(t, "first", in.CorrelationID)

	c.outcome("lock", "card.lock_refused")
	c.decide(saga.Facts{})
	require.True(t, c.state.Ended)
	c.temporal.running, c.temporal.closed = false, true
	late, err = c.client.Signal(t.Context(), "7", saga.SignalCancel, cancellation)
	require.NoError(t, err)
	require.Equal(t, c.state, late.State)
}

func TestAnyFlowIsCancelled(t *testing.T) {
	c := newCards(t)
	_, err := c.client.Cancel(t.Context(), "7", cancellation)
	require.ErrorIs(t, err, fault.NotFound)
	require.ErrorContains(t, err, "top-up 7 does not exist")

	c.open()
	c.ranWith(c.input("5"), true)
	c.temporal.updates, c.temporal.answers = nil, []any{saga.CancelAnswer{Accepted: true, Status: saga.Compensating}}
	answer, err := c.client.Cancel(t.Context(), "7", cancellation)
	require.NoError(t, err)
	require.Equal(t, saga.CancelAnswer{Accepted: true, Status: saga.Compensating}, answer)
	want := []client.UpdateWorkflowOptions{{
		UpdateID: "c-1", WorkflowID: "card-7", UpdateName: "cancel", Args: []any{cancellation},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	}}
	require.Equal(t, want, c.temporal.updates)

	c.outcome("lock", "card.locked")
	c.decide(saga.Facts{})
	c.decide(saga.Facts{Cancellations: []saga.Cancellation{{ID: "c-0"}}})
	answer, err = c.client.Cancel(t.Context(), "7", cancellation)
	require.NoError(t, err)
	require.Equal(t, saga.CancelAnswer{Status: c.state.Status, Detail: "the top-up is being settled"}, answer)
	require.Equal(t, want, c.temporal.updates, "the log answers")
}

func TestAnyFlowIsResolved(t *testing.T) {
	c := newCards(t)
	c.open()
	c.outcome("lock", "card.locked")
	c.decide(saga.Facts{})
	c.decide(saga.Facts{Stuck: &saga.StuckCall{Step: "credit", Error: "no answer", Attempts: 1}})
	require.True(t, c.state.Attention.Open)
	c.ranWith(c.input("5"), true)
	c.temporal.answers = []any{saga.ResolveAnswer{Accepted: true}}
	skip := saga.Resolution{Action: saga.Skip, Note: "paid out"}
	about, answer, err := c.client.Resolve(t.Context(), "7", skip, "")
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.Equal(t, skip.Identified("card-7", c.state.Attention, ""), about)
	require.Len(t, c.temporal.updates, 1)
	require.Equal(t, "card-7", c.temporal.updates[0].WorkflowID)
	require.Equal(t, []any{about}, c.temporal.updates[0].Args)

	_, answer, err = c.client.Resolve(t.Context(), "7", saga.Resolution{Action: saga.Compensate}, "")
	require.NoError(t, err)
	require.False(t, answer.Accepted)
	require.Equal(t, `the credit is stuck: allowed actions are retry, skip and substitute, not "compensate"`, answer.Detail)

	c.decide(saga.Facts{Resolutions: []saga.Resolution{about}})
	require.True(t, c.state.Ended)
	again, answer, err := c.client.Resolve(t.Context(), "7", skip, "")
	require.NoError(t, err)
	require.Equal(t, about, again)
	require.Equal(t, saga.ResolveAnswer{Accepted: true, Status: saga.Completed}, answer, "a saga that has ended answers by its log")
	require.Len(t, c.temporal.updates, 1)
}

func TestAnyFlowTakesOverFromInterruptedRuns(t *testing.T) {
	c := newCards(t)
	c.open()
	c.ranWith(c.input("5"), true)
	c.temporal.brokenOff = []string{"r-0"}
	c.temporal.histories = map[string][]*historypb.HistoryEvent{
		"r-1": numbered(began(t, c.input("5"))),
		"r-0": numbered(began(t, c.input("5")), signalled(t, saga.SignalCancel, cancellation)),
	}
	lost, err := c.client.Lost(t.Context(), "7")
	require.NoError(t, err)
	require.Len(t, lost.Cancellations, 1)
	require.NoError(t, c.client.ResendSignals(t.Context(), "7"))
	require.Len(t, c.temporal.signals, 1)
	require.Equal(t, signal{"card-7", saga.SignalFact, topUps.Cancellation("7", cancellation)}, c.temporal.signals[0])
	for id, err := range c.client.Interrupted(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, "7", id)
	}
	require.ErrorIs(t, c.client.Republish(t.Context(), "7"), fault.Invalid)
}
