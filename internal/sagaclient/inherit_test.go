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

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func payloads(t *testing.T, v any) *commonpb.Payloads {
	p, err := converter.GetDefaultDataConverter().ToPayloads(v)
	require.NoError(t, err)
	return p
}

func began(t *testing.T, in saga.Input) *historypb.HistoryEvent {
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
func TestNewRunTakesOverPendingSignals(t *testing.T) {
	earlier := order.Cancellation{ID: "c-0", Reason: "from the run before"}
	hint := order.PaymentHint{ID: "h-1", Succeeded: true}
	lost := order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: "s-0"}}
	facts := order.FactsOf("42", earlier)
	facts.GivenUp = order.StepReserve
	for name, resume := range map[string]func(w *world) error{
		"Resume": func(w *world) error { _, err := w.client.Resume(t.Context(), "42"); return err },
		"Place":  func(w *world) error { _, err := w.client.Place(t.Context(), placement(tea())); return err },
		"Signal": func(w *world) error {
			_, err := w.client.Signal(t.Context(), "42", saga.SignalCancel, order.Cancellation{ID: "c-9"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open(tea())
			w.ran(tea(), false)
			w.temporal.history = &history{events: []*historypb.HistoryEvent{
				began(t, resuming(t, saga.Resume{Facts: facts, Published: 7, Missed: []saga.Fact{order.FactOf("42", lost)}})),
				signalled(t, order.SignalPayment, hint),
				cancelRequested,
			}}
			require.NoError(t, resume(w))
			got := w.temporal.began(t).Resume
			require.Equal(t, &saga.Resume{Recover: &saga.RecoverCursor{Run: "r-1"}}, got, "everything is published again")
			result, err := w.client.Recover(t.Context(), saga.RecoverInput{ID: "42", Cursor: *got.Recover})
			require.NoError(t, err)
			require.Nil(t, result.Next)
			require.Equal(t, []string{
				`{"type":"order.cancellation_requested","id":"c-0","data":{"reason":"from the run before"}}`,
				`{"type":"order.cancellation_requested","id":"temporal-r-1","data":{"reason":"cancelled in Temporal"}}`,
				`{"type":"shipment.lost","id":"s-0","data":{"id":"s-0"}}`,
				`{"type":"payment.succeeded","id":"h-1","data":{}}`,
			}, texts(t, result.Facts), "what others said, not what it found out itself")
			require.Equal(t, []string{
				order.IdentityOf("42", earlier), order.IdentityOf("42", order.Cancellation{ID: "temporal-r-1", Reason: "cancelled in Temporal"}),
				order.IdentityOf("42", lost), order.IdentityOf("42", hint),
			}, identities(result.Facts))
		})
	}
}

// texts are facts as texts.
func texts(t *testing.T, facts []saga.Fact) []string {
	texts := make([]string, len(facts))
	for i, f := range facts {
		texts[i] = text(t, f)
	}
	return texts
}

// text is a fact in JSON, but for its identity.
func text(t *testing.T, f saga.Fact) string {
	f.Identity = ""
	raw, err := json.Marshal(f)
	require.NoError(t, err)
	return string(raw)
}

// identities are those of facts.
func identities(facts []saga.Fact) []string {
	identities := make([]string, len(facts))
	for i, f := range facts {
		identities[i] = f.Identity
	}
	return identities
}

// resuming is the input of a run that continues another one.
func resuming(t *testing.T, r saga.Resume) saga.Input {
	in := inputOf(t, tea())
	in.Resume = &r
	return in
}

// numbered gives history events their ids.
func numbered(events ...*historypb.HistoryEvent) []*historypb.HistoryEvent {
	for n, e := range events {
		e.EventId = int64(n) + 1
	}
	return events
}

// The facts that a run takes over are bounded, whatever the number and size of signals, and include the decisive fact.
func TestManyLargeSignalsAreMerged(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	events := []*historypb.HistoryEvent{began(t, inputOf(t, tea()))}
	for n := range 3000 {
		events = append(events, signalled(t, order.SignalPayment, order.PaymentHint{ID: strconv.Itoa(n), Code: strings.Repeat("x", 1500)}))
		events = append(events, signalled(t, saga.SignalCancel, order.Cancellation{ID: strconv.Itoa(n), Reason: strings.Repeat("x", 1500)}))
	}
	delivered := order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "d", Cause: "d"}}
	events = append(events, signalled(t, order.SignalShipment, delivered))
	w.temporal.history = &history{events: numbered(events...)}
	result, err := w.client.Recover(t.Context(), saga.RecoverInput{ID: "42", Cursor: saga.RecoverCursor{Runs: []string{"r-1"}}})
	require.NoError(t, err)
	require.Nil(t, result.Next)
	require.Len(t, result.Facts, saga.MaxCancellations+2)
	require.JSONEq(t, `{"type":"shipment.delivered","id":"d","cause":"d","data":{"id":"d","cause":"d"}}`, text(t, result.Facts[saga.MaxCancellations+1]))
	raw, err := json.Marshal(result)
	require.NoError(t, err)
	require.Less(t, len(raw), 100<<10)
}

// Every signal to an ended order is recorded as a late event: they are read in pages.
func TestSignalsOfAnEndedOrderComeInPages(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	events := []*historypb.HistoryEvent{began(t, resuming(t, saga.Resume{
		Late: []saga.LateEvent{{ID: "l", EventID: "l", Type: event.ShipmentLost, Identity: "as it was"}},
	}))}
	for n := range 450 {
		events = append(events, signalled(t, order.SignalPayment, order.PaymentHint{ID: strconv.Itoa(n), Cause: "c", Code: strings.Repeat("x", 1500)}))
	}
	var got, known []string
	cursor := &saga.RecoverCursor{Run: "r-1"}
	for pages := 1; cursor != nil; pages++ {
		require.LessOrEqual(t, pages, 3)
		w.temporal.histories = map[string][]*historypb.HistoryEvent{"r-1": numbered(events...)}
		result, err := w.client.Recover(t.Context(), saga.RecoverInput{ID: "42", Cursor: *cursor, Ended: true})
		require.NoError(t, err)
		require.LessOrEqual(t, len(result.Facts), 200)
		got, cursor = append(got, texts(t, result.Facts)...), result.Next
		known = append(known, identities(result.Facts)...)
	}
	require.Len(t, got, 451)
	require.Equal(t, "as it was", known[0], "an event that was handed on keeps its identity")
	require.Equal(t, order.IdentityOf("42", order.PaymentHint{ID: "449", Cause: "c", Code: strings.Repeat("x", 1500)}), known[450],
		"what is cut is part of what an event is known by")
	require.JSONEq(t, `{"type":"shipment.lost","id":"l","cause":"l"}`, got[0])
	require.JSONEq(t, `{"type":"payment.failed","id":"449","cause":"c"}`, got[450])
}

// A run that was interrupted while it read the signals of another run has not recorded these signals either.
func TestPredecessorsAreFollowed(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	from := func(run string) saga.Input {
		return resuming(t, saga.Resume{Recover: &saga.RecoverCursor{Run: run}})
	}
	say := func(id string) *historypb.HistoryEvent {
		return signalled(t, saga.SignalCancel, order.Cancellation{ID: id})
	}
	w.temporal.histories = map[string][]*historypb.HistoryEvent{
		"r-3": numbered(began(t, from("r-2")), say("third")),
		"r-2": numbered(began(t, from("r-1")), say("second")),
		"r-1": numbered(began(t, from("deleted")), say("first")),
	}
	var got []string
	cursor := &saga.RecoverCursor{Run: "r-3"}
	for cursor != nil {
		result, err := w.client.Recover(t.Context(), saga.RecoverInput{ID: "42", Cursor: *cursor})
		require.NoError(t, err)
		got, cursor = append(got, texts(t, result.Facts)...), result.Next
	}
	require.Equal(t, []string{
		`{"type":"order.cancellation_requested","id":"first","data":{}}`,
		`{"type":"order.cancellation_requested","id":"second","data":{}}`,
		`{"type":"order.cancellation_requested","id":"third","data":{}}`,
	}, got, "oldest first")

	w.temporal.histories = map[string][]*historypb.HistoryEvent{"r-1": numbered(began(t, from("r-1")))}
	result, err := w.client.Recover(t.Context(), saga.RecoverInput{ID: "42", Cursor: saga.RecoverCursor{Run: "r-1"}})
	require.NoError(t, err)
	require.Nil(t, result.Next, "a circle ends")

	long := map[string][]*historypb.HistoryEvent{}
	for n := range 40 {
		long["r-"+strconv.Itoa(n)] = numbered(began(t, from("r-"+strconv.Itoa(n+1))))
	}
	w.temporal.histories = long
	result, err = w.client.Recover(t.Context(), saga.RecoverInput{ID: "42", Cursor: saga.RecoverCursor{Run: "r-0"}})
	require.NoError(t, err)
	require.Len(t, result.Next.Runs, saga.MaxPredecessors-1)
}

func TestUnreadableRunBlocksTakeover(t *testing.T) {
	w := newWorld(t)
	w.ran(tea(), false)
	for _, cursor := range []saga.RecoverCursor{{Run: "r-1"}, {Runs: []string{"r-1"}}} {
		in := saga.RecoverInput{ID: "42", Cursor: cursor}
		w.temporal.history = &history{err: errNoWay}
		_, err := w.client.Recover(t.Context(), in)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))

		w.temporal.history = &history{err: serviceerror.NewNotFound("deleted")}
		result, err := w.client.Recover(t.Context(), in)
		require.NoError(t, err, "what is gone cannot be read")
		require.Empty(t, result)
	}
}
