package sagaclient_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/workflows"
)

func payloads(t *testing.T, v any) *commonpb.Payloads {
	p, err := converter.GetDefaultDataConverter().ToPayloads(v)
	require.NoError(t, err)
	return p
}

func began(t *testing.T, in workflows.OrderInput) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{Input: payloads(t, in)},
	}}
}

func signalled(t *testing.T, name string, v any) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
		WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{SignalName: name, Input: payloads(t, v)},
	}}
}

var cancelRequested = &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionCancelRequestedEventAttributes{
	WorkflowExecutionCancelRequestedEventAttributes: &historypb.WorkflowExecutionCancelRequestedEventAttributes{},
}}

// Signals were acknowledged to their senders: a run that is broken off before it wrote them down hands them on.
func TestARunTakesOverWhatTheOneBeforeWasTold(t *testing.T) {
	earlier := order.Cancellation{ID: "c-0", Reason: "from the run before"}
	hint := order.PaymentHint{ID: "h-1", Succeeded: true}
	for name, resume := range map[string]func(w *world) error{
		"Resume": func(w *world) error { _, err := w.client.Resume(t.Context(), "42"); return err },
		"Place":  func(w *world) error { _, err := w.client.Place(t.Context(), placement(tea())); return err },
		"Signal": func(w *world) error {
			_, err := w.client.Signal(t.Context(), "42", workflows.SignalCancel, order.Cancellation{ID: "c-9"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open(tea())
			w.ran(tea(), false)
			w.temporal.history = &history{events: []*historypb.HistoryEvent{
				began(t, workflows.OrderInput{Order: tea(), Resume: &workflows.Resume{
					Facts:     order.Facts{Cancellations: []order.Cancellation{earlier}, GivenUp: order.StepReserve},
					Seen:      []string{"cancel/c-0"},
					Published: 7, Missed: []workflows.Missed{{Name: "shipment", Payload: json.RawMessage(`{"kind":"lost"}`)}},
				}}),
				signalled(t, workflows.SignalPayment, hint),
				cancelRequested,
			}}
			require.NoError(t, resume(w))
			got := w.temporal.began(t).Resume
			require.NotNil(t, got)
			require.Equal(t, order.Facts{Cancellations: []order.Cancellation{earlier}}, got.Facts, "what others said, not what it found out itself")
			require.Equal(t, []string{"cancel/c-0"}, got.Seen)
			require.Zero(t, got.Published, "everything is published again")
			require.Len(t, got.Missed, 3)
			require.Equal(t, "shipment", got.Missed[0].Name)
			require.Equal(t, workflows.SignalPayment, got.Missed[1].Name)
			require.JSONEq(t, `{"id":"h-1","succeeded":true}`, string(got.Missed[1].Payload))
			require.Equal(t, workflows.SignalCancel, got.Missed[2].Name)
			require.JSONEq(t, `{"id":"temporal-r-1","reason":"cancelled in Temporal"}`, string(got.Missed[2].Payload))
		})
	}
}

func TestARunThatCannotBeReadIsNotTakenOverInTheDark(t *testing.T) {
	w := newWorld(t)
	w.open(tea())
	w.ran(tea(), false)
	w.temporal.history = &history{err: errNoWay}
	_, err := w.client.Resume(t.Context(), "42")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.Empty(t, w.temporal.starts)

	w.temporal.history = &history{err: serviceerror.NewNotFound("deleted")}
	_, err = w.client.Resume(t.Context(), "42")
	require.NoError(t, err, "what is gone cannot be read")
	require.Nil(t, w.temporal.began(t).Resume)
}
