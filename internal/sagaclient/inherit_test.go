package sagaclient_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows"
	"github.com/ordersaga/ordersaga/workflows/order"
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
					Published: 7, Missed: []activities.Signal{{Name: "shipment", Payload: json.RawMessage(`{"kind":"lost","id":"s-0"}`)}},
				}}),
				signalled(t, workflows.SignalPayment, hint),
				cancelRequested,
			}}
			require.NoError(t, resume(w))
			got := w.temporal.began(t).Resume
			require.Equal(t, &workflows.Resume{Recover: &activities.RecoverCursor{Run: "r-1"}}, got, "everything is published again")
			result, err := w.client.Recover(t.Context(), activities.RecoverInput{OrderID: "42", Cursor: *got.Recover})
			require.NoError(t, err)
			require.Nil(t, result.Next)
			require.Equal(t, []string{
				`cancel {"id":"c-0","reason":"from the run before"}`,
				`cancel {"id":"temporal-r-1","reason":"cancelled in Temporal"}`,
				`payment {"id":"h-1","succeeded":true}`,
				`shipment {"kind":"lost","id":"s-0"}`,
			}, texts(result.Signals), "what others said, not what it found out itself")
		})
	}
}

// texts are signals as texts.
func texts(signals []activities.Signal) []string {
	texts := make([]string, len(signals))
	for i, s := range signals {
		texts[i] = s.Name + " " + string(s.Payload)
	}
	return texts
}

// numbered gives history events their ids.
func numbered(events ...*historypb.HistoryEvent) []*historypb.HistoryEvent {
	for n, e := range events {
		e.EventId = int64(n) + 1
	}
	return events
}

// However many and large signals are, what a run takes over is bounded, and the fact that counts is in it.
func TestManyLargeSignalsAreMerged(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	events := []*historypb.HistoryEvent{began(t, workflows.OrderInput{Order: tea()})}
	for n := range 3000 {
		events = append(events, signalled(t, workflows.SignalPayment, order.PaymentHint{ID: strconv.Itoa(n), Code: strings.Repeat("x", 1500)}))
		events = append(events, signalled(t, workflows.SignalCancel, order.Cancellation{ID: strconv.Itoa(n), Reason: strings.Repeat("x", 1500)}))
	}
	delivered := workflows.ShipmentSignal{Kind: workflows.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "d", Cause: "d"}}
	events = append(events, signalled(t, workflows.SignalShipment, delivered))
	w.temporal.history = &history{events: numbered(events...)}
	result, err := w.client.Recover(t.Context(), activities.RecoverInput{OrderID: "42", Cursor: activities.RecoverCursor{Runs: []string{"r-1"}}})
	require.NoError(t, err)
	require.Nil(t, result.Next)
	require.Len(t, result.Signals, order.MaxCancellations+2)
	require.Equal(t, `shipment {"kind":"delivered","id":"d","cause":"d"}`, texts(result.Signals)[order.MaxCancellations+1])
	raw, err := json.Marshal(result)
	require.NoError(t, err)
	require.Less(t, len(raw), 100<<10)
}

// Of an order that has ended, every signal is late and gets its verdict: they come in pages.
func TestSignalsOfAnEndedOrderComeInPages(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	events := []*historypb.HistoryEvent{began(t, workflows.OrderInput{Order: tea(), Resume: &workflows.Resume{
		Late: []activities.LateEvent{{ID: "l", EventID: "l", Type: event.ShipmentLost, Identity: "as it was"}},
	}})}
	for n := range 450 {
		events = append(events, signalled(t, workflows.SignalPayment, order.PaymentHint{ID: strconv.Itoa(n), Cause: "c", Code: strings.Repeat("x", 1500)}))
	}
	var got, identities []string
	cursor := &activities.RecoverCursor{Run: "r-1"}
	for pages := 1; cursor != nil; pages++ {
		require.LessOrEqual(t, pages, 3)
		w.temporal.histories = map[string][]*historypb.HistoryEvent{"r-1": numbered(events...)}
		result, err := w.client.Recover(t.Context(), activities.RecoverInput{OrderID: "42", Cursor: *cursor, Ended: true})
		require.NoError(t, err)
		require.LessOrEqual(t, len(result.Signals), 200)
		got, cursor = append(got, texts(result.Signals)...), result.Next
		for _, s := range result.Signals {
			identities = append(identities, s.Identity)
		}
	}
	require.Len(t, got, 451)
	require.Equal(t, "as it was", identities[0], "an event that was handed on keeps its identity")
	require.Equal(t, workflows.IdentityOf("42", order.PaymentHint{ID: "449", Cause: "c", Code: strings.Repeat("x", 1500)}), identities[450],
		"what is cut is part of what an event is known by")
	require.Equal(t, `shipment {"kind":"lost","id":"l","cause":"l"}`, got[0])
	require.Equal(t, `payment {"id":"449","cause":"c","succeeded":false}`, got[450])
}

// A run that was broken off while it took over from another has not written down either what that one was told.
func TestPredecessorsAreFollowed(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	from := func(run string) workflows.OrderInput {
		return workflows.OrderInput{Order: tea(), Resume: &workflows.Resume{Recover: &activities.RecoverCursor{Run: run}}}
	}
	say := func(id string) *historypb.HistoryEvent {
		return signalled(t, workflows.SignalCancel, order.Cancellation{ID: id})
	}
	w.temporal.histories = map[string][]*historypb.HistoryEvent{
		"r-3": numbered(began(t, from("r-2")), say("third")),
		"r-2": numbered(began(t, from("r-1")), say("second")),
		"r-1": numbered(began(t, from("deleted")), say("first")),
	}
	var got []string
	cursor := &activities.RecoverCursor{Run: "r-3"}
	for cursor != nil {
		result, err := w.client.Recover(t.Context(), activities.RecoverInput{OrderID: "42", Cursor: *cursor})
		require.NoError(t, err)
		got, cursor = append(got, texts(result.Signals)...), result.Next
	}
	require.Equal(t, []string{`cancel {"id":"first"}`, `cancel {"id":"second"}`, `cancel {"id":"third"}`}, got, "oldest first")

	w.temporal.histories = map[string][]*historypb.HistoryEvent{"r-1": numbered(began(t, from("r-1")))}
	result, err := w.client.Recover(t.Context(), activities.RecoverInput{OrderID: "42", Cursor: activities.RecoverCursor{Run: "r-1"}})
	require.NoError(t, err)
	require.Nil(t, result.Next, "a circle ends")

	long := map[string][]*historypb.HistoryEvent{}
	for n := range 40 {
		long["r-"+strconv.Itoa(n)] = numbered(began(t, from("r-"+strconv.Itoa(n+1))))
	}
	w.temporal.histories = long
	result, err = w.client.Recover(t.Context(), activities.RecoverInput{OrderID: "42", Cursor: activities.RecoverCursor{Run: "r-0"}})
	require.NoError(t, err)
	require.Len(t, result.Next.Runs, activities.MaxPredecessors-1)
}

func TestARunThatCannotBeReadIsNotTakenOverInTheDark(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	for _, cursor := range []activities.RecoverCursor{{Run: "r-1"}, {Runs: []string{"r-1"}}} {
		in := activities.RecoverInput{OrderID: "42", Cursor: cursor}
		w.temporal.history = &history{err: errNoWay}
		_, err := w.client.Recover(t.Context(), in)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))

		w.temporal.history = &history{err: serviceerror.NewNotFound("deleted")}
		result, err := w.client.Recover(t.Context(), in)
		require.NoError(t, err, "what is gone cannot be read")
		require.Empty(t, result)
	}
}
