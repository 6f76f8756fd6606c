package sagaclient_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/testflow"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var _ sagaclient.Sagas = (*sagaclient.TableClient[testflow.State, *testflow.Participants])(nil)

// table has a client of the top-up 7 of an added flow, and its dependencies.
type table struct {
	*world
	client *sagaclient.TableClient[testflow.State, *testflow.Participants]
	state  testflow.State
}

func newTable(t *testing.T) *table {
	w := &table{world: newWorld(t)}
	w.temporal.workflow, w.temporal.id = "top-up", "card-7"
	w.client = sagaclient.NewTableClient(w.config(), testflow.Flow, w.log, func() time.Time { return now })
	return w
}

func body(amount int64) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"cardId":"c-1","amount":%d}`, amount))
}

func request(amount int64) sagaclient.Request {
	return sagaclient.Request{ID: "7", Body: body(amount), CorrelationID: "corr", CausationID: "evt-1", CallerID: true}
}

// begin writes the first event, and drives the saga on with facts.
func (w *table) begin(amount int64, facts saga.Facts) {
	w.t.Helper()
	s, err := testflow.Begin(w.t.Context(), w.log, "7", testflow.TopUp{CardID: "c-1", Amount: amount}, now)
	require.NoError(w.t, err)
	w.state, err = testflow.Drive(w.t.Context(), w.log, s, facts, "", "", now)
	require.NoError(w.t, err)
}

// runs adds a run of the saga to the server.
func (w *table) runs(amount int64, running bool) {
	w.t.Helper()
	data, err := testflow.Flow.ReadStart("7", body(amount), "")
	require.NoError(w.t, err)
	w.ranWith(saga.Input{ID: "7", Data: data, CorrelationID: "first"}, running)
}

func TestSagaOfAnyFlowStarts(t *testing.T) {
	w := newTable(t)
	v, replayed, err := w.client.Start(t.Context(), request(5))
	require.NoError(t, err)
	require.False(t, replayed)
	require.Equal(t, saga.Accepted, v.Status)
	require.Equal(t, "7", v.ID)
	require.Equal(t, "corr", v.CorrelationID)
	require.Equal(t, now, v.CreatedAt)
	in := w.temporal.began(t)
	require.JSONEq(t, `{"topUpId":"7","cardId":"c-1","amount":5,"note":""}`, string(in.Data))
	require.Equal(t, []any{"corr", "evt-1", true}, []any{in.CorrelationID, in.CausationID, in.CallerID})
	o := w.temporal.starts[0]
	require.Equal(t, saga.QueueOrders, o.TaskQueue)
	status, _ := o.TypedSearchAttributes.GetKeyword(testflow.Flow.StatusKey())
	require.Equal(t, "accepted", status)
	require.Contains(t, o.StaticDetails, "/v1/sagas/top-up/7/events")

	// Before the first event Temporal knows it.
	for range 2 {
		v, replayed, err = w.client.Start(t.Context(), request(5))
		require.NoError(t, err)
		require.True(t, replayed)
		require.Equal(t, "7", v.ID)
	}
	_, _, err = w.client.Start(t.Context(), request(6))
	require.ErrorIs(t, err, fault.Conflict)
	v, err = w.client.View(t.Context(), "7")
	require.NoError(t, err)
	require.Equal(t, saga.Accepted, v.Status)
	require.Zero(t, v.Version)
}

func TestStartOfAnyFlowIsRead(t *testing.T) {
	w := newTable(t)
	for want, r := range map[string]sagaclient.Request{
		"/data/topUpId": {ID: " a", Body: body(5), At: "/data"},
		"/topUpId":      {ID: "", Body: body(5)},
		"/data/amount":  {ID: "7", Body: body(0), At: "/data"},
		"/x":            {ID: "7", Body: json.RawMessage(`{"cardId":"c","amount":1,"x":2}`)},
		"/note":         {ID: "7", Body: json.RawMessage(`{"cardId":"c","amount":1,"note":null}`)},
	} {
		_, _, err := w.client.Start(t.Context(), r)
		require.ErrorIs(t, err, fault.Invalid, want)
		require.Equal(t, want, fault.FieldsOf(err)[0].Pointer)
	}
	for _, raw := range []string{``, `[]`, `{"cardId":"c","amount":1}x`, `{"cardId":"c","cardId":"d","amount":1}`} {
		_, _, err := w.client.Start(t.Context(), sagaclient.Request{ID: "7", Body: json.RawMessage(raw)})
		require.Contains(t, []fault.Code{fault.Malformed, fault.Invalid}, fault.CodeOf(err), raw)
	}
	require.Empty(t, w.temporal.starts)
	// An ID that was made for the request cannot have been used.
	fresh := request(5)
	fresh.Fresh = true
	_, replayed, err := w.client.Start(t.Context(), fresh)
	require.NoError(t, err)
	require.False(t, replayed)
	require.Zero(t, w.log.reads)
}

func TestStartOfExistingSaga(t *testing.T) {
	for name, c := range map[string]struct {
		amount  int64
		running bool
		// starts is how many runs are started by the request.
		starts int
		status saga.Status
	}{
		"open":              {1000, true, 0, "authorized"},
		"open, run gone":    {1000, false, 1, "authorized"},
		"ended":             {5, false, 0, saga.Completed},
		"ended, run closes": {5, true, 0, saga.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTable(t)
			w.begin(c.amount, saga.Facts{})
			if w.runs(c.amount, c.running); name == "open, run gone" {
				w.temporal.closed = false // deleted, or its retention is over
			}
			v, replayed, err := w.client.Start(t.Context(), request(c.amount))
			require.NoError(t, err)
			require.True(t, replayed)
			require.Equal(t, c.status, v.Status)
			_, _, err = w.client.Start(t.Context(), request(c.amount+1))
			require.ErrorIs(t, err, fault.Conflict)
			w.starts(c.starts)
		})
	}
}

// starts asserts how many runs began.
func (w *table) starts(n int) {
	w.t.Helper()
	began := 0
	for _, o := range w.temporal.starts {
		if o.WorkflowIDReusePolicy == allowDuplicate && !w.temporal.closed {
			began++
		}
	}
	if n == 0 {
		require.Zero(w.t, len(w.temporal.starts)-began)
		return
	}
	require.Equal(w.t, n, began)
	require.Equal(w.t, "corr", w.temporal.began(w.t).CorrelationID, "the run goes on from the log")
}

func TestSagaOfAnyFlowIsSignalled(t *testing.T) {
	approval := sagaclient.Fact{Fact: saga.Fact{Type: testflow.Approved, ID: "f-1", Cause: "evt-2", Identity: "i-1", Data: json.RawMessage(`{"by":"Ada"}`)}, CorrelationID: "corr-2"}
	cancel := sagaclient.Fact{Cancel: &saga.Cancellation{ID: "c-1", Cause: "evt-3", Reason: "no"}, CorrelationID: "corr-3"}

	w := newTable(t)
	require.ErrorIs(t, w.client.SendFact(t.Context(), "7", approval), fault.OrderUnknown)
	require.Empty(t, w.log.Names())
	w.temporal.down["signal"] = errNoWay
	require.ErrorIs(t, w.client.SendFact(t.Context(), "7", cancel), fault.Unavailable)
	require.Empty(t, w.log.Names(), "what Temporal cannot be asked about is not unknown")
	delete(w.temporal.down, "signal")
	for range 2 {
		err := w.client.SendFact(t.Context(), "7", cancel)
		require.ErrorIs(t, err, fault.OrderUnknown)
		require.Contains(t, fault.SafeMessage(err), deadletter.EarlySagaNote)
	}
	kept, err := w.log.Read(t.Context(), "card.early-7", 0, 0)
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Equal(t, "corr-3", kept[0].CorrelationID)

	// Open, without a run: the new run receives the signal.
	w = newTable(t)
	w.begin(1000, saga.Facts{})
	require.NoError(t, w.client.SendFact(t.Context(), "7", approval))
	require.Equal(t, []signal{{"card-7", saga.SignalFact, approval.Fact}}, w.temporal.signals)
	require.Len(t, w.temporal.starts, 1)
	require.NoError(t, w.client.SendFact(t.Context(), "7", cancel))
	require.Equal(t, signal{"card-7", saga.SignalCancel, *cancel.Cancel}, w.temporal.signals[1])

	// Ended: an event that had its effect is not recorded, every other one is recorded once.
	w = newTable(t)
	w.begin(1000, testflow.FactsOf("7", approval.Fact))
	require.True(t, w.state.Ended)
	other := approval
	other.ID, other.Identity, other.Cause = "f-2", "i-2", "evt-4"
	for range 2 {
		require.NoError(t, w.client.SendFact(t.Context(), "7", approval))
		require.NoError(t, w.client.SendFact(t.Context(), "7", other))
		require.NoError(t, w.client.SendFact(t.Context(), "7", cancel))
	}
	late, err := w.log.Read(t.Context(), "card.late-7", 0, 0)
	require.NoError(t, err)
	require.Len(t, late, 2)
	require.Equal(t, []string{"corr-2", "evt-4"}, []string{late[0].CorrelationID, late[0].CausationID})
	require.Empty(t, w.temporal.starts)
	w.log.down = true
	require.ErrorIs(t, w.client.SendFact(t.Context(), "7", other), fault.Unavailable)
}

// Processes that keep late events and early cancellations at once keep each of them once.
func TestSagasOfAnyFlowReceiveConcurrentSignals(t *testing.T) {
	w := newTable(t)
	answers := make([]error, 4*saga.MaxEarly)
	var all sync.WaitGroup
	for i := range answers {
		client := sagaclient.NewTableClient(sagaclient.Config{Temporal: &temporal{workflow: "top-up", id: "card-7", down: map[string]error{}}, Log: w.log.Log, Logger: w.config().Logger},
			testflow.Flow, w.log.Log, func() time.Time { return now })
		all.Go(func() {
			answers[i] = client.SendFact(t.Context(), "7", sagaclient.Fact{Cancel: &saga.Cancellation{ID: fmt.Sprint("c-", i%(2*saga.MaxEarly))}})
		})
	}
	all.Wait()
	for _, err := range answers {
		require.ErrorIs(t, err, fault.OrderUnknown)
	}
	kept, err := w.log.Read(t.Context(), "card.early-7", 0, 0)
	require.NoError(t, err)
	require.Len(t, kept, saga.MaxEarly)
}

func TestSagaOfAnyFlowIsResolved(t *testing.T) {
	w := newTable(t)
	_, err := w.client.Cancel(t.Context(), "7", cancellation)
	require.ErrorIs(t, err, fault.NotFound)
	_, _, err = w.client.Resolve(t.Context(), "7", saga.Resolution{Action: saga.Retry}, "")
	require.ErrorIs(t, err, fault.NotFound)
	_, err = w.client.View(t.Context(), "7")
	require.ErrorIs(t, err, fault.NotFound)

	s, err := testflow.Begin(t.Context(), w.log, "7", testflow.TopUp{CardID: "c-1", Amount: 5}, now)
	require.NoError(t, err)
	w.state, err = testflow.Drive(t.Context(), w.log, s, saga.Facts{}, "", "credit", now)
	require.NoError(t, err)
	require.True(t, w.state.Attention.Open)
	v, err := w.client.View(t.Context(), "7")
	require.NoError(t, err)
	require.Equal(t, saga.NeedsAttention, v.Status)
	require.Contains(t, v.Actions, saga.Skip)
	w.temporal.answers = []any{saga.ResolveAnswer{Accepted: true}}
	_, answer, err := w.client.Resolve(t.Context(), "7", saga.Resolution{Action: saga.Skip, Note: "paid"}, "key")
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.NotEmpty(t, w.temporal.starts, "its run was gone")
}

func TestRunsOfSagasOfAnyFlow(t *testing.T) {
	w := newTable(t)
	require.ErrorIs(t, w.client.StartRun(t.Context(), "7"), fault.OrderUnknown)
	w.begin(1000, saga.Facts{})
	require.NoError(t, w.client.StartRun(t.Context(), "7"))
	require.NoError(t, w.client.StartRun(t.Context(), "7"), "it runs")
	in := w.temporal.began(t)
	require.True(t, in.CallerID)
	require.JSONEq(t, `{"topUpId":"7","cardId":"c-1","amount":1000,"note":""}`, string(in.Data))
	require.ErrorIs(t, w.client.Republish(t.Context(), "7"), fault.Invalid, "it is open")

	// A run received a signal before it was terminated: the next run takes it over.
	w = newTable(t)
	w.begin(1000, saga.Facts{})
	w.runs(1000, false)
	approval := saga.Fact{Type: testflow.Approved, ID: "f-1", Cause: "evt-2", Identity: event.DerivedID("i")}
	data, err := testflow.Flow.ReadStart("7", body(1000), "")
	require.NoError(t, err)
	w.temporal.histories = map[string][]*historypb.HistoryEvent{
		"r-1": numbered(began(t, saga.Input{ID: "7", Data: data}), signalled(t, saga.SignalFact, approval)),
	}
	require.NoError(t, w.client.StartRun(t.Context(), "7"))
	require.NotNil(t, w.temporal.began(t).Resume)

	w = newTable(t)
	w.begin(5, saga.Facts{})
	require.NoError(t, w.client.StartRun(t.Context(), "7"))
	require.Empty(t, w.temporal.starts, "it has ended")
	w.runs(5, false)
	w.temporal.brokenOff = []string{"r-1"}
	require.NoError(t, w.client.Republish(t.Context(), "7"))
	var ids []string
	for id, err := range w.client.All(t.Context(), time.Time{}) {
		require.NoError(t, err)
		ids = append(ids, id)
	}
	require.Equal(t, []string{"7"}, ids)
	w.temporal.down["list"] = errNoWay
	for _, err := range w.client.All(t.Context(), now) {
		require.Error(t, err)
		require.NotErrorIs(t, err, fault.NotFound)
	}
}
