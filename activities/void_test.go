package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// capturedLate returns an order that is being compensated, whose payment is captured at the gateway although its log has no capture.
func capturedLate(t *testing.T) (*world, *orders, order.State) {
	t.Helper()
	w := newWorld(t)
	s := w.settling()
	gateway, err := simulator.New(simulator.Config{Log: w.log.Log})
	require.NoError(t, err)
	_, err = gateway.Authorize(t.Context(), "a", paid(s))
	require.NoError(t, err)
	_, err = gateway.Capture(t.Context(), "c", paid(s))
	require.NoError(t, err)
	p := w.payment(gateway)
	s = w.turn(s)
	return w, p, s
}

// paid is an order's payment as the gateway knows it.
func paid(s order.State) payment.Payment {
	return payment.Payment{OrderID: "42", Amount: s.Order.TotalAmount, Currency: "EUR", Method: "tok_visa"}
}

// turn has an operator turn an order back whose capture is stuck. The simulator's id of the payment is not the world's.
func (w *world) turn(s order.State) order.State {
	w.t.Helper()
	s = w.decide(s, order.Facts{Stuck: &order.Stuck{Step: order.StepCapture, Error: "timed out", Attempts: 1}})
	s = w.decide(s, order.Facts{Resolutions: []order.Resolution{{ID: "d-1", Action: order.Compensate}}, NotDone: "d-1"})
	require.Equal(w.t, order.Back, s.Decision)
	s.PaymentID = ""
	return s
}

// logsTo has another world's log be the one of the order and of its refunds.
func (o *orders) logsTo(w *world) { o.Recorder, o.Participants.Refunds = w.recorder, w.log }

func (w *world) read(stream string) []event.Record {
	w.t.Helper()
	records, err := w.log.Log.Read(w.t.Context(), stream, 0, 0)
	require.NoError(w.t, err)
	eventtest.CheckRecords(w.t, records...)
	return records
}

func keys(records []event.Record) []string {
	var list []string
	for _, r := range records {
		list = append(list, r.Key)
	}
	return list
}

var refundedCharges = []string{event.ChargeAuthorized, event.ChargeCaptured, event.ChargeRefunded}

func TestVoidOfCapturedPaymentRefunds(t *testing.T) {
	w, p, s := capturedLate(t)
	result, err := p.Void(t.Context(), in(s))
	require.NoError(t, err)
	require.Equal(t, []string{event.PaymentCaptured, event.PaymentRefunded}, types(result.Tail))
	require.Equal(t, []string{"capture", "undo/authorize"}, keys(result.Tail))
	eventtest.CheckRecords(t, result.Tail...)
	found, err := p.Participants.Gateway.Lookup(t.Context(), paid(s))
	require.NoError(t, err)
	for _, r := range result.Tail {
		d, err := event.Decode[order.PaymentData](r.Event)
		require.NoError(t, err)
		require.Equal(t, s.Order.TotalAmount, d.Amount)
		require.NotEmpty(t, d.PaymentID)
		require.Equal(t, found.PaymentID, d.PaymentID)
	}
	require.Equal(t, result.Tail[0].ID, result.Tail[1].CausationID)
	require.Equal(t, refundedCharges, types(w.read(event.PaymentStream("42"))))
	require.Equal(t, []string{"reserve/undo/authorize"}, keys(w.read(event.RefundsStream("42"))))

	after, err := s.Fold(result.Tail)
	require.NoError(t, err)
	require.True(t, after.Voided)
	require.True(t, after.Refunded)
	require.Equal(t, order.Action{Kind: order.Undo, Step: order.StepReserve}, order.Next(after, order.Facts{}, now, order.DefaultTiming()))

	// Again, late, from a run that has not seen it.
	again, err := p.Void(t.Context(), in(s))
	require.NoError(t, err)
	require.Equal(t, types(result.Tail), types(again.Tail))
	require.Equal(t, refundedCharges, types(w.read(event.PaymentStream("42"))))
}

// The answers of the gateway's refund and of the appends are lost in turn: the money is given back once.
func TestRefundWithoutAnswerIsMadeOnce(t *testing.T) {
	w, p, s := capturedLate(t)
	lossy := &lossyGateway{Gateway: p.Participants.Gateway, lose: 2}
	p.Participants.Gateway = lossy
	for range 2 {
		_, err := p.Void(t.Context(), in(s))
		requireFault(t, fault.OutcomeUnknown, err)
		require.ErrorContains(t, err, "which is captured")
	}
	w.log.appendErr = fault.New(fault.OutcomeUnknown, "no answer")
	_, err := p.Void(t.Context(), in(s))
	requireFault(t, fault.OutcomeUnknown, err)
	w.log.appendErr = nil
	// An interrupted attempt has appended half of the outcome.
	s = w.write(s, s.Captured("p-1", now))
	result, err := p.Void(t.Context(), in(s))
	require.NoError(t, err)
	require.Equal(t, []string{event.PaymentRefunded}, types(result.Tail))
	require.Equal(t, refundedCharges, types(w.read(event.PaymentStream("42"))))
	require.Len(t, w.read(event.RefundsStream("42")), 1)
}

// A late compensation of an outdated run does not refund a valid capture.
func TestCaptureIsRefundedOnlyAfterRecordedDecision(t *testing.T) {
	w, p, s := capturedLate(t)
	good := newWorld(t)
	state := good.settling()
	p.logsTo(good)
	state.Decision, state.PaymentID = order.Back, ""
	_, err := p.Void(t.Context(), in(state))
	requireFault(t, fault.EffectSettled, err)
	require.Empty(t, good.recordsAfter(state))

	// Nor if the read returns an older state than the run has seen: the log may have more.
	p.logsTo(w)
	s.Head.Version++
	_, err = p.Void(t.Context(), in(s))
	requireFault(t, fault.Unavailable, err)
	require.Equal(t, refundedCharges[:2], types(w.read(event.PaymentStream("42"))))
	require.Empty(t, w.read(event.RefundsStream("42")))
}

// An operator has decided about the void while it was under way.
func TestCaptureIsNotRefundedAfterSkip(t *testing.T) {
	w, p, s := capturedLate(t)
	asked := w.decide(s, order.Facts{Stuck: &order.Stuck{Step: order.StepAuthorize, Undo: true, Error: "captured", Attempts: 1}})
	w.decide(asked, order.Facts{Resolutions: []order.Resolution{{ID: "d-2", Action: order.Skip, Note: "kept"}}})
	result, err := p.Void(t.Context(), in(s))
	require.NoError(t, err)
	require.Contains(t, types(result.Tail), event.OrderStepSkipped)
	require.Equal(t, refundedCharges[:2], types(w.read(event.PaymentStream("42"))))
}

// The gateway refused the capture, and has captured all the same.
func TestCaptureAfterRefusalIsRefunded(t *testing.T) {
	w, p, _ := capturedLate(t)
	// The order's stream up to the pivot, and then a refusal.
	other := newWorld(t)
	o := other.settling()
	o = other.write(o, o.CaptureRefused("declined", now))
	o = other.decide(o, order.Facts{})
	o.PaymentID = ""
	p.logsTo(other)
	result, err := p.Void(t.Context(), in(o))
	require.NoError(t, err)
	require.Equal(t, []string{order.SlotCapturedLate, "undo/authorize"}, keys(result.Tail))
	require.Equal(t, []string{event.PaymentCaptured, event.PaymentRefunded}, types(result.Tail))
	require.Equal(t, refundedCharges, types(w.read(event.PaymentStream("42"))))
}

// The compensation does not refund an amount that is reserved for another refund.
func TestUndoKeepsReservationsOfOthers(t *testing.T) {
	w, p, s := capturedLate(t)
	_, err := refunds.Reserve(t.Context(), w.log, refunds.Claim{
		Reference: "42", Key: "other", Source: refunds.Captured, Amount: 500, Limit: s.Order.TotalAmount, Currency: "EUR",
	}, now)
	require.NoError(t, err)
	result, err := p.Void(t.Context(), in(s))
	require.NoError(t, err)
	d, err := event.Decode[order.PaymentData](result.Tail[1].Event)
	require.NoError(t, err)
	require.Equal(t, s.Order.TotalAmount-500, d.Amount)
}

func TestVoidWithoutLookupRefundsNothing(t *testing.T) {
	for _, state := range []payment.State{payment.Authorized, payment.Undone, payment.Absent} {
		w, p, s := capturedLate(t)
		p.Participants.Gateway = &settledGateway{Gateway: p.Participants.Gateway, found: payment.Result{State: state}}
		_, err := p.Void(t.Context(), in(s))
		requireFault(t, fault.EffectSettled, err)
		require.Equal(t, refundedCharges[:2], types(w.read(event.PaymentStream("42"))))
	}
	w, p, s := capturedLate(t)
	w.log.readErr = fault.New(fault.Unavailable, "no log")
	_, err := p.Void(t.Context(), in(s))
	requireFault(t, fault.Unavailable, err)
}

// lossyGateway refunds, and loses the first answers.
type lossyGateway struct {
	payment.Gateway
	lose int
}

func (g *lossyGateway) Refund(ctx context.Context, key string, p payment.Payment, amount int64) (payment.Result, error) {
	result, err := g.Gateway.Refund(ctx, key, p, amount)
	if g.lose > 0 {
		g.lose--
		return payment.Result{}, fault.New(fault.OutcomeUnknown, "the line went dead")
	}
	return result, err
}

// settledGateway returns another result for a lookup than for its void.
type settledGateway struct {
	payment.Gateway
	found payment.Result
}

func (g *settledGateway) Lookup(context.Context, payment.Payment) (payment.Result, error) {
	return g.found, nil
}
