package order_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/participant/participanttest"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment/stripe"
	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// stripeShop is the stock ledger, and payments of a server that behaves as Stripe documents. Its connection loses, delays and repeats requests and loses
// answers, and it answers with status 500 before and after the effect.
type stripeShop struct {
	log     *memlog.Log
	account *stripefake.Server
	faults  *participanttest.Faults
	// direct is the gateway over a connection without faults.
	direct *stripe.Gateway
	// calm ends the faults.
	calm func()
}

// newStripeShop makes the worlds of cells. The faults of a cell depend on the seed and the cell's name.
func newStripeShop(seed uint64) func(t testing.TB) sagatest.World[order.State, *order.Participants] {
	return func(t testing.TB) sagatest.World[order.State, *order.Participants] {
		s := &stripeShop{log: memlog.New(), account: stripefake.New()}
		t.Cleanup(s.account.Close)
		ledger, err := inventory.New(inventory.Config{Log: s.log, Registry: &inventory.MemoryRegistry{}, Temporary: order.Temporary})
		require.NoError(t, err)
		t.Cleanup(ledger.Close)
		for _, line := range append(valid().Lines, order.Line{SKU: shopSKU}) {
			_, err := ledger.Receive(context.Background(), line.SKU, onHand, "receipt")
			require.NoError(t, err)
		}
		s.faults = participanttest.NewFaults(s.account.Config.Handler)
		name := fnv.New64a()
		_, _ = name.Write([]byte(t.Name()))
		s.disturb(rand.New(rand.NewPCG(seed, name.Sum64())))
		server := httptest.NewServer(s.faults)
		t.Cleanup(server.Close)
		t.Cleanup(s.faults.Settle)
		s.direct = newStripe(t, s.account.URL)
		return sagatest.World[order.State, *order.Participants]{
			Participants: &order.Participants{Stock: order.PerSKU(ledger), Gateway: newStripe(t, server.URL), Refunds: s.log}, Before: s.act, Audit: s.audit,
		}
	}
}

// newStripe makes a gateway. Its client keeps no connections: on one that was kept, it would repeat a lost request by itself.
func newStripe(t testing.TB, address string) *stripe.Gateway {
	gateway, err := stripe.New(stripe.Config{
		Key: "sk_test_1", Base: address, Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
	require.NoError(t, err)
	return gateway
}

// maxFaults bounds the faults of a cell: fewer than the attempts that each operation has before a saga gives it up.
const maxFaults = 4

// disturb draws the faults of requests, on their way and in the server.
func (s *stripeShop) disturb(random *rand.Rand) {
	var mu sync.Mutex
	oneIn, faults := 2+random.IntN(10), 0
	draw := func(kinds int) int {
		mu.Lock()
		defer mu.Unlock()
		if faults == maxFaults || random.IntN(oneIn) > 0 {
			return 0
		}
		faults++
		return 1 + random.IntN(kinds)
	}
	s.faults.Draw(func() participanttest.Fault { return participanttest.Fault(draw(int(participanttest.Delay))) })
	s.account.Disturb = func(_ string, r *http.Request) stripefake.Fault {
		if r.Method != http.MethodPost {
			return stripefake.None
		}
		return []stripefake.Fault{stripefake.None, stripefake.FailBefore, stripefake.FailAfter}[draw(2)]
	}
	s.calm = func() {
		mu.Lock()
		defer mu.Unlock()
		faults = maxFaults
	}
}

// act has the payer act before the webhook about it arrives.
func (s *stripeShop) act(a sagatest.Arrival) {
	hint, ok := a.Payload.(order.PaymentHint)
	for _, i := range s.account.Intents() {
		if ok {
			s.account.Act(i.ID, hint.Succeeded, "payment_intent_authentication_failure")
		}
	}
}

// audit reports what is wrong between an order that has ended and the account, after requests that were delayed.
func (s *stripeShop) audit(stream []event.Record) error {
	s.calm()
	s.faults.Settle()
	return errors.Join(s.compare(stream), s.reconcile(stream))
}

// compare compares the account with the events of an order: what was captured, refunded, voided and authorized.
func (s *stripeShop) compare(stream []event.Record) error {
	var captured, refunded int64
	var err error
	completed, voided := false, false
	for _, r := range stream {
		amount := func(sum *int64) {
			err = errors.Join(err, event.DecodeInto(r.Event, func(d struct{ Amount int64 }) { *sum += d.Amount }))
		}
		switch r.Type {
		case event.PaymentCaptured:
			amount(&captured)
		case event.PaymentRefunded:
			amount(&refunded)
		case event.PaymentVoided:
			voided = true
		case event.OrderCompleted:
			completed = true
		}
	}
	var received, returned int64
	for _, i := range s.account.Intents() {
		received += i.Received
		if i.Status != "succeeded" && i.Status != "canceled" && (i.Charge != nil || i.Method != nil) {
			err = errors.Join(err, fmt.Errorf("the PaymentIntent %s is still %s", i.ID, i.Status))
		}
	}
	keys := make(map[string]bool)
	for _, r := range s.account.Refunds() {
		if returned += r.Amount; keys[r.Metadata["ordersaga_key"]] {
			err = errors.Join(err, fmt.Errorf("the key %s was refunded twice", r.Metadata["ordersaga_key"]))
		}
		keys[r.Metadata["ordersaga_key"]] = true
	}
	if !completed && captured == 0 {
		captured = refunded // The void found the payment captured.
	}
	if received != captured || returned != refunded || voided && received != 0 || !completed && received != returned {
		err = errors.Join(err, fmt.Errorf("the account received %d and refunded %d, and the log has %d and %d, completed %t, voided %t",
			received, returned, captured, refunded, completed, voided))
	}
	return err
}

// reconcile runs reconcile over the order, the stock and the account.
func (s *stripeShop) reconcile(stream []event.Record) error {
	ctx := context.Background()
	entries := make([]event.Entry, 0, len(stream))
	for _, r := range stream {
		entries = append(entries, r.Entry)
	}
	if _, _, err := s.log.Append(ctx, stream[0].Stream, event.Head{}, entries); err != nil {
		return err
	}
	state, err := order.Fold(stream)
	if err != nil {
		return err
	}
	r, err := reconcile.New(reconcile.Config{
		Flows: []reconcile.Flow{{Definer: &order.Flow, Sagas: endedSaga{id: state.ID}, Timing: order.DefaultTiming().Settings(false).Of}},
		List:  entriesOf{readmodel.FromState(state)}, FlowList: entriesOf{}, Log: s.log, Shortages: endedSaga{}, Gateway: s.direct,
		Clock: func() time.Time { return state.UpdatedAt }, Logger: slog.New(slog.DiscardHandler), Pause: time.Nanosecond,
	})
	if err != nil {
		return err
	}
	report, err := r.Run(ctx, reconcile.Options{})
	if err == nil && (report.Left() > 0 || report.Orders != 1) {
		err = fmt.Errorf("reconcile looked at %d orders and found %v", report.Orders, report.Findings)
	}
	return err
}

// endedSaga is a saga whose only run has completed. Nothing is repaired.
type endedSaga struct {
	reconcile.FlowSagas
	reconcile.Shortages
	id string
}

func (endedSaga) Inspect(context.Context, string) (reconcile.Run, error) {
	return reconcile.Run{Found: true, Completed: true, Status: "completed"}, nil
}

func (s endedSaga) All(context.Context, time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield(s.id, nil) }
}

func (endedSaga) Interrupted(context.Context) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

func (endedSaga) Lost(context.Context, string) (saga.Facts, error) { return saga.Facts{}, nil }

func (endedSaga) InspectShortage(context.Context, string) (reconcile.Run, error) {
	return reconcile.Run{}, nil
}

// entriesOf is a list.
type entriesOf []readmodel.Order

func (l entriesOf) All(context.Context) iter.Seq2[readmodel.Order, error] {
	return func(yield func(readmodel.Order, error) bool) {
		for _, e := range l {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l entriesOf) Get(_ context.Context, id string) (readmodel.Order, bool, error) {
	for _, e := range l {
		if e.ID == id {
			return e, true, nil
		}
	}
	return readmodel.Order{}, false, nil
}

// TestMatrixOverStripe strikes every operation of orders whose payments are PaymentIntents, while requests get lost, late and repeated, answers get lost,
// and the server fails after the effect. In the end the account has what the log has, and reconcile finds nothing. It runs a sample of the cells, or all with
// ORDERSAGA_WHOLE_MATRIX=1.
func TestMatrixOverStripe(t *testing.T) {
	draw := testenv.Draw(t)
	parcel := lostParcel(saga.Refund)
	parcel.Data = placed(stripefake.Approve, shipped)
	cells := sagatest.Cells[order.State, *order.Participants]{
		Flow: &order.Flow, Settings: order.DefaultTiming().Settings(false), NewWorld: newStripeShop(uint64(draw)), Once: os.Getenv(wholeMatrix) == "",
		Journeys: []sagatest.Journey{
			{Name: "immediate", Data: placed(stripefake.Approve, again), End: saga.Completed},
			{Name: "shipment", ID: shopID, Data: placed(stripefake.Approve, ofShop, again, shipped), End: saga.Completed, Arrivals: []sagatest.Arrival{
				sent(order.StepShip, order.ShipmentDispatched), sent(order.StepDeliver, order.ShipmentDelivered),
			}},
			{Name: "server error", Data: placed(stripefake.Timeout), End: saga.Completed},
			{Name: "paid later", Data: placed(stripefake.Action), End: saga.Completed, Arrivals: []sagatest.Arrival{paid(true)}},
			{Name: "not authenticated", Data: placed(stripefake.Action), End: saga.Rejected, Reason: order.ReasonPaymentFailed, Arrivals: []sagatest.Arrival{paid(false)}},
			{Name: "declined", Data: placed(stripefake.Decline), End: saga.Rejected, Reason: order.ReasonPaymentDeclined},
			{Name: "capture refused", Data: placed(stripefake.CaptureRefused), End: saga.Rejected, Reason: order.ReasonCaptureRefused},
			{Name: "out of stock", Data: placed(stripefake.Approve, tooMany), End: saga.Rejected, Reason: order.ReasonOutOfStock},
			parcel,
		},
	}
	if os.Getenv(wholeMatrix) == "" {
		cells.OneIn, cells.Draw = 2, draw
	}
	sagatest.Matrix(t, cells)
}
