package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

var (
	money   = order.PaymentData{OrderID: "42", PaymentID: "p-1", Amount: 1800, Currency: "EUR"}
	refusal = order.PaymentRefusal{OrderID: "42", PaymentID: "p-1", Reason: order.ReasonPaymentDeclined, Code: "no_funds"}
	failure = order.PaymentRefusal{OrderID: "42", PaymentID: "p-1", Reason: order.ReasonPaymentFailed, Code: "no_funds"}
)

// requireData checks the data of a record.
func requireData[T any](t *testing.T, want T, r event.Record) {
	t.Helper()
	got, err := event.Decode[T](r.Event)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestAuthorizationOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		result payment.Result
		check  func(t *testing.T, r event.Record)
		want   string
	}{
		"authorized": {
			payment.Result{State: payment.Authorized, PaymentID: "p-1"},
			func(t *testing.T, r event.Record) { requireData(t, money, r) }, event.PaymentAuthorized,
		},
		"captured already": {
			payment.Result{State: payment.Captured, PaymentID: "p-1"},
			func(t *testing.T, r event.Record) { requireData(t, money, r) }, event.PaymentAuthorized,
		},
		"pending": {
			payment.Result{State: payment.Pending, PaymentID: "p-1"},
			func(t *testing.T, r event.Record) {
				pending := money
				pending.ExpiresAt = "2026-01-02T03:34:05.000Z"
				requireData(t, pending, r)
			}, event.PaymentPending,
		},
		"refused": {
			payment.Result{State: payment.Refused, PaymentID: "p-1", Code: "no_funds"},
			func(t *testing.T, r event.Record) { requireData(t, refusal, r) }, event.PaymentDeclined,
		},
		"refused by the payer": {
			payment.Result{State: payment.Refused, PaymentID: "p-1", Code: "no_funds", Asynchronous: true},
			func(t *testing.T, r event.Record) { requireData(t, failure, r) }, event.PaymentDeclined,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.reserved()
			g := &gateway{result: test.result}
			result, err := w.payment(g).Authorize(t.Context(), in(s))
			require.NoError(t, err)
			require.Equal(t, []string{test.want}, types(result.Tail))
			test.check(t, result.Tail[0])
			require.Equal(t, s.LastEventID, result.Tail[0].CausationID)
			require.Equal(t, []string{"authorize as 42/authorize"}, g.calls)
			require.Equal(t, []payment.Payment{{OrderID: "42", Amount: 1800, Currency: "EUR", Method: "tok_visa", CreatedAt: s.CreatedAt}}, g.paid)
		})
	}
}

func TestAuthorizationAfterUndoAdoptsTheLog(t *testing.T) {
	w := newWorld(t)
	s := w.reserved()
	g := &gateway{result: payment.Result{State: payment.Undone}}
	_, err := w.payment(g).Authorize(t.Context(), in(s))
	requireFault(t, fault.Concurrency, err)
	require.Empty(t, w.recordsAfter(s))

	later := w.cancel(s)
	w.write(later, later.Undone(order.StepAuthorize, now))
	result, err := w.payment(g).Authorize(t.Context(), in(s))
	require.NoError(t, err)
	require.Equal(t, []string{event.OrderCompensating, event.PaymentVoided}, types(result.Tail))
}

func TestImpossibleAuthorizationStates(t *testing.T) {
	for _, state := range []payment.State{payment.Absent, payment.CaptureRefused, payment.Refunded, "", "sleeping"} {
		w := newWorld(t)
		s := w.reserved()
		_, err := w.payment(&gateway{result: payment.Result{State: state}}).Authorize(t.Context(), in(s))
		requireFault(t, fault.Internal, err)
		require.ErrorContains(t, err, "gateway fake")
		require.Empty(t, w.recordsAfter(s))
	}
}

func TestCapture(t *testing.T) {
	w := newWorld(t)
	g := &gateway{result: payment.Result{State: payment.Captured}}
	result, err := w.payment(g).Capture(t.Context(), in(w.settling()))
	require.NoError(t, err)
	require.Equal(t, []string{event.PaymentCaptured}, types(result.Tail))
	requireData(t, money, result.Tail[0])
	require.Equal(t, []string{"capture as 42/capture"}, g.calls)
	require.Equal(t, "p-1", g.paid[0].ID)

	w = newWorld(t)
	g = &gateway{result: payment.Result{State: payment.CaptureRefused, Code: "expired"}}
	result, err = w.payment(g).Capture(t.Context(), in(w.settling()))
	require.NoError(t, err)
	require.Equal(t, []string{event.PaymentCaptureRefused, event.OrderCompensating}, types(result.Tail),
		"nothing was shipped: the order turns back")
	requireData(t, order.PaymentRefusal{
		OrderID: "42", PaymentID: "p-1", Reason: order.ReasonCaptureRefused, Code: "expired",
	}, result.Tail[0])

	for _, state := range []payment.State{payment.Authorized, payment.Pending, payment.Undone, payment.Refunded, ""} {
		w = newWorld(t)
		s := w.settling()
		_, err = w.payment(&gateway{result: payment.Result{State: state}}).Capture(t.Context(), in(s))
		requireFault(t, fault.Internal, err)
		require.Empty(t, w.recordsAfter(s))
	}
}

func TestVoidIsRecordedForEveryPaymentState(t *testing.T) {
	for _, state := range []payment.State{payment.Undone, payment.Refused} {
		w := newWorld(t)
		g := &gateway{result: payment.Result{State: state}}
		result, err := w.payment(g).Void(t.Context(), in(w.compensating()))
		require.NoError(t, err)
		require.Equal(t, []string{event.PaymentVoided}, types(result.Tail))
		require.Equal(t, []string{"void as 42/void"}, g.calls)
	}
}

func TestFailedGatewayRecordsNothing(t *testing.T) {
	type step = func(*orders, context.Context, stepInput) (stepResult, error)
	for name, test := range map[string]struct {
		state func(w *world) order.State
		step  step
	}{
		"authorize": {(*world).reserved, (*orders).Authorize},
		"capture":   {(*world).settling, (*orders).Capture},
		"void":      {(*world).compensating, (*orders).Void},
		"look up":   {(*world).pending, (*orders).Lookup},
	} {
		for _, code := range []fault.Code{fault.Unavailable, fault.OutcomeUnknown, fault.EffectSettled, fault.Conflict, fault.Invalid} {
			t.Run(name+" with "+string(code), func(t *testing.T) {
				w := newWorld(t)
				s := test.state(w)
				_, err := test.step(w.payment(&gateway{err: fault.New(code, "injected")}), t.Context(), in(s))
				requireFault(t, code, err)
				require.Empty(t, w.recordsAfter(s))
			})
		}
	}
}

func TestLookupAdoptsFoundState(t *testing.T) {
	found := func(state payment.State) payment.Result {
		return payment.Result{State: state, PaymentID: "p-1", Code: "no_funds"}
	}
	for name, test := range map[string]struct {
		state  func(w *world) order.State
		result payment.Result
		tail   []string
	}{
		"nothing":                         {(*world).reserved, found(payment.Absent), nil},
		"what was undone":                 {(*world).reserved, found(payment.Undone), nil},
		"what is pending still":           {(*world).pending, found(payment.Pending), nil},
		"what was undone while pending":   {(*world).pending, found(payment.Undone), nil},
		"pending, which was not recorded": {(*world).reserved, found(payment.Pending), []string{event.PaymentPending}},
		"authorized":                      {(*world).pending, found(payment.Authorized), []string{event.PaymentAuthorized}},
		"authorized, its answer lost":     {(*world).reserved, found(payment.Authorized), []string{event.PaymentAuthorized}},
		"captured":                        {(*world).reserved, found(payment.Captured), []string{event.PaymentAuthorized}},
		"refused":                         {(*world).reserved, found(payment.Refused), []string{event.PaymentDeclined}},
		"refused after it was pending":    {(*world).pending, found(payment.Refused), []string{event.PaymentDeclined}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := test.state(w)
			result, err := w.payment(&gateway{result: test.result}).Lookup(t.Context(), in(s))
			require.NoError(t, err)
			require.Equal(t, test.tail, types(result.Tail))
			require.Equal(t, test.tail, types(w.recordsAfter(s)))
			switch {
			case len(test.tail) == 0 || test.result.State != payment.Refused:
			case s.Payment == order.PaymentPending:
				requireData(t, failure, result.Tail[0])
			default:
				requireData(t, refusal, result.Tail[0])
			}
		})
	}
}

func TestImpossibleLookupState(t *testing.T) {
	w := newWorld(t)
	s := w.pending()
	_, err := w.payment(&gateway{result: payment.Result{State: "sleeping"}}).Lookup(t.Context(), hinted(s, order.PaymentHint{Cause: "evt-9"}))
	requireFault(t, fault.Internal, err)
	require.Empty(t, w.recordsAfter(s))
}

// hinted is the input of a step with a word of the bus.
func hinted(s order.State, h order.PaymentHint) stepInput {
	i, fact := in(s), h.Fact("42")
	i.Fact = &fact
	return i
}

func TestNotificationConfirmsPaymentAndIsTheCause(t *testing.T) {
	for name, test := range map[string]struct {
		hint    order.PaymentHint
		result  payment.Result
		settled string
		want    string
	}{
		"it succeeded": {
			order.PaymentHint{ID: "h-1", Cause: "evt-9", Succeeded: true},
			payment.Result{State: payment.Authorized, PaymentID: "p-1"}, "settle p-1: true ", event.PaymentAuthorized,
		},
		"it failed": {
			order.PaymentHint{ID: "h-1", Cause: "evt-9", Code: "no_funds"},
			payment.Result{State: payment.Refused, PaymentID: "p-1", Code: "no_funds", Asynchronous: true},
			"settle p-1: false no_funds", event.PaymentDeclined,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.pending()
			g := settler{gateway: &gateway{result: test.result}}
			result, err := w.payment(g).Lookup(t.Context(), hinted(s, test.hint))
			require.NoError(t, err)
			require.Equal(t, []string{test.settled, "look up"}, g.calls)
			require.Equal(t, []string{test.want}, types(result.Tail))
			require.Equal(t, "evt-9", result.Tail[0].CausationID)
			require.Equal(t, "corr", result.Tail[0].CorrelationID, "the correlation is the order's")
			d, err := event.Decode[struct{ EventIdentity string }](result.Tail[0].Event)
			require.NoError(t, err)
			require.Equal(t, order.IdentityOf("42", test.hint), d.EventIdentity)
		})
	}
}

func TestNotificationIsVerified(t *testing.T) {
	w := newWorld(t)
	s := w.pending()
	g := &gateway{result: payment.Result{State: payment.Pending, PaymentID: "p-1"}}
	result, err := w.payment(g).Lookup(t.Context(), hinted(s, order.PaymentHint{Cause: "evt-9", Succeeded: true}))
	require.NoError(t, err)
	require.Equal(t, []string{"look up"}, g.calls, "a provider settles its payments itself")
	require.Empty(t, result.Tail)
}

func TestNotificationOfPendingPaymentIsTheCause(t *testing.T) {
	w := newWorld(t)
	g := &gateway{result: payment.Result{State: payment.Pending, PaymentID: "p-1"}}
	result, err := w.payment(g).Lookup(t.Context(), hinted(w.reserved(), order.PaymentHint{ID: "h-1", Cause: "evt-9", Succeeded: true}))
	require.NoError(t, err)
	require.Equal(t, []string{event.PaymentPending}, types(result.Tail))
	require.Equal(t, "evt-9", result.Tail[0].CausationID)
	pending := money
	pending.ExpiresAt = "2026-01-02T03:34:05.000Z"
	requireData(t, pending, result.Tail[0])
}

func TestLookupWithoutCauseFollowsTheLastEvent(t *testing.T) {
	w := newWorld(t)
	s := w.pending()
	authorized := &gateway{result: payment.Result{State: payment.Authorized, PaymentID: "p-1"}}
	result, err := w.payment(settler{gateway: authorized}).Lookup(t.Context(), in(s))
	require.NoError(t, err)
	require.Equal(t, []string{"look up"}, authorized.calls, "without a hint nothing is settled")
	require.Equal(t, s.LastEventID, result.Tail[0].CausationID)

	w = newWorld(t)
	s = w.pending()
	result, err = w.payment(authorized).Lookup(t.Context(), hinted(s, order.PaymentHint{Succeeded: true}))
	require.NoError(t, err)
	require.Equal(t, s.LastEventID, result.Tail[0].CausationID)
}

func TestFailedNotificationLookupIsReported(t *testing.T) {
	w := newWorld(t)
	s := w.pending()
	g := settler{gateway: &gateway{}, settleErr: fault.New(fault.Unavailable, "no ledger")}
	_, err := w.payment(g).Lookup(t.Context(), hinted(s, order.PaymentHint{Succeeded: true}))
	requireFault(t, fault.Unavailable, err)
	require.NotContains(t, g.calls, "look up")
	require.Empty(t, w.recordsAfter(s))
}

func TestCaptureIsDetected(t *testing.T) {
	for name, test := range map[string]struct {
		state payment.State
		want  []string
	}{
		"authorized":      {payment.Authorized, nil},
		"capture refused": {payment.CaptureRefused, nil},
		"undone":          {payment.Undone, nil},
		"captured":        {payment.Captured, []string{event.PaymentCaptured}},
		"refunded":        {payment.Refunded, []string{event.PaymentCaptured}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.settling()
			g := &gateway{result: payment.Result{State: test.state, PaymentID: "p-1"}}
			result, err := w.payment(g).LookupCapture(t.Context(), in(s))
			require.NoError(t, err)
			require.Equal(t, []string{"look up"}, g.calls)
			require.Equal(t, test.want, types(result.Tail))
			require.Equal(t, test.want, types(w.recordsAfter(s)))
		})
	}
	w := newWorld(t)
	g := &gateway{err: fault.New(fault.Unavailable, "down")}
	_, err := w.payment(g).LookupCapture(t.Context(), in(w.settling()))
	requireFault(t, fault.Unavailable, err)
}
