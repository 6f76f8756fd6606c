package paymenttest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
)

// callers is the number of concurrent goroutines.
const callers = 20

// testRace makes equal and opposite concurrent calls with two gateways.
func testRace(t *testing.T, s Subject) {
	ctx := context.Background()
	provider := s.Open(t)

	t.Run("one authorization", func(t *testing.T) {
		p := newPayment(s.Methods.Approve)
		var ids sync.Map
		each(func(i int) {
			got, err := provider.Gateways[i%2].Authorize(ctx, p.Key("authorize"), p)
			if err != nil || got.State != payment.Authorized {
				t.Errorf("%v %v", got, err)
			}
			ids.Store(got.PaymentID, true)
		})
		different := 0
		ids.Range(func(any, any) bool { different++; return true })
		require.Equal(t, 1, different, "all callers get the same payment")
	})

	t.Run("a refund once per key, never more than was captured", func(t *testing.T) {
		p := newPayment(s.Methods.Approve)
		got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
		is(t, payment.Authorized, got, err)
		got, err = provider.Gateways[0].Capture(ctx, p.Key("capture"), p)
		is(t, payment.Captured, got, err)
		// Each key is used twice; three of them exhaust the payment.
		var given [callers / 2]atomic.Bool
		each(func(i int) {
			key := p.Key(fmt.Sprintf("refund/%d", i/2))
			got, err := provider.Gateways[i%2].Refund(ctx, key, p, p.Amount/3)
			switch {
			case err == nil && got.State == payment.Refunded:
				given[i/2].Store(true)
			case fault.CodeOf(err) != fault.Invalid:
				t.Errorf("%v %v", got, err)
			}
		})
		var count int64
		for i := range given {
			if given[i].Load() {
				count++
			}
		}
		require.Equal(t, int64(3), count)
	})

	t.Run("capture and void exclude each other", func(t *testing.T) {
		for range 5 {
			p := newPayment(s.Methods.Approve)
			got, err := provider.Gateways[0].Authorize(ctx, p.Key("authorize"), p)
			is(t, payment.Authorized, got, err)
			var captured, voided atomic.Int64
			each(func(i int) {
				gateway, wins := provider.Gateways[i/2%2], &captured
				call, want := gateway.Capture, payment.Captured
				if i%2 == 1 {
					call, want, wins = gateway.Void, payment.Undone, &voided
				}
				got, err := call(ctx, p.Key("settle"), p)
				switch {
				case err == nil && got.State == want:
					wins.Add(1)
				case fault.CodeOf(err) != fault.EffectSettled:
					t.Errorf("%v %v", got, err)
				}
			})
			require.Equal(t, int64(callers/2), captured.Load()+voided.Load())
			require.Zero(t, captured.Load()*voided.Load(), "both capture and void succeeded")
		}
	})

	t.Run("an authorization and its void", func(t *testing.T) {
		for range 5 {
			p := newPayment(s.Methods.Approve)
			each(func(i int) {
				gateway := provider.Gateways[i/2%2]
				if i%2 == 0 {
					got, err := gateway.Authorize(ctx, p.Key("authorize"), p)
					if err != nil || (got.State != payment.Authorized && got.State != payment.Undone) {
						t.Errorf("%v %v", got, err)
					}
					return
				}
				if got, err := gateway.Void(ctx, p.Key("void"), p); err != nil || got.State != payment.Undone {
					t.Errorf("%v %v", got, err)
				}
			})
			got, err := provider.Gateways[0].Lookup(ctx, p)
			is(t, payment.Undone, got, err, "the void wins in any order")
		}
	})
}

// each calls f concurrently for every caller, and waits.
func each(f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
