package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// attentionList records its calls.
type attentionList struct {
	err   error
	shown []latepayment.State
}

func (d *attentionList) Project(_ context.Context, s latepayment.State) error {
	d.shown = append(d.shown, s)
	return d.err
}

// refunder is a gateway that refunds.
type refunder struct {
	settler
	amounts []int64
}

func (r *refunder) Refund(_ context.Context, key string, p payment.Payment, amount int64) (payment.Result, error) {
	r.amounts = append(r.amounts, amount)
	_, err := r.call("refund as "+key, p)
	return payment.Result{State: payment.Refunded}, err
}

// lateWorld has the activities of the late saga and their dependencies.
type lateWorld struct {
	*world
	gateway  *refunder
	lateList *attentionList
	money    *activities.Flow[latepayment.State, *latepayment.Participants]
	in       saga.StepInput[latepayment.State]
}

// paidLate returns an order that was compensated, and a payment that arrived after its end.
func paidLate(t *testing.T) *lateWorld {
	t.Helper()
	w := &lateWorld{world: newWorld(t), gateway: &refunder{settler: settler{gateway: &gateway{}}}, lateList: &attentionList{}}
	w.money = &activities.Flow[latepayment.State, *latepayment.Participants]{
		Recorder: w.recorder, Table: &latepayment.Flow, Settings: saga.Settings{Attention: time.Minute}, List: w.lateList,
		Participants: &latepayment.Participants{Gateway: w.gateway, Refunds: w.log, Payment: order.Reader{Log: w.log}.Payment},
	}
	require.NoError(t, w.money.Check())
	s := w.cancel(w.accepted())
	w.decide(w.write(s, s.Undone(order.StepReserve, now)), order.Facts{})
	w.addLatePayment("evt-1")
	w.open()
	return w
}

// open reads the stream.
func (w *lateWorld) open() {
	w.t.Helper()
	out, err := w.money.Open(w.t.Context(), saga.OpenInput{ID: "42"})
	require.NoError(w.t, err)
	require.Equal(w.t, time.Minute, out.Settings.Attention)
	w.in = saga.StepInput[latepayment.State]{}
	w.fold(out.StepResult)
}

// do does a step.
func (w *lateWorld) do(step string) (saga.StepResult[latepayment.State], error) {
	return w.money.Step(step, saga.Do)(w.t.Context(), w.in)
}

// next returns the next action of the run.
func (w *lateWorld) next(f saga.Facts) []event.Entry {
	return []event.Entry{latepayment.Flow.Decide(w.in.State, f, now, nil).Entry}
}

func (w *lateWorld) addLatePayment(id string) {
	w.t.Helper()
	v := latepayment.LateRecord{ID: id, OrderID: "42", EventID: id, Type: event.PaymentSucceeded, Status: order.StatusCancelled}
	require.NoError(w.t, latepayment.WriteLateRecord(w.t.Context(), w.log, v, "corr", now))
}

// fold applies the result of an activity.
func (w *lateWorld) fold(out saga.StepResult[latepayment.State]) {
	w.t.Helper()
	var err error
	w.in.State, err = w.in.State.Fold(out.Tail)
	require.NoError(w.t, err)
	w.in.Item, w.in.Entries = latepayment.Flow.Decide(w.in.State, saga.Facts{}, now, nil).Item, nil
}

// judge has the gateway find an amount.
func (w *lateWorld) judge(arrived int64) {
	w.t.Helper()
	w.gateway.result = payment.Result{State: payment.Undone, PaymentID: "p-1", Arrived: arrived}
	out, err := w.do(latepayment.StepJudge)
	require.NoError(w.t, err)
	w.fold(out)
}

// ask records that the stuck step needs attention.
func (w *lateWorld) ask() []event.Entry {
	return w.next(saga.Facts{Stuck: &order.Stuck{Step: latepayment.StepRefund, Error: "no answer"}})
}

func TestLatePaymentIsRecordedAndRefunded(t *testing.T) {
	w := paidLate(t)
	w.judge(1800)
	require.Equal(t, []string{"settle : true ", "look up"}, w.gateway.calls)
	out, err := w.do(latepayment.StepRefund)
	require.NoError(t, err)
	require.Equal(t, []string{event.PaymentRefunded}, types(out.Tail))
	requireData(t, latepayment.Money{OrderID: "42", EventID: "evt-1", PaymentID: "p-1", Amount: 1800, Currency: "EUR"}, out.Tail[0])
	require.Equal(t, "refund as 42/late/evt-1", w.gateway.calls[2])
	require.Equal(t, []int64{1800}, w.gateway.amounts)
	require.Equal(t, []string{"reserve/late/evt-1"}, keys(w.read(event.RefundsStream("42"))))
	again, err := w.do(latepayment.StepRefund)
	require.NoError(t, err)
	require.Equal(t, out, again, "running it again changes nothing")
	w.fold(out)
	require.False(t, w.in.State.Open())
	for _, s := range w.lateList.shown {
		require.Zero(t, s.Attention)
	}
}

func TestLatePaymentWithoutMoney(t *testing.T) {
	w := paidLate(t)
	w.judge(0)
	require.False(t, w.in.State.Open())
	require.Equal(t, int64(2), w.in.State.Head.Version)
}

func TestAnswerIsAppendedAfterConcurrentLateRecords(t *testing.T) {
	w := paidLate(t)
	w.addLatePayment("evt-2")
	w.judge(1800)
	require.Len(t, w.in.State.Payments, 2)
	require.True(t, w.in.State.Payments[0].Decided)
	require.Equal(t, int64(3), w.in.State.Head.Version)
}

func TestUnknownGatewayStateIsRetried(t *testing.T) {
	for _, code := range []fault.Code{fault.Unavailable, fault.OutcomeUnknown, fault.Invalid} {
		w := paidLate(t)
		w.gateway.err = fault.New(code, "injected")
		_, err := w.do(latepayment.StepJudge)
		requireFault(t, code, err)
		w.gateway.settleErr = fault.New(code, "injected")
		_, err = w.do(latepayment.StepJudge)
		requireFault(t, code, err)
		w = paidLate(t)
		w.judge(1800)
		w.gateway.err = fault.New(code, "injected")
		_, err = w.do(latepayment.StepRefund)
		requireFault(t, code, err)
		w.log.readErr = fault.New(code, "injected")
		_, err = w.do(latepayment.StepRefund)
		requireFault(t, code, err)
		w = paidLate(t)
		w.log.appendErr = fault.New(code, "injected")
		w.in.Entries = w.ask()
		_, err = w.money.Record(t.Context(), w.in)
		requireFault(t, code, err)
		w.log.readErr = fault.New(code, "injected")
		_, err = w.money.Open(t.Context(), saga.OpenInput{ID: "42"})
		requireFault(t, code, err)
	}
}

func TestLateEventsAreListedForAttention(t *testing.T) {
	w := paidLate(t)
	w.judge(1800)
	w.lateList.shown = nil
	w.in.Entries = w.ask()
	w.lateList.err = fault.New(fault.Unavailable, "no list")
	_, err := w.money.Record(t.Context(), w.in)
	requireFault(t, fault.Unavailable, err)

	// A failed update of the list is repeated by the next attempt, and by the next run.
	w.lateList.err = nil
	out, err := w.money.Record(t.Context(), w.in)
	require.NoError(t, err)
	require.Len(t, w.lateList.shown, 2)
	require.Equal(t, w.lateList.shown[0], w.lateList.shown[1])
	situation, _ := latepayment.Flow.AttentionKind(&w.lateList.shown[1])
	require.Equal(t, latepayment.RefundStuck, situation)
	_, err = w.money.Open(t.Context(), saga.OpenInput{ID: "42"})
	require.NoError(t, err)
	require.Len(t, w.lateList.shown, 3)

	w.fold(out)
	_, err = w.money.Record(t.Context(), w.in)
	require.NoError(t, err)
	refunded, err := w.do(latepayment.StepRefund)
	require.NoError(t, err)
	require.Len(t, w.lateList.shown, 3, "nothing has changed for people")
	w.fold(refunded)
	w.in.Entries = w.next(saga.Facts{})
	_, err = w.money.Record(t.Context(), w.in)
	require.NoError(t, err)
	require.Len(t, w.lateList.shown, 4)
	require.False(t, w.lateList.shown[3].Attention.Open)
}

func TestManualRefundIsNotRepeated(t *testing.T) {
	w := paidLate(t)
	w.judge(1800)
	record := func(e []event.Entry) {
		w.in.Entries = e
		out, err := w.money.Record(t.Context(), w.in)
		require.NoError(t, err)
		w.fold(out)
	}
	record(w.ask())
	d := order.Resolution{ID: "d-1", Action: order.Substitute, Reference: "transfer 4711"}
	record(w.next(saga.Facts{Resolutions: []order.Resolution{d}}))
	record(w.next(saga.Facts{}))
	require.False(t, w.in.State.Open())
	w.addLatePayment("evt-2")
	w.open()
	w.judge(1800)
	require.False(t, w.in.State.Open(), "the gateway still has it")
	require.Empty(t, w.gateway.amounts)
}
