package paymenttest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// testPending tests pending payments.
func testPending(t *testing.T, s Subject) {
	need(t, s.Methods.Pending != "", "pending payments")
	ctx := context.Background()
	provider := s.Open(t)
	a, b := provider.Gateways[0], provider.Gateways[1]
	settler, ok := b.(payment.Settler)
	require.True(t, ok, "a gateway with pending payments is a Settler")
	notification := func(p payment.Payment) payment.Payment { return payment.Payment{OrderID: p.OrderID} }
	pending := func(t *testing.T) payment.Payment {
		p := newPayment(s.Methods.Pending)
		got, err := a.Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Pending, got, err)
		require.NotEmpty(t, got.PaymentID)
		return p
	}

	t.Run("succeeds", func(t *testing.T) {
		p := pending(t)
		require.NoError(t, settler.Settle(ctx, notification(p), true, ""))
		require.NoError(t, settler.Settle(ctx, notification(p), false, "too_late"), "the first call counts")
		got, err := a.Lookup(ctx, p)
		is(t, payment.Authorized, got, err)
		got, err = a.Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Authorized, got, err)
		got, err = a.Capture(ctx, p.Key("capture"), p)
		is(t, payment.Captured, got, err)
	})
	t.Run("fails", func(t *testing.T) {
		p := pending(t)
		require.NoError(t, settler.Settle(ctx, notification(p), false, "abandoned"))
		require.NoError(t, settler.Settle(ctx, notification(p), true, ""), "the first call counts")
		for _, gateway := range provider.Gateways {
			got, err := gateway.Authorize(ctx, p.Key("authorize"), p)
			is(t, payment.Refused, got, err)
			require.Equal(t, "abandoned", got.Code)
			require.True(t, got.Asynchronous)
			found, err := gateway.Lookup(ctx, p)
			require.NoError(t, err)
			require.Equal(t, got, found)
		}
	})
	t.Run("is voided before the payer pays", func(t *testing.T) {
		p := pending(t)
		got, err := b.Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		require.NoError(t, settler.Settle(ctx, notification(p), false, "abandoned"))
		got, err = a.Lookup(ctx, p)
		is(t, payment.Undone, got, err)
		require.Zero(t, got.Arrived)
	})
	t.Run("money that arrives after the void is refunded", func(t *testing.T) {
		p := pending(t)
		got, err := b.Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		got, err = a.Refund(ctx, p.Key("late"), p, p.Amount)
		fails(t, fault.Invalid, got, err, "nothing has arrived yet")
		for range 2 {
			require.NoError(t, settler.Settle(ctx, notification(p), true, ""), "it arrives once")
			got, err = a.Lookup(ctx, p)
			is(t, payment.Undone, got, err, "it is never authorized")
			require.Equal(t, p.Amount, got.Arrived)
		}
		got, err = a.Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Undone, got, err)
		got, err = a.Capture(ctx, p.Key("capture"), p)
		fails(t, fault.EffectSettled, got, err)
		got, err = b.Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		for _, gateway := range provider.Gateways {
			got, err = gateway.Refund(ctx, p.Key("late"), p, p.Amount)
			is(t, payment.Refunded, got, err, "once per key")
			got, err = gateway.Refund(ctx, p.Key("again"), p, 1)
			fails(t, fault.Invalid, got, err, "nothing is left")
			require.NoError(t, settler.Settle(ctx, notification(p), true, ""))
			got, err = gateway.Lookup(ctx, p)
			is(t, payment.Undone, got, err)
			require.Zero(t, got.Arrived)
		}
	})
	t.Run("a notification about a payment that is not pending does nothing", func(t *testing.T) {
		p := newPayment(s.Methods.Pending)
		require.NoError(t, settler.Settle(ctx, notification(p), true, ""))
		got, err := a.Lookup(ctx, p)
		is(t, payment.Absent, got, err)
		approved := newPayment(s.Methods.Approve)
		got, err = a.Authorize(ctx, approved.Key("authorize"), approved)
		is(t, payment.Authorized, got, err)
		require.NoError(t, settler.Settle(ctx, notification(approved), false, "no"))
		got, err = a.Lookup(ctx, approved)
		is(t, payment.Authorized, got, err)
	})
	t.Run("a notification with a different payment ID is refused", func(t *testing.T) {
		p := pending(t)
		wrong := notification(p)
		wrong.ID = "another"
		require.ErrorIs(t, settler.Settle(ctx, wrong, true, ""), fault.Conflict)
		got, err := a.Lookup(ctx, p)
		is(t, payment.Pending, got, err)
	})
}

// testStuck tests calls that always fail and have no effect.
func testStuck(t *testing.T, s Subject) {
	ctx := context.Background()
	authorized := func(t *testing.T, method string) (Provider, payment.Payment) {
		need(t, method != "", "method that is stuck there")
		provider, p := s.Open(t), newPayment(method)
		got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Authorized, got, err)
		return provider, p
	}
	t.Run("capture", func(t *testing.T) {
		provider, p := authorized(t, s.Methods.CaptureStuck)
		for _, gateway := range provider.Gateways {
			got, err := gateway.Capture(ctx, p.Key("capture"), p)
			unknown(t, got, err)
		}
		got, err := provider.Gateways[0].Lookup(ctx, p)
		is(t, payment.Authorized, got, err)
		got, err = provider.Gateways[1].Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
	})
	t.Run("void", func(t *testing.T) {
		provider, p := authorized(t, s.Methods.VoidStuck)
		for _, gateway := range provider.Gateways {
			got, err := gateway.Void(ctx, p.Key("void"), p)
			unknown(t, got, err)
		}
		got, err := provider.Gateways[0].Lookup(ctx, p)
		is(t, payment.Authorized, got, err)
		got, err = provider.Gateways[1].Capture(ctx, p.Key("capture"), p)
		is(t, payment.Captured, got, err)
	})
	t.Run("refund", func(t *testing.T) {
		provider, p := authorized(t, s.Methods.RefundStuck)
		got, err := provider.Gateways[0].Capture(ctx, p.Key("capture"), p)
		is(t, payment.Captured, got, err)
		for _, gateway := range provider.Gateways {
			got, err = gateway.Refund(ctx, p.Key("refund/1"), p, 1)
			unknown(t, got, err)
		}
		got, err = provider.Gateways[1].Lookup(ctx, p)
		is(t, payment.Captured, got, err)
	})
}

// testUnknown tests an authorization that happened although the call failed.
func testUnknown(t *testing.T, s Subject) {
	need(t, s.Methods.Timeout != "", "method that times out")
	ctx := context.Background()
	t.Run("a repeated call with the same key finds it", func(t *testing.T) {
		provider, p := s.Open(t), newPayment(s.Methods.Timeout)
		got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		fails(t, fault.OutcomeUnknown, got, err)
		for _, gateway := range provider.Gateways {
			got, err = gateway.Authorize(ctx, p.Key("authorize"), p)
			is(t, payment.Authorized, got, err)
		}
	})
	t.Run("a lookup finds it", func(t *testing.T) {
		provider, p := s.Open(t), newPayment(s.Methods.Timeout)
		got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		fails(t, fault.OutcomeUnknown, got, err)
		got, err = provider.Gateways[1].Lookup(ctx, p)
		is(t, payment.Authorized, got, err)
	})
	t.Run("a void undoes it", func(t *testing.T) {
		provider, p := s.Open(t), newPayment(s.Methods.Timeout)
		got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		fails(t, fault.OutcomeUnknown, got, err)
		got, err = provider.Gateways[1].Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		got, err = provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Undone, got, err)
	})
}

// testLateCapture tests a capture that times out and happens after the next lookup.
func testLateCapture(t *testing.T, s Subject) {
	need(t, s.Methods.CaptureLate != "", "method whose capture happens late")
	ctx := context.Background()
	timedOut := func(t *testing.T) (Provider, payment.Payment) {
		provider, p := s.Open(t), newPayment(s.Methods.CaptureLate)
		got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Authorized, got, err)
		for _, gateway := range provider.Gateways {
			got, err = gateway.Capture(ctx, p.Key("capture"), p)
			fails(t, fault.OutcomeUnknown, got, err)
		}
		return provider, p
	}
	t.Run("it is refunded, not voided", func(t *testing.T) {
		provider, p := timedOut(t)
		got, err := provider.Gateways[0].Lookup(ctx, p)
		is(t, payment.Authorized, got, err, "it has not happened yet")
		got, err = provider.Gateways[1].Void(ctx, p.Key("void"), p)
		fails(t, fault.EffectSettled, got, err)
		for _, gateway := range provider.Gateways {
			got, err = gateway.Lookup(ctx, p)
			is(t, payment.Captured, got, err)
			got, err = gateway.Capture(ctx, p.Key("capture"), p)
			is(t, payment.Captured, got, err)
		}
		got, err = provider.Gateways[1].Refund(ctx, p.Key("undo/authorize"), p, p.Amount)
		is(t, payment.Refunded, got, err)
		got, err = provider.Gateways[0].Refund(ctx, p.Key("other"), p, 1)
		fails(t, fault.Invalid, got, err)
		got, err = provider.Gateways[0].Lookup(ctx, p)
		is(t, payment.Refunded, got, err)
	})
	t.Run("a void before that prevents it", func(t *testing.T) {
		provider, p := timedOut(t)
		got, err := provider.Gateways[1].Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		for _, gateway := range provider.Gateways {
			got, err = gateway.Lookup(ctx, p)
			is(t, payment.Undone, got, err)
			got, err = gateway.Capture(ctx, p.Key("capture"), p)
			fails(t, fault.EffectSettled, got, err)
		}
	})
}
