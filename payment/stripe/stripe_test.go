package stripe_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/stripe"
	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
)

var serial atomic.Int64

// begun is when the payments of these tests began.
var begun = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func newPayment(method string) payment.Payment {
	return payment.Payment{OrderID: fmt.Sprintf("gid://shop/Order/%d", serial.Add(1)), Amount: 1999, Currency: "EUR", Method: method, CreatedAt: begun}
}

// account is a server and one gateway, with a clock.
type account struct {
	*stripefake.Server
	*stripe.Gateway
	now atomic.Int64
}

func newAccount(t *testing.T) *account {
	a := &account{Server: stripefake.New()}
	a.now.Store(begun.UnixNano())
	a.Clock = func() time.Time { return time.Unix(0, a.now.Load()) }
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a.Gateway = newGateway(t, a.Server, client, func(c *stripe.Config) { c.Clock = a.Clock })
	t.Cleanup(func() {
		a.Close()
		check(t, a.Server)
	})
	return a
}

func (a *account) sleep(d time.Duration) { a.now.Add(int64(d)) }

// disturb has the next requests of an operation fail, and every one after the given number succeed.
func (a *account) disturb(operation string, f stripefake.Fault, times int64) {
	var n atomic.Int64
	a.Disturb = func(op string, _ *http.Request) stripefake.Fault {
		if op == operation && n.Add(1) <= times {
			return f
		}
		return stripefake.None
	}
}

// TestStripeRepeatsServerErrors: Stripe keeps a response with status 500 under its idempotency key for a day. A call that repeats it would never end.
func TestStripeRepeatsServerErrors(t *testing.T) {
	for _, f := range []stripefake.Fault{stripefake.FailBefore, stripefake.FailAfter, stripefake.LoseRequest, stripefake.LoseAnswer} {
		for operation, call := range map[string]func(a *account, p payment.Payment) (payment.Result, error){
			"create":  func(a *account, p payment.Payment) (payment.Result, error) { return a.Authorize(t.Context(), "", p) },
			"confirm": func(a *account, p payment.Payment) (payment.Result, error) { return a.Authorize(t.Context(), "", p) },
			"capture": func(a *account, p payment.Payment) (payment.Result, error) {
				return a.Capture(t.Context(), p.Key("capture"), p)
			},
			"cancel": func(a *account, p payment.Payment) (payment.Result, error) {
				return a.Void(t.Context(), p.Key("void"), p)
			},
			"refund": func(a *account, p payment.Payment) (payment.Result, error) {
				return a.Refund(t.Context(), p.Key("refund/1"), p, 100)
			},
		} {
			t.Run(fmt.Sprintf("%s %d", operation, f), func(t *testing.T) {
				a, p := newAccount(t), newPayment(stripefake.Approve)
				want := payment.Authorized
				switch operation {
				case "capture", "cancel", "refund":
					_, err := a.Authorize(t.Context(), "", p)
					require.NoError(t, err)
				}
				switch operation {
				case "capture":
					want = payment.Captured
				case "cancel":
					want = payment.Undone
				case "refund":
					_, err := a.Capture(t.Context(), p.Key("capture"), p)
					require.NoError(t, err)
					want = payment.Refunded
				}
				a.disturb(operation, f, 1)
				_, err := call(a, p)
				require.ErrorIs(t, err, fault.OutcomeUnknown)
				got, err := call(a, p)
				require.NoError(t, err)
				require.Equal(t, want, got.State)
				if operation == "refund" {
					require.Len(t, a.Refunds(), 1)
				}
			})
		}
	}
}

// TestForgottenKeys: a saga that was stalled for more than a day must not create its payment again.
func TestForgottenKeys(t *testing.T) {
	authorized := func(t *testing.T) (*account, payment.Payment) {
		a, p := newAccount(t), newPayment(stripefake.Approve)
		a.disturb("confirm", stripefake.LoseAnswer, 1)
		_, err := a.Authorize(t.Context(), "", p)
		require.ErrorIs(t, err, fault.OutcomeUnknown)
		a.sleep(25 * time.Hour)
		return a, p
	}
	t.Run("an authorization finds the payment", func(t *testing.T) {
		a, p := authorized(t)
		got, err := a.Authorize(t.Context(), "", p)
		require.NoError(t, err)
		require.Equal(t, payment.Authorized, got.State)
		require.Len(t, a.Intents(), 1)
	})
	t.Run("a void finds the payment", func(t *testing.T) {
		a, p := authorized(t)
		got, err := a.Void(t.Context(), p.Key("void"), p)
		require.NoError(t, err)
		require.Equal(t, payment.Undone, got.State)
		require.Equal(t, "canceled", a.Intents()[0].Status)
	})
	t.Run("an empty search proves nothing", func(t *testing.T) {
		a, p := authorized(t)
		a.SetSearchable(false)
		for _, call := range []func() (payment.Result, error){
			func() (payment.Result, error) { return a.Authorize(t.Context(), "", p) },
			func() (payment.Result, error) { return a.Void(t.Context(), p.Key("void"), p) },
			func() (payment.Result, error) { return a.Lookup(t.Context(), p) },
		} {
			_, err := call()
			require.ErrorIs(t, err, fault.Unavailable)
			require.ErrorContains(t, err, p.Key("authorize"), "an operator can look for it")
		}
		require.Len(t, a.Intents(), 1)
	})
	t.Run("of several payments, the one that moved money counts", func(t *testing.T) {
		a, p := authorized(t)
		p.CreatedAt = time.Time{} // A creation whose key was forgotten, by a process that did not know it.
		_, err := a.Lookup(t.Context(), p)
		require.NoError(t, err)
		require.Len(t, a.Intents(), 2)
		p.CreatedAt = begun
		got, err := a.Lookup(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, payment.Authorized, got.State)
	})
	t.Run("a refund is made once for its key", func(t *testing.T) {
		a, p := newAccount(t), newPayment(stripefake.Approve)
		got, err := a.Authorize(t.Context(), "", p)
		require.NoError(t, err)
		p.ID = got.PaymentID
		_, err = a.Capture(t.Context(), p.Key("capture"), p)
		require.NoError(t, err)
		for range 2 {
			got, err = a.Refund(t.Context(), "key", p, 100)
			require.NoError(t, err)
			require.Equal(t, payment.Refunded, got.State)
			a.sleep(25 * time.Hour)
		}
		require.Len(t, a.Refunds(), 1)
	})
}

// TestAuthorizationExpiredBeforeCapture: the payment was authorized, and Stripe cancelled it before it was captured.
func TestAuthorizationExpiredBeforeCapture(t *testing.T) {
	a, p := newAccount(t), newPayment(stripefake.Approve)
	got, err := a.Authorize(t.Context(), "", p)
	require.NoError(t, err)
	p.ID = got.PaymentID
	a.Expire(p.ID)
	for range 2 {
		got, err = a.Capture(t.Context(), p.Key("capture"), p)
		require.NoError(t, err)
		require.Equal(t, payment.Result{State: payment.CaptureRefused, PaymentID: p.ID, Code: "authorization_expired"}, got)
	}
	got, err = a.Void(t.Context(), p.Key("void"), p)
	require.NoError(t, err)
	require.Equal(t, payment.Undone, got.State)
}

// TestFailedRefundIsNotRefunded: Stripe completes refunds later, or not at all.
func TestFailedRefundIsNotRefunded(t *testing.T) {
	for status, code := range map[string]string{"pending": "", "requires_action": "", "failed": "lost_or_stolen_card", "canceled": "canceled"} {
		a, p := newAccount(t), newPayment(stripefake.Approve)
		_, err := a.Authorize(t.Context(), "", p)
		require.NoError(t, err)
		_, err = a.Capture(t.Context(), p.Key("capture"), p)
		require.NoError(t, err)
		a.SetRefundStatus(status)
		for range 2 {
			got, err := a.Refund(t.Context(), "key", p, 100)
			if code != "" {
				require.NoError(t, err)
				require.Equal(t, payment.RefundRefused, got.State)
				require.Equal(t, code, got.Code)
				continue
			}
			require.ErrorIs(t, err, fault.Unavailable, status)
			require.ErrorContains(t, err, status)
		}
	}
}

// TestRefusedPaymentCannotBePaid: the payer has the client's secret and could try another card, for an order that has failed.
func TestRefusedPaymentCannotBePaid(t *testing.T) {
	for method, code := range map[string]string{stripefake.Decline: stripefake.DeclineCode, "pm_unknown": "resource_missing"} {
		a, p := newAccount(t), newPayment(method)
		for range 2 {
			got, err := a.Authorize(t.Context(), "", p)
			require.NoError(t, err)
			require.Equal(t, payment.Refused, got.State)
			require.Equal(t, code, got.Code)
		}
		require.Equal(t, "canceled", a.Intents()[0].Status)
	}
	a, p := newAccount(t), newPayment(stripefake.Action)
	_, err := a.Authorize(t.Context(), "", p)
	require.NoError(t, err)
	require.True(t, a.Act(a.Intents()[0].ID, false, "payment_intent_authentication_failure"))
	got, err := a.Lookup(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, payment.Refused, got.State)
	require.Equal(t, "canceled", a.Intents()[0].Status, "the saga ends with what the look-up found")
}

// TestAmountsThatStripeRefuses: such a payment is refused, and there is nothing to void.
func TestAmountsThatStripeRefuses(t *testing.T) {
	for _, p := range []payment.Payment{
		{OrderID: "1", Amount: 100_000_000, Currency: "EUR", Method: stripefake.Approve},
		{OrderID: "2", Amount: 1001, Currency: "KWD", Method: stripefake.Approve},
		{OrderID: "3", Amount: 150, Currency: "MGA", Method: stripefake.Approve},
	} {
		a := newAccount(t)
		for _, call := range []func(context.Context, string, payment.Payment) (payment.Result, error){a.Authorize, a.Void, a.Authorize} {
			got, err := call(t.Context(), p.Key("key"), p)
			require.NoError(t, err)
			require.Equal(t, payment.Refused, got.State)
			require.NotEmpty(t, got.Code)
		}
		_, err := a.Capture(t.Context(), p.Key("capture"), p)
		require.ErrorIs(t, err, fault.Invalid)
		require.Empty(t, a.Intents())
	}
}

// TestUnitsOfCurrencies: amounts are in minor units of ISO 4217, and Stripe has other units for some currencies.
func TestUnitsOfCurrencies(t *testing.T) {
	for currency, want := range map[string]int64{"EUR": 1000, "JPY": 1000, "KWD": 1000, "ISK": 100_000, "UGX": 100_000, "MGA": 10} {
		a := newAccount(t)
		p := payment.Payment{OrderID: "order", Amount: 1000, Currency: currency, Method: stripefake.Approve}
		_, err := a.Authorize(t.Context(), "", p)
		require.NoError(t, err)
		require.Equal(t, want, a.Intents()[0].Amount, currency)
		_, err = a.Capture(t.Context(), p.Key("capture"), p)
		require.NoError(t, err)
		_, err = a.Refund(t.Context(), "key", p, 1000)
		require.NoError(t, err)
		require.Equal(t, want, a.Refunds()[0].Amount, currency)
	}
}

// TestErrorsHaveNoSecrets: errors are logged and shown, and those of the SDK contain the client's secret.
func TestErrorsHaveNoSecrets(t *testing.T) {
	a, p := newAccount(t), newPayment(stripefake.Approve)
	_, err := a.Authorize(t.Context(), "", p)
	require.NoError(t, err)
	_, err = a.Capture(t.Context(), p.Key("capture"), p)
	require.NoError(t, err)
	_, err = a.Void(t.Context(), p.Key("void"), p)
	require.ErrorIs(t, err, fault.EffectSettled)
	require.NotContains(t, fmt.Sprintf("%+v", err), "secret")
	a.disturb("refund", stripefake.FailAfter, 1)
	_, err = a.Refund(t.Context(), "key", p, 1)
	require.NotContains(t, fmt.Sprintf("%+v", err), "secret")

	wrong, err := stripe.New(stripe.Config{Key: "rk_live_forgotten", Base: a.URL})
	require.NoError(t, err)
	_, err = wrong.Authorize(t.Context(), "", newPayment(stripefake.Approve))
	require.ErrorIs(t, err, fault.Unavailable, "an operator mends the key, and the saga goes on")
	require.NotContains(t, err.Error(), "rk_live_forgotten")
}

// TestRandomFaults makes random calls while requests and answers are lost and fail. Calls are repeated until their outcome is known. No payment is
// authorized twice, results never change, and in the end the account is as the results say.
func TestRandomFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := &account{Server: stripefake.New()}
		defer a.Close()
		a.now.Store(begun.UnixNano())
		a.Clock = func() time.Time { return time.Unix(0, a.now.Load()) }
		gateway, err := stripe.New(stripe.Config{Key: "sk_test_1", Base: a.URL, Clock: a.Clock, Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
		require.NoError(rt, err)
		faults := rapid.SliceOfN(rapid.SampledFrom([]stripefake.Fault{
			stripefake.None, stripefake.None, stripefake.LoseRequest, stripefake.LoseAnswer, stripefake.FailBefore, stripefake.FailAfter,
		}), 0, 40).Draw(rt, "faults")
		var next atomic.Int64
		a.Disturb = func(string, *http.Request) stripefake.Fault {
			if n := next.Add(1) - 1; n < int64(len(faults)) {
				return faults[n]
			}
			return stripefake.None
		}
		p := newPayment(rapid.SampledFrom([]string{stripefake.Approve, stripefake.Decline, stripefake.CaptureRefused}).Draw(rt, "method"))
		ctx := context.Background()
		calls := map[string]func() (payment.Result, error){
			"authorize": func() (payment.Result, error) { return gateway.Authorize(ctx, "", p) },
			"capture":   func() (payment.Result, error) { return gateway.Capture(ctx, p.Key("capture"), p) },
			"void":      func() (payment.Result, error) { return gateway.Void(ctx, p.Key("void"), p) },
			"refund":    func() (payment.Result, error) { return gateway.Refund(ctx, "key", p, 1999) },
			"look up":   func() (payment.Result, error) { return gateway.Lookup(ctx, p) },
		}
		var captured, undone, refunded bool
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"authorize", "authorize", "capture", "void", "refund", "look up"}), 1, 8).Draw(rt, "calls") {
			var got payment.Result
			for try := 0; ; try++ {
				require.Less(rt, try, 60, "the outcome of %s stays unknown: %v", name, err)
				if got, err = calls[name](); err == nil || !fault.Lookup(fault.CodeOf(err)).Retryable {
					break
				}
				if rapid.Bool().Draw(rt, "another call in between") {
					_, _ = gateway.Lookup(ctx, p)
				}
			}
			if err == nil {
				captured = captured || got.State == payment.Captured
				undone = undone || got.State == payment.Undone
				refunded = refunded || got.State == payment.Refunded
			}
		}
		moved := 0
		for _, i := range a.Intents() {
			if i.Charge != nil {
				moved++
			}
			if captured {
				require.NotEqual(rt, "canceled", i.Status)
			}
		}
		require.LessOrEqual(rt, moved, 1, "authorizations")
		require.False(rt, captured && undone)
		require.LessOrEqual(rt, len(a.Refunds()), 1)
		if refunded {
			require.True(rt, captured, "only captured money is refunded")
			require.Len(rt, a.Refunds(), 1)
		}
	})
}
