package stripe_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
)

// TestPaymentRaces has several processes make the same call at once, some with lost answers, as after a double click, a repeated event or a crash.
func TestPaymentRaces(t *testing.T) {
	const callers = 8
	for name, call := range map[string]func(a *account, p payment.Payment, caller int) (payment.Result, error){
		"double capture": func(a *account, p payment.Payment, caller int) (payment.Result, error) {
			// Two of the callers even have other keys.
			return a.Capture(t.Context(), p.Key(fmt.Sprintf("capture/%d", caller%3)), p)
		},
		"refunded twice": func(a *account, p payment.Payment, _ int) (payment.Result, error) {
			return a.Refund(t.Context(), p.Key("refund/1"), p, 300)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, p := newAccount(t), newPayment(stripefake.Approve)
			got, err := a.Authorize(t.Context(), "", p)
			require.NoError(t, err)
			p.ID = got.PaymentID
			operation, want := "capture", payment.Captured
			if name == "refunded twice" {
				_, err := a.Capture(t.Context(), p.Key("capture"), p)
				require.NoError(t, err)
				operation, want = "refund", payment.Refunded
			}
			for _, f := range []stripefake.Fault{stripefake.LoseAnswer, stripefake.FailAfter} {
				a.disturb(operation, f, 1)
				var calling sync.WaitGroup
				for caller := range callers {
					calling.Go(func() {
						got, err := call(a, p, caller)
						for err != nil && fault.Lookup(fault.CodeOf(err)).Retryable {
							got, err = call(a, p, caller)
						}
						assert.NoError(t, err)
						assert.Equal(t, want, got.State)
					})
				}
				calling.Wait()
			}
			require.Len(t, a.Intents(), 1)
			require.Equal(t, p.Amount, a.Intents()[0].Received)
			if name == "refunded twice" {
				require.Len(t, a.Refunds(), 1)
				require.Equal(t, int64(300), a.Intents()[0].Charge.Refunded)
			}
		})
	}
}
