package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// start runs the saga of o with the caller's gateway and publisher, and returns its error.
func (w *world) start(o order.Order, g payment.Gateway, p activities.Publisher) error {
	recorder := &activities.Recorder{Log: w.log, Publisher: p, Clock: w.env.Now, Logger: slog.New(slog.DiscardHandler)}
	workers.RegisterWorkflows(w.env)
	workers.RegisterActivities(w.env, w.orders(recorder, g), w.lateMoney(g))
	in := input(o)
	in.Resume = w.resume
	w.env.ExecuteWorkflow(order.Flow.WorkflowType(), in)
	require.True(w.t, w.env.IsWorkflowCompleted())
	return w.env.GetWorkflowError()
}

// Data of signals becomes part of events, and the log refuses some of it: the saga must not fail then, with
// reserved stock and an authorized payment.
func TestRefusedSignalDoesNotFailTheSaga(t *testing.T) {
	for name, signal := range map[string]func(w *world){
		"the reason of a cancellation": func(w *world) {
			w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c1", Reason: "changed\x00my mind"})
		},
		"a tracking number": func(w *world) {
			w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
				Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1", TrackingNumber: "7\x00"},
			})
			w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
				Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e2"},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.env.RegisterDelayedCallback(func() { signal(w) }, time.Hour)
			require.NoError(t, w.start(tea(order.Shipment), w.gateway, w.bus))
			require.True(t, w.record().Ended)
		})
	}
}

// Signals of earlier runs are read page by page, and none is lost if the run continues as new between pages.
func TestRunReadsSignalsOfEarlierRuns(t *testing.T) {
	pages := [][]saga.Fact{
		{fact(t, order.SignalPayment, `{"id":"h-1","cause":"h-1"}`)}, {},
		{fact(t, order.SignalShipment, `{"kind":"delivered","id":"d-1","cause":"e-1"}`)},
	}
	resume := &saga.Resume{Recover: &saga.RecoverCursor{Run: "r-1"}}
	w := newWorld(t)
	w.pendingFacts, w.resume = pages, resume
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
	require.NotContains(t, w.timeline(), "event.late")

	w = newWorld(t)
	w.pendingFacts, w.resume = pages, &saga.Resume{Recover: resume.Recover, Facts: order.FactsOf("42", order.PaymentHint{ID: "h-0"})}
	w.env.SetContinueAsNewSuggested(true)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.start(tea(order.Shipment), w.gateway, w.bus), &again)
	var next saga.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	require.Equal(t, resume.Recover, next.Resume.Recover)
	require.Equal(t, "h-0", next.Resume.Facts.Received[0].ID)
}

// requireTryAgain requires that an Update was rejected with the error after which its client reads the log and retries.
func requireTryAgain(t testing.TB, err error) {
	t.Helper()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, saga.TryAgain, failed.Type())
}

// An Update does not prevent a run from continuing as new: it is answered, or sent again.
func TestUpdateDoesNotBlockContinueAsNew(t *testing.T) {
	w := newWorld(t)
	answered := false
	w.env.RegisterDelayedCallback(func() {
		w.env.SetContinueAsNewSuggested(true)
		w.env.UpdateWorkflow(saga.UpdateCancel, "c1", &updateCallbacks{
			reject:   func(err error) { requireTryAgain(t, err) },
			complete: func(any, error) { answered = true },
		}, order.Cancellation{ID: "c1"})
	}, time.Hour)
	err := w.start(tea(order.Shipment), w.gateway, w.bus)
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		require.NoError(t, err)
		require.True(t, answered)
	}
}

// A run that is due to continue as new rejects new Updates during its attempt: they add nothing to its history, and are sent again.
func TestRunDueForContinueAsNewRejectsUpdates(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": forever}
	rejected := 0
	w.env.RegisterDelayedCallback(func() {
		w.env.SetContinueAsNewSuggested(true)
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h"})
	}, 20*time.Second)
	w.env.RegisterDelayedCallback(func() {
		w.env.UpdateWorkflow(saga.UpdateCancel, "c1", &updateCallbacks{
			reject:   func(err error) { requireTryAgain(t, err); rejected++ },
			complete: func(any, error) { t.Error("the Update is taken") },
		}, order.Cancellation{ID: "c1"})
	}, 30*time.Second)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.start(tea(order.Immediate), w.gateway, w.bus), &again)
	require.Equal(t, 1, rejected)
}

// The first refusal is the answer to all cancellations, from the API and from the bus.
func TestOnlyTheFirstRefusalIsAnEvent(t *testing.T) {
	w := newWorld(t)
	w.shipment(time.Hour, order.ShipmentDispatched)
	for n := range 100 {
		w.env.RegisterDelayedCallback(func() {
			id := fmt.Sprintf("c%d", n)
			w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: id, Cause: id})
			w.env.UpdateWorkflow(saga.UpdateCancel, "u"+id, &updateCallbacks{
				reject: func(err error) {
					requireTryAgain(t, err)
					require.True(t, w.record().AnswersCancellation())
				},
				complete: func(answer any, err error) {
					require.NoError(t, err)
					require.False(t, answer.(saga.CancelAnswer).Accepted)
				},
			}, order.Cancellation{ID: "u" + id})
		}, 2*time.Hour+time.Duration(n)*time.Second)
	}
	w.shipment(3*time.Hour, order.ShipmentDelivered)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
	require.Equal(t, []string{
		"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.shipped", "order.settling",
		"payment.captured", "inventory.committed", "order.cancellation_refused", "order.delivered", "order.completed",
	}, w.timeline())
}

// Answered requests are not passed on: there may be many senders, and a run may wait for months.
func TestContinuedRunForgetsAnsweredRequests(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "d", Cause: "d"},
		})
	}, time.Hour)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c1", Cause: "c1"})
	}, 2*time.Hour)
	w.env.RegisterDelayedCallback(func() {
		w.env.SetContinueAsNewSuggested(true)
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h", Cause: "h"})
	}, 3*time.Hour)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.start(tea(order.Shipment), w.gateway, w.bus), &again)
	require.True(t, w.record().CancelRefused)
	var next saga.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	require.NotNil(t, next.Resume)
	require.Empty(t, next.Resume.Facts.Cancellations)
	require.Empty(t, next.Resume.Facts.Received, "the log has the dispatch")
}

// The number of late cancellations exceeds the limit of one append.
func TestManyLateCancellations(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": 20}
	w.env.RegisterDelayedCallback(func() {
		for n := range 120 {
			w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: fmt.Sprintf("c%d", n)})
		}
	}, 20*time.Second)
	require.NoError(t, w.start(tea(order.Immediate), w.gateway, w.bus))
}

// slowGateway does not answer for a while after a settle call.
type slowGateway struct {
	*gateway
	deaf atomic.Int64
}

func (g *slowGateway) Settle(ctx context.Context, p payment.Payment, ok bool, code string) error {
	if g.deaf.Add(-1) >= 0 {
		return fault.New(fault.Unavailable, "no line")
	}
	return g.gateway.Settle(ctx, p, ok, code)
}

// A payment notification was acknowledged on the bus: a gateway outage of some minutes must not lose it.
func TestNotificationSurvivesGatewayOutage(t *testing.T) {
	w := newWorld(t)
	w.gateway.answer = payment.Pending
	g := &slowGateway{gateway: w.gateway}
	g.deaf.Store(18)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h1", Succeeded: true})
	}, time.Minute)
	require.NoError(t, w.start(tea(order.Immediate), g, w.bus))
	require.Equal(t, order.StatusCompleted, w.record().Status)
}

// countingBus counts how often each version is published.
type countingBus struct {
	mu    sync.Mutex
	times map[int64]int
}

func (b *countingBus) Publish(_ context.Context, records []event.Record) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		b.times[r.Version]++
	}
	return len(records), nil
}

// Confirmed events are not published again by each attempt of a retried step.
func TestRetriesOfAStepDoNotPublishAgain(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": 20}
	b := &countingBus{times: make(map[int64]int)}
	require.NoError(t, w.start(tea(order.Immediate), w.gateway, b))
	for version, times := range b.times {
		require.LessOrEqual(t, times, 3, "version %d", version)
	}
}

// Ids are unique for their source only: a payment provider and a warehouse may both number from one.
func TestEventsOfDifferentSendersMayShareAnID(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "17", Succeeded: true})
	}, time.Hour)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "17"},
		})
	}, 2*time.Hour)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "18"},
		})
	}, 7*24*time.Hour)
	require.NoError(t, w.start(tea(order.Shipment), w.gateway, w.bus))
	require.Equal(t, order.StatusCompleted, w.record().Status, "%v", w.timeline())
}

// A run that takes over from an interrupted run handles its signals.
func TestRunHandlesSignalsOfThePreviousRun(t *testing.T) {
	for name, missed := range map[string]struct {
		fact   saga.Fact
		status order.Status
	}{
		"a cancellation": {fact(t, saga.SignalCancel, `{"id":"c-1","cause":"e-1"}`), order.StatusCancelled},
		"a delivery":     {fact(t, order.SignalShipment, `{"kind":"delivered","id":"d-1","cause":"e-1"}`), order.StatusCompleted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.resume = &saga.Resume{Missed: []saga.Fact{missed.fact, missed.fact}}
			require.Equal(t, missed.status, w.run(tea(order.Shipment)).Status)
			require.NotContains(t, w.timeline(), "event.late")
		})
	}
}

// A sender may use the same id for different events, for example the order's id.
func TestEventsOfOneSenderMayShareAnID(t *testing.T) {
	w := newWorld(t)
	parcel := func(after time.Duration, kind order.ShipmentKind) {
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
				Kind: kind, ShipmentFact: order.ShipmentFact{ID: "7", Cause: "7", Carrier: "DHL"},
			})
		}, after)
	}
	parcel(time.Hour, order.ShipmentDispatched)
	parcel(2*time.Hour, order.ShipmentDispatched)
	parcel(3*time.Hour, order.ShipmentDelivered)
	require.NoError(t, w.start(tea(order.Shipment), w.gateway, w.bus))
	require.Equal(t, order.StatusCompleted, w.record().Status, "%v", w.timeline())
	require.NotContains(t, w.late(), "event.late 7")
}

// The same identity with other content is another fact about the order: the second notification causes another lookup.
func TestFactWithOtherContentIsASeparateFact(t *testing.T) {
	for name, c := range map[string]struct {
		second order.PaymentHint
		asked  bool
	}{
		"the same content": {order.PaymentHint{ID: "7", Cause: "7", Code: "try_again"}, false},
		"other content":    {order.PaymentHint{ID: "7", Cause: "7", Code: "card_expired"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.gateway.answer = payment.Pending
			g := &countingGateway{gateway: w.gateway}
			say := func(after time.Duration, h order.PaymentHint) {
				w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(order.SignalPayment, h) }, after)
			}
			say(time.Minute, order.PaymentHint{ID: "7", Cause: "7", Code: "try_again"})
			// The gateway does not confirm it and is called again, now with pauses of many seconds.
			var before, after int64
			w.env.RegisterDelayedCallback(func() { before = g.pendingFacts.Load() }, 110*time.Second)
			say(111*time.Second, c.second)
			// The clock advances while activities run. Without the second notification the next attempt is after 123 seconds.
			w.env.RegisterDelayedCallback(func() { after = g.pendingFacts.Load() }, 120*time.Second)
			w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 20*time.Minute)
			require.NoError(t, w.start(tea(order.Immediate), g, w.bus))
			require.Positive(t, before)
			require.Equal(t, c.asked, after > before)
		})
	}
}

// countingGateway confirms no notification, and counts them.
type countingGateway struct {
	*gateway
	pendingFacts atomic.Int64
}

func (g *countingGateway) Settle(context.Context, payment.Payment, bool, string) error {
	g.pendingFacts.Add(1)
	return nil
}
