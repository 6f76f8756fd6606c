package flows_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/testflow"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	small = `{"topUpId":"7","cardId":"c-1","amount":5}`
	large = `{"topUpId":"7","cardId":"c-1","amount":1000}`
	about = `{"topUpId":"7"}`
)

var path = []string{"card.accepted", "card.locked", "card.authorized", "card.settling", "card.captured", "card.credited", "card.completed"}

func TestEventStartsASagaOnce(t *testing.T) {
	w := newWorld(t)
	for _, data := range []string{
		small, small, `{"amount":5,"cardId":"c-1","topUpId":"7"}`, `{"topUpId":"7","cardId":"c-1","amount":5,"note":null}`,
		`{"topUpId":"7","cardId":"c-1","amount":5.0,"note":""}`, `{"id":"7","cardId":"c-1","amount":5}`,
	} {
		require.NoError(t, w.handle(t.Context(), message(t, "e-1", testflow.Requested, data)), data)
	}
	require.NoError(t, w.handle(t.Context(), message(t, "e-2", "CardTopUpRequested", small)), "another event that says the same")
	require.Equal(t, path, w.types(t, "card-7"))
	require.Equal(t, 1, w.temporal.starts)

	for _, id := range []string{"e-1", "e-2"} {
		err := w.handle(t.Context(), message(t, id, testflow.Requested, large))
		require.ErrorIs(t, err, fault.Conflict)
		require.Equal(t, fault.DeadLetter, fault.Lookup(fault.CodeOf(err)).Disposition)
	}
	require.Equal(t, path, w.types(t, "card-7"))
}

func TestSubjectOfAStart(t *testing.T) {
	start := func(e string) error {
		w := newWorld(t)
		err := w.handle(t.Context(), wire.Message{Body: []byte(e)})
		require.Equal(t, err == nil, len(w.types(t, "card-7")) > 0)
		return err
	}
	envelope := `{"specversion":"1.0","id":"e","source":"/s","type":"card.topup_requested","subject":%q,"data":%s}`
	require.NoError(t, start(fmt.Sprintf(envelope, "7", `{"cardId":"c-1","amount":5}`)))
	require.NoError(t, start(fmt.Sprintf(envelope, "other", small)), "the data says it better")
	require.NoError(t, start(fmt.Sprintf(envelope, "7", `{"topUpId":"","cardId":"c-1","amount":5}`)))
	require.NoError(t, start(`{"pattern":"card.topup_requested","data":`+small+`}`))
	require.ErrorIs(t, start(fmt.Sprintf(envelope, "", `{"cardId":"c-1","amount":5}`)), fault.Invalid)
	require.ErrorIs(t, start(fmt.Sprintf(envelope, "7", `{"topUpId":" a","cardId":"c-1","amount":5}`)), fault.Invalid)
}

func TestInvalidStarts(t *testing.T) {
	for data, pointers := range map[string][]string{
		`{"topUpId":"7"}`:                                                                       {"/data/amount", "/data/cardId"},
		`{"topUpId":"7","cardId":7,"amount":"5"}`:                                               {"/data/amount", "/data/cardId"},
		`{"topUpId":"7","cardId":"c","amount":5,"x":1}`:                                         {"/data/x"},
		`{"topUpId":"7","cardId":"c","amount":5,"id":"8"}`:                                      {"/data/id"},
		`{"topUpId":"7","cardId":"c","amount":0}`:                                               {"/data/amount"},
		`{"topUpId":"7","cardId":null,"amount":5}`:                                              {"/data/cardId"},
		`{"topUpId":"7","cardId":"c","amount":9.5e0}`:                                           {"/data/amount"},
		`{"topUpId":"7","cardId":"c","amount":1,"note":"` + strings.Repeat("x", 100<<10) + `"}`: {"/data"},
	} {
		w := newWorld(t)
		err := w.handle(t.Context(), message(t, "e", testflow.Requested, data))
		require.ErrorIs(t, err, fault.Invalid, data[:min(len(data), 80)])
		var found []string
		for _, f := range fault.FieldsOf(err) {
			found = append(found, f.Pointer)
		}
		require.ElementsMatch(t, pointers, found, data[:min(len(data), 80)])
		require.Empty(t, w.log.Names())
		require.Zero(t, w.temporal.starts)
	}
	w := newWorld(t)
	twice := `{"topUpId":"7","cardId":"c","amount":5,"amount":6}`
	require.ErrorIs(t, w.handle(t.Context(), wire.Message{Body: []byte(`{"type":"card.topup_requested","id":"e","data":` + twice + `}`)}), fault.Malformed)
	e, err := wire.Decode(message(t, "e", testflow.Requested, `{"topUpId":"7","cardId":"c","amount":9007199254740991}`))
	require.NoError(t, err)
	command, err := w.executor.Routes.Parse(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"cardId":"c","amount":9007199254740991}`, string(command.(inbound.StartSaga).Data))
	require.Contains(t, string(command.(inbound.StartSaga).Data), "9007199254740991")
}

func TestTooLongFactIsRefused(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.handle(t.Context(), message(t, "e-1", testflow.Requested, large)))
	before := w.temporal.signals
	// A run passes over it: the sender must hear of that.
	err := w.handle(t.Context(), message(t, "e-2", testflow.Approved, `{"topUpId":"7","by":"`+strings.Repeat("<", 20<<10)+`"}`))
	require.ErrorIs(t, err, fault.Invalid)
	require.Equal(t, before, w.temporal.signals)
}

func TestFactIsSentOnce(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.handle(t.Context(), message(t, "e-1", testflow.Requested, large)))
	require.Equal(t, path[:3], w.types(t, "card-7"))
	require.ErrorIs(t, w.handle(t.Context(), message(t, "e-2", testflow.Approved, `{"topUpId":"7","by":5}`)), fault.Invalid)
	approval := message(t, "e-2", testflow.Approved, `{"topUpId":"7","by":"Ada","more":[1]}`)
	for range 3 {
		require.NoError(t, w.handle(t.Context(), approval))
	}
	require.Equal(t, append(append(append([]string{}, path[:3]...), "card.approved"), path[3:]...), w.types(t, "card-7"))
	require.Equal(t, []string{"card-7"}, w.log.Names(), "a redelivery of what had its effect leaves nothing")

	// Another event, and the same ID with another content, are late.
	for range 3 {
		require.NoError(t, w.handle(t.Context(), message(t, "e-3", testflow.Approved, about)))
		require.NoError(t, w.handle(t.Context(), message(t, "e-2", testflow.Approved, `{"topUpId":"7","by":"Bob"}`)))
		require.NoError(t, w.handle(t.Context(), message(t, "e-4", testflow.CancellationRequested, about)))
	}
	require.Equal(t, []string{"card.event_late", "card.event_late", "card.event_late"}, w.types(t, "card.late-7"))
}

// Facts need no data: the envelope may say which saga they are about.
func TestFactWithoutData(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.handle(t.Context(), message(t, "e-1", testflow.Requested, large)))
	require.NoError(t, w.handle(t.Context(), wire.Message{Body: []byte(`{"specversion":"1.0","id":"e-2","source":"/s","type":"card.topup_approved","subject":"7"}`)}))
	require.Contains(t, w.types(t, "card-7"), "card.approved")
}

func TestFactWaitsForItsSaga(t *testing.T) {
	w := newWorld(t)
	require.ErrorIs(t, w.handle(t.Context(), message(t, "e-2", testflow.Approved, about)), fault.OrderUnknown)
	require.Equal(t, fault.Park, fault.Lookup(fault.OrderUnknown).Disposition)
	require.Empty(t, w.log.Names())
	require.NoError(t, w.handle(t.Context(), message(t, "e-1", testflow.Requested, large)))
	require.NoError(t, w.handle(t.Context(), message(t, "e-2", testflow.Approved, about)))
	require.Contains(t, w.types(t, "card-7"), "card.completed")
}

func TestEarlyCancellations(t *testing.T) {
	w := newWorld(t)
	for i := range 3 * saga.MaxEarly {
		err := w.handle(t.Context(), message(t, fmt.Sprint("e-", i%(2*saga.MaxEarly)), testflow.CancellationRequested, `{"topUpId":"7","reason":"no"}`))
		require.ErrorIs(t, err, fault.OrderUnknown, "it waits all the same")
		require.Equal(t, i%(2*saga.MaxEarly) < saga.MaxEarly, strings.Contains(fault.SafeMessage(err), deadletter.EarlySagaNote))
	}
	require.Len(t, w.types(t, "card.early-7"), saga.MaxEarly)
	require.NoError(t, w.handle(t.Context(), message(t, "start", testflow.Requested, large)))
	got := w.types(t, "card-7")
	require.Equal(t, "card.cancelled", got[len(got)-1])
	// The first one comes again: it had its effect.
	require.NoError(t, w.handle(t.Context(), message(t, "e-0", testflow.CancellationRequested, `{"topUpId":"7","reason":"no"}`)))
	require.NotContains(t, w.log.Names(), "card.late-7")
}

// An open saga whose workflow is gone gets a new run when an event mentions it, which takes the event.
func TestEventForSagaWithoutWorkflow(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.handle(t.Context(), message(t, "e-1", testflow.Requested, large)))
	w.temporal.gone = true
	require.NoError(t, w.handle(t.Context(), message(t, "e-2", testflow.Approved, about)))
	require.Equal(t, 2, w.temporal.starts)
	require.Contains(t, w.types(t, "card-7"), "card.completed")
}

// TestPreviewAgreesWithExecute: what a preview says about an event for an added flow is what handling it does.
func TestPreviewAgreesWithExecute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := t.Context()
		w := newWorld(t)
		for range rapid.IntRange(1, 8).Draw(t, "messages") {
			typ := rapid.SampledFrom([]string{testflow.Requested, testflow.Approved, testflow.CancellationRequested}).Draw(t, "type")
			data := about
			if typ == testflow.Requested {
				data = rapid.SampledFrom([]string{small, large, large, `{"topUpId":"7"}`, `{"topUpId":"7","cardId":"c-1","amount":1000,"note":null}`}).Draw(t, "data")
			} else if rapid.Bool().Draw(t, "other") {
				data = `{"topUpId":"7","by":"Ada","reason":"why"}`
			}
			m := message(t, rapid.SampledFrom([]string{"e-1", "e-2", "e-3"}).Draw(t, "id"), typ, data)
			before := w.all(ctx, t)
			said, err := w.preview.Preview(ctx, m)
			require.NoError(t, err)
			require.Equal(t, before, w.all(ctx, t), "a preview changes nothing")

			w.temporal.starts, w.temporal.signals = 0, 0
			err = w.handle(ctx, m)
			after := w.all(ctx, t)
			grown := func(stream string) int { return len(after[stream]) - len(before[stream]) }
			saw := fmt.Sprintf("%s; error %v; %d records more", said.Sentence, err, grown("card-7"))
			switch said.Outcome {
			case inbound.OutcomeNothing:
				require.NoError(t, err, saw)
				require.Equal(t, before, after, saw)
			case inbound.OutcomeStart:
				require.NoError(t, err, saw)
				require.Equal(t, 1, w.temporal.starts, saw)
				require.Empty(t, before["card-7"], saw)
			case inbound.OutcomeWait:
				require.ErrorIs(t, err, fault.OrderUnknown, saw)
				require.Zero(t, grown("card-7"), saw)
				require.Equal(t, strings.Contains(said.Sentence, "would be kept for it"), grown("card.early-7") == 1, saw)
			case inbound.OutcomeAsk:
				require.NoError(t, err, saw)
				require.Equal(t, 1, w.temporal.signals, saw)
			case inbound.OutcomeLate:
				require.NoError(t, err, saw)
				require.Equal(t, 1, grown("card.late-7"), saw)
				require.Zero(t, grown("card-7"), saw)
			case inbound.OutcomeRefuse:
				require.Equal(t, fault.DeadLetter, fault.Lookup(fault.CodeOf(err)).Disposition, saw)
				require.Contains(t, said.Sentence, fault.SafeMessage(err))
				require.Equal(t, before, after, saw)
			default:
				t.Fatalf("%q is no outcome", said.Outcome)
			}
		}
	})
}
