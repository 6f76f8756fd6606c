package sagaclient_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// settled is a signal that starts a late saga, or reports more late events to it.
type settled struct {
	workflowID, name string
	options          client.StartWorkflowOptions
	in               saga.Input
}

func (s *temporal) SignalWithStartWorkflow(
	_ context.Context, id, name string, payload any, o client.StartWorkflowOptions, workflow any, args ...any,
) (client.WorkflowRun, error) {
	if err := s.down["settle"]; err != nil {
		return nil, err
	}
	if in, ok := args[0].(shortage.Input); ok && workflow == shortage.Workflow {
		s.shortages = append(s.shortages, id+" "+name+" "+in.SKU+" "+o.WorkflowIDReusePolicy.String()+" "+o.WorkflowIDConflictPolicy.String())
		return nil, nil
	}
	if workflow != latepayment.Workflow || payload != nil {
		panic("another workflow")
	}
	s.settled = append(s.settled, settled{id, name, o, args[0].(saga.Input)})
	s.running = !s.brief
	return nil, nil
}

// recordLate records a late event.
func (w *world) recordLate(s latepayment.State, id, eventType string, status order.Status) latepayment.State {
	w.t.Helper()
	v := latepayment.LateRecord{ID: id, OrderID: "42", EventID: id, Type: eventType, Status: status}
	return w.writeLate(s, v.Entry("first", now))
}

func (w *world) writeLate(s latepayment.State, e event.Entry) latepayment.State {
	w.t.Helper()
	_, tail, err := w.log.Append(w.t.Context(), event.LateStream("42"), s.Head, []event.Entry{e})
	require.NoError(w.t, err)
	s, err = s.Fold(tail)
	require.NoError(w.t, err)
	return s
}

// left writes the streams of an order that was cancelled, and whose goods left.
func (w *world) left() latepayment.State {
	w.t.Helper()
	w.cancelled(tea(), "evt-7")
	s := w.recordLate(latepayment.State{}, "g1", event.ShipmentDispatched, order.StatusCancelled)
	return w.writeLate(s, latepayment.Flow.Decide(s, saga.Facts{}, now, nil).Entry)
}

func TestSettleLateStartsOrSignalsASaga(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.client.SettleLate(t.Context(), order.State{Saga: saga.Saga{ID: "42"}, Order: tea()}))
	require.Len(t, w.temporal.settled, 1)
	got := w.temporal.settled[0]
	require.Equal(t, "late-42", got.workflowID)
	require.Equal(t, latepayment.Signal, got.name)
	require.Equal(t, saga.Input{ID: "42"}, got.in)
	require.Equal(t, saga.QueueOrders, got.options.TaskQueue)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, got.options.WorkflowIDReusePolicy)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, got.options.WorkflowIDConflictPolicy)

	w.temporal.down["settle"] = errNoWay
	require.Equal(t, fault.Unavailable, fault.CodeOf(w.client.SettleLate(t.Context(), order.State{Saga: saga.Saga{ID: "42"}, Order: tea()})))
}

func TestResumeLateKnowsTheOrder(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, fault.NotFound, fault.CodeOf(w.client.ResumeLate(t.Context(), "42")))
	w.left()
	require.NoError(t, w.client.ResumeLate(t.Context(), "42"))
	require.Equal(t, "late-42", w.temporal.settled[0].workflowID)
	w.log.down = true
	require.Equal(t, fault.Unavailable, fault.CodeOf(w.client.ResumeLate(t.Context(), "42")))
}

func TestDecisionOnLateEventGoesToItsSaga(t *testing.T) {
	w := newWorld(t)
	s := w.left()
	w.temporal.running = true
	want := said.Identified(event.LateStream("42"), s.Attention, "")
	for _, answer := range []saga.ResolveAnswer{{Accepted: true, Status: order.StatusCancelled}, {Detail: "another process was faster"}} {
		w.temporal.answers, w.temporal.updates = []any{answer}, nil
		about, got, err := w.client.Resolve(t.Context(), "42", said, "")
		require.NoError(t, err)
		require.Equal(t, answer, got)
		require.Equal(t, want, about)
		require.NotEqual(t, decision.ID, about.ID, "it is none about the order")
		require.Equal(t, []client.UpdateWorkflowOptions{{
			UpdateID: want.ID, WorkflowID: "late-42", UpdateName: "resolve", Args: []any{want},
			WaitForStage: client.WorkflowUpdateStageCompleted,
		}}, w.temporal.updates)
	}
	require.Empty(t, w.temporal.settled)
	require.Empty(t, w.temporal.starts, "the order's saga is over")
}

func TestDecisionRestartsLostLateSaga(t *testing.T) {
	w := newWorld(t)
	w.left()
	w.temporal.answers = []any{serviceerror.NewAborted("its run closed"), saga.ResolveAnswer{Accepted: true}}
	_, answer, err := w.client.Resolve(t.Context(), "42", said, "")
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.Len(t, w.temporal.settled, 2)
	require.Len(t, w.temporal.updates, 3)

	w = newWorld(t)
	w.left()
	w.temporal.brief = true
	_, _, err = w.client.Resolve(t.Context(), "42", said, "")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err), "it closes as soon as it runs")
	w.temporal.down["settle"] = errNoWay
	_, _, err = w.client.Resolve(t.Context(), "42", said, "")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	w.temporal.down["update"] = errNoWay
	_, _, err = w.client.Resolve(t.Context(), "42", said, "")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
}

func TestRecordedDecisionNeedsNoUpdate(t *testing.T) {
	w := newWorld(t)
	s := w.left()
	d := said.Identified(event.LateStream("42"), s.Attention, "")
	s = w.writeLate(s, latepayment.Flow.Decide(s, saga.Facts{Resolutions: []order.Resolution{d}}, now, nil).Entry)
	w.writeLate(s, latepayment.Flow.Decide(s, saga.Facts{}, now, nil).Entry)
	about, answer, err := w.client.Resolve(t.Context(), "42", said, "")
	require.NoError(t, err)
	require.Equal(t, d, about)
	require.Equal(t, saga.ResolveAnswer{Accepted: true, Status: order.StatusCancelled}, answer)

	_, answer, err = w.client.Resolve(t.Context(), "42", order.Resolution{Action: order.Skip, Note: "once more"}, "")
	require.NoError(t, err)
	require.Equal(t, saga.ResolveAnswer{Status: order.StatusCancelled, Detail: "the order has ended: it is cancelled"}, answer)
	require.Empty(t, w.temporal.updates)
}

// The same words may have been followed before the order ended. Who names the attention, or gives a key, asks about that;
// who does not means what is open now.
func TestEqualDecisionsOnOrderAndLateEventAreDistinct(t *testing.T) {
	w := newWorld(t)
	s := w.stuck(tea())
	w.write(s, order.Decisions(s, order.Facts{Resolutions: []order.Resolution{decision}}, now, order.DefaultTiming())...)
	again := said
	again.Attention = 1
	about, answer, err := w.client.Resolve(t.Context(), "42", again, "")
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.Equal(t, decision, about)

	l := w.recordLate(latepayment.State{}, "g1", event.ShipmentDispatched, order.StatusCancelled)
	l = w.writeLate(l, latepayment.Flow.Decide(l, saga.Facts{}, now, nil).Entry)
	about, answer, err = w.client.Resolve(t.Context(), "42", again, "")
	require.NoError(t, err)
	require.True(t, answer.Accepted)
	require.Equal(t, decision, about)
	w.temporal.running, w.temporal.answers = true, []any{saga.ResolveAnswer{Accepted: true}}
	about, _, err = w.client.Resolve(t.Context(), "42", said, "")
	require.NoError(t, err)
	require.Equal(t, said.Identified(event.LateStream("42"), l.Attention, ""), about)
}

func TestUnreadableLateStreamIsAnError(t *testing.T) {
	w := newWorld(t)
	w.cancelled(tea(), "evt-7")
	bad := event.New(event.LateStream("42"), "x", event.EventLate, "42", now, map[string]any{"type": 7})
	_, _, err := w.log.Append(t.Context(), event.LateStream("42"), event.Head{}, []event.Entry{bad})
	require.NoError(t, err)
	_, _, err = w.client.Resolve(t.Context(), "42", said, "")
	require.Equal(t, fault.Corrupt, fault.CodeOf(err))
	w.log.down = true
	_, _, err = w.client.Resolve(t.Context(), "42", said, "")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.NotErrorIs(t, err, fault.NotFound)
}
