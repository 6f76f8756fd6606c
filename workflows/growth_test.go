package workflows_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// maxPayload is what no payload may exceed here, far below the 2 MiB at which Temporal fails a workflow task for ever.
const maxPayload = 300 << 10

// scales are payloads on their way to Temporal; it notes the largest.
type scales struct {
	converter.DataConverter
	mu      sync.Mutex
	largest int
	what    string
}

func newScales() *scales { return &scales{DataConverter: converter.GetDefaultDataConverter()} }

func (s *scales) weigh(p proto.Message, values []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size := proto.Size(p); size > s.largest {
		s.largest, s.what = size, fmt.Sprintf("%T", values[0])
	}
}

func (s *scales) ToPayload(value any) (*commonpb.Payload, error) {
	p, err := s.DataConverter.ToPayload(value)
	s.weigh(p, []any{value})
	return p, err
}

func (s *scales) ToPayloads(values ...any) (*commonpb.Payloads, error) {
	p, err := s.DataConverter.ToPayloads(values...)
	if len(values) > 0 {
		s.weigh(p, values)
	}
	return p, err
}

// refusals makes as many refusals as older versions recorded, one for each request.
func (w *world) refusals(s order.State, n int) order.State {
	w.t.Helper()
	for from := 0; from < n; from += 100 {
		entries := make([]event.Entry, 0, 100)
		for i := from; i < min(from+100, n); i++ {
			id := fmt.Sprintf("c%d", i)
			entries = append(entries, event.New(event.OrderStream("42"), "cancel/"+id, event.OrderCancellationRefused, "42", s.UpdatedAt,
				order.CancellationRefusal{OrderID: "42", RequestID: id, Reason: strings.Repeat("x", 500), Detail: "the order is being settled"}).
				CausedBy("corr", id))
		}
		s = w.record(entries...)
	}
	return s
}

// burst sends n signals an hour after the start, as many at once as the test environment takes.
func (w *world) burst(n int, send func(i int)) {
	const atOnce = 100
	for from := 0; from < n; from += atOnce {
		w.env.RegisterDelayedCallback(func() {
			for i := from; i < min(from+atOnce, n); i++ {
				send(i)
			}
		}, time.Hour+time.Duration(from)*time.Millisecond)
	}
}

// settling writes the stream of an order that is about to be captured.
func (w *world) settling() order.State {
	w.t.Helper()
	at := w.env.Now()
	s := w.record(order.Accept(tea(order.Immediate), "corr", "cause", at))
	s = w.record(s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: true}}, at))
	s = w.record(s.Authorized("p-1", at))
	return w.record(order.Decisions(s, order.Facts{}, at, w.timing)...)
}

// An order whose log has thousands of refusals, as older versions recorded them, goes on, and everything is published, a
// broker outage in between or not.
func TestALongLogIsNoPayload(t *testing.T) {
	for _, down := range []int{0, 3} {
		t.Run(fmt.Sprintf("the broker is away %d times", down), func(t *testing.T) {
			w := newWorld(t)
			s := newScales()
			w.env.SetDataConverter(s)
			w.refusals(w.settling(), 3000)
			w.stock.do, w.gateway.state, w.bus.down = order.Done, "authorized", down
			w.cancel(time.Second)
			require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
			require.Equal(t, w.timeline(), w.bus.types())
			require.Less(t, s.largest, maxPayload, s.what)
		})
	}
}

// A run gets what its predecessor knew, whatever the number and the size of the signals.
func TestAContinuedRunGetsABoundedInput(t *testing.T) {
	w := newWorld(t)
	s := newScales()
	w.env.SetDataConverter(s)
	w.burst(3000, func(n int) {
		id := fmt.Sprintf("e%d", n)
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: id, Cause: id, Code: strings.Repeat("x", 1500)})
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{Kind: "unknown", ShipmentFact: order.ShipmentFact{
			ID: id, Cause: id, Reason: strings.Repeat("x", 1500),
		}})
	})
	w.env.RegisterDelayedCallback(func() {
		w.env.SetContinueAsNewSuggested(true)
		w.cancel(0)
	}, 2*time.Hour)
	_ = w.start(tea(order.Shipment), w.gateway, w.bus)
	require.Less(t, s.largest, maxPayload, s.what)
	require.Equal(t, "saga.Input", s.what)
}

// Thousands of late payments are settled one after the other, and no payload has all of them.
func TestManyLatePaymentsAreNoPayload(t *testing.T) {
	w := newWorld(t)
	s := newScales()
	w.env.SetDataConverter(s)
	w.unpaid()
	const n = 3 * latepayment.MaxPayments
	stream := event.LateStream("42")
	head := event.Head{}
	for i := range n {
		id := fmt.Sprintf("e%d", i)
		v := latepayment.LateRecord{ID: id, OrderID: "42", EventID: id, Type: event.PaymentSucceeded, Status: order.StatusCancelled}
		newest, _, err := w.log.Append(context.Background(), stream, head, []event.Entry{v.Entry("corr", w.env.Now())})
		require.NoError(t, err)
		head = newest
	}
	require.NoError(t, w.settle())
	_, state := w.lateStream()
	require.False(t, state.Open())
	require.Len(t, state.Payments, n)
	for _, p := range state.Payments {
		require.True(t, p.Decided)
	}
	require.Less(t, s.largest, maxPayload, s.what)
}

// Events that come while an ended order cannot close, because the broker is away, get their verdicts, in bounded batches. Neither
// they nor the broker keep the run from continuing as new.
func TestLateEventsDoNotHoldUpARunThatCannotClose(t *testing.T) {
	w := newWorld(t)
	s := newScales()
	w.env.SetDataConverter(s)
	w.bus.down = -1
	const n = 1000
	w.burst(n, func(i int) {
		id := fmt.Sprintf("e%d", i)
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: id, Cause: id}})
	})
	w.env.RegisterDelayedCallback(func() {
		w.env.SetContinueAsNewSuggested(true)
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: "last", Cause: "last"}})
	}, 2*time.Hour)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.start(tea(order.Immediate), w.gateway, w.bus), &again)
	var next saga.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	types, _ := w.lateStream()
	// The last one may have come when the run was gone: its client sends it again.
	require.GreaterOrEqual(t, len(types)+len(next.Resume.Late), n, "each has its verdict, or is handed on")
	require.Less(t, s.largest, maxPayload, s.what)
}

// Signals that came when the order had ended, and that the run sees before it knows of the end, have a verdict each: facts
// merge, and events that were accepted do not.
func TestSignalsInTheTaskThatLearnsOfTheEndHaveAVerdictEach(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	var told []saga.Fact
	for i := range 40 {
		id := fmt.Sprintf("e%d", i)
		told = append(told, fact(t, order.SignalPayment, fmt.Sprintf(`{"id":%q,"cause":%q}`, id, id)))
	}
	w.told, w.resume = [][]saga.Fact{told}, &saga.Resume{Recover: &saga.RecoverCursor{Run: "r-1"}}
	w.run(tea(order.Immediate))
	types, _ := w.lateStream()
	require.Len(t, types, 40)

	w = newWorld(t)
	w.gateway.answer = payment.Pending
	w.timing.PaymentPending = time.Minute
	for i := range 40 {
		w.env.RegisterDelayedCallback(func() {
			id := fmt.Sprintf("e%d", i)
			w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: id, Cause: id})
		}, time.Minute-time.Millisecond)
	}
	require.NoError(t, w.start(tea(order.Immediate), w.gateway, w.bus))
	require.True(t, w.record().Ended)
	types, _ = w.lateStream()
	require.GreaterOrEqual(t, len(types), 39, "but for the one that decided")
}

// A run that takes over from one of an order that has ended is told of everything that one was told, cut. What had its effect, or
// its verdict, gets none.
func TestWhatAnEndedOrderWasToldIsRecognizedAlthoughItIsCut(t *testing.T) {
	first := newWorld(t)
	first.gateway.answer = payment.Pending
	cancel := order.Cancellation{ID: "c-1", Cause: "e-1", Reason: "changed my mind"}
	first.env.RegisterDelayedCallback(func() { first.env.SignalWorkflow(saga.SignalCancel, cancel) }, time.Minute)
	require.NoError(t, first.start(tea(order.Immediate), first.gateway, first.bus))
	require.Equal(t, order.StatusCancelled, first.record().Status)

	cut := func(of order.Cancellation) saga.Fact {
		f := order.FactOf("42", of)
		f.Data = nil
		return f
	}
	other := order.Cancellation{ID: "c-2", Cause: "e-2", Reason: "changed my mind"}
	for range 2 {
		next := newWorld(t)
		next.log = first.log
		next.told = [][]saga.Fact{{cut(cancel), cut(other)}}
		next.resume = &saga.Resume{Recover: &saga.RecoverCursor{Run: "r-1"}}
		next.run(tea(order.Immediate))
		require.Equal(t, []string{"event.late e-2"}, next.late())
	}
}
