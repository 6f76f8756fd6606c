package paymenttest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// testWriters tests delayed writers and writes with unknown results.
func testWriters(t *testing.T, s Subject) {
	ctx := context.Background()
	authorize := func(g payment.Gateway, p payment.Payment) <-chan func() (payment.Result, error) {
		done := make(chan func() (payment.Result, error), 1)
		go func() {
			got, err := g.Authorize(ctx, p.Key("authorize"), p)
			done <- func() (payment.Result, error) { return got, err }
		}()
		return done
	}

	t.Run("an authorization delayed after the void is undone", func(t *testing.T) {
		provider, p := s.Open(t), newPayment(s.Methods.Approve)
		need(t, provider.Pause != nil, "way to pause it")
		paused := provider.Pause()
		slept := authorize(provider.Gateways[0], p)
		<-paused.Arrived()
		got, err := provider.Gateways[1].Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		paused.Release()
		got, err = (<-slept)()
		is(t, payment.Undone, got, err)
		got, err = provider.Gateways[1].Lookup(ctx, p)
		is(t, payment.Undone, got, err)
	})

	t.Run("an abandoned authorization delayed after the void is undone", func(t *testing.T) {
		provider, p := s.Open(t), newPayment(s.Methods.Approve)
		need(t, provider.Pause != nil, "way to pause it")
		paused := provider.Pause()
		slept := authorize(provider.Gateways[0], p)
		<-paused.Arrived()
		paused.Abandon()
		got, err := (<-slept)()
		fails(t, fault.OutcomeUnknown, got, err)
		got, err = provider.Gateways[0].Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		paused.Release()
		for _, gateway := range provider.Gateways {
			got, err = gateway.Authorize(ctx, p.Key("authorize"), p)
			is(t, payment.Undone, got, err)
		}
	})

	t.Run("a capture delayed after the void captures nothing", func(t *testing.T) {
		provider, p := s.Open(t), newPayment(s.Methods.Approve)
		need(t, provider.Pause != nil, "way to pause it")
		got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Authorized, got, err)
		paused := provider.Pause()
		slept := make(chan error, 1)
		go func() {
			_, err := provider.Gateways[0].Capture(ctx, p.Key("capture"), p)
			slept <- err
		}()
		<-paused.Arrived()
		got, err = provider.Gateways[1].Void(ctx, p.Key("void"), p)
		is(t, payment.Undone, got, err)
		paused.Release()
		require.ErrorIs(t, <-slept, fault.EffectSettled)
		got, err = provider.Gateways[0].Lookup(ctx, p)
		is(t, payment.Undone, got, err)
	})

	t.Run("a lost answer is found by a repeated call and by a lookup", func(t *testing.T) {
		provider, p := s.Open(t), newPayment(s.Methods.Approve)
		need(t, provider.LoseAnswer != nil && provider.LoseRequest != nil, "way to lose answers")
		a := provider.Gateways[0]
		provider.LoseRequest()
		got, err := a.Authorize(ctx, p.Key("authorize"), p)
		fails(t, fault.OutcomeUnknown, got, err)
		got, err = a.Lookup(ctx, p)
		is(t, payment.Absent, got, err)
		provider.LoseAnswer()
		got, err = a.Authorize(ctx, p.Key("authorize"), p)
		fails(t, fault.OutcomeUnknown, got, err)
		got, err = a.Lookup(ctx, p)
		is(t, payment.Authorized, got, err)
		provider.LoseAnswer()
		got, err = a.Capture(ctx, p.Key("capture"), p)
		fails(t, fault.OutcomeUnknown, got, err)
		got, err = a.Capture(ctx, p.Key("capture"), p)
		is(t, payment.Captured, got, err)
		provider.LoseAnswer()
		got, err = a.Refund(ctx, p.Key("refund/1"), p, p.Amount)
		fails(t, fault.OutcomeUnknown, got, err)
		got, err = a.Refund(ctx, p.Key("refund/1"), p, p.Amount)
		is(t, payment.Refunded, got, err)
	})
}

// slowRuns is the number of runs of the model with a slow provider.
const slowRuns = 5

// testModel makes random calls for a few payments with random gateways and compares every result with the specification.
func testModel(t *testing.T, s Subject) {
	ctx := context.Background()
	provider := s.Open(t)
	methods := []string{s.Methods.Approve, s.Methods.Approve}
	for _, method := range []string{s.Methods.Decline, s.Methods.Pending, s.Methods.CaptureRefused} {
		if method != "" {
			methods = append(methods, method)
		}
	}
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		if runs++; s.Slow && runs > slowRuns && !t.Failed() {
			return
		}
		payments := make([]payment.Payment, len(methods))
		models := make([]*spec, len(methods))
		for i, method := range methods {
			payments[i] = newPayment(method)
			models[i] = newSpec(s, payments[i])
		}
		draw := func(rt *rapid.T) (payment.Gateway, payment.Payment, *spec) {
			i := rapid.IntRange(0, len(methods)-1).Draw(rt, "payment")
			return provider.Gateways[rapid.IntRange(0, 1).Draw(rt, "gateway")], payments[i], models[i]
		}
		actions := map[string]func(*rapid.T){
			"refund": func(rt *rapid.T) {
				g, p, model := draw(rt)
				key := rapid.SampledFrom([]string{"refund/1", "refund/2", "refund/3"}).Draw(rt, "key")
				amount := rapid.Int64Range(1, p.Amount).Draw(rt, "amount")
				want, code := model.refund(key, amount)
				got, err := g.Refund(ctx, p.Key(key), p, amount)
				require.Equal(rt, code, fault.CodeOf(err))
				require.Equal(rt, want, got.State)
			},
			"settle": func(rt *rapid.T) {
				g, p, model := draw(rt)
				if settler, ok := g.(payment.Settler); ok {
					succeeded := rapid.Bool().Draw(rt, "succeeded")
					model.settle(succeeded)
					require.NoError(rt, settler.Settle(ctx, p, succeeded, failureCode))
				}
			},
		}
		for _, call := range []string{"authorize", "capture", "void"} {
			actions[call] = func(rt *rapid.T) {
				g, p, model := draw(rt)
				step(rt, g, p, model, call, call)
			}
		}
		rt.Repeat(actions)
	})
}
