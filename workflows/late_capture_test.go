package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// The capture times out and is stuck. The operator has the order undone; the gateway says that nothing was captured, and then
// the capture happens. It is given back, and the order is undone.
func TestCaptureAfterCompensateIsRefunded(t *testing.T) {
	for mode, inline := range map[string]bool{"inline": true, "regular": false} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			w.inlinePayment = inline
			gateway, err := simulator.New(simulator.Config{Log: w.log, Clock: w.env.Now})
			require.NoError(t, err)
			answer := w.decide(7*time.Minute, order.Resolution{ID: "d-1", Action: order.Compensate, Note: "the customer would not wait"})
			o := tea(order.Immediate)
			o.Payment.Method = "tok_capture_late"
			require.NoError(t, w.start(o, gateway, w.bus))
			require.True(t, answer.Accepted, answer.Detail)
			require.Equal(t, []string{
				event.OrderAccepted, event.InventoryReserved, event.PaymentAuthorized, event.OrderSettling, event.OrderNeedsAttention,
				event.OrderCompensating, event.OrderAttentionResolved, event.PaymentCaptured, event.PaymentRefunded,
				event.InventoryReleased, event.OrderFailed,
			}, w.timeline())
			require.Equal(t, w.timeline(), w.bus.types())
			require.Equal(t, 1, count(w.timeline(), event.OrderNeedsAttention))
			s := w.record()
			require.Equal(t, saga.Unavailable(order.StepCapture), s.Reason)
			require.Equal(t, "released", w.stock.end)

			var charges []string
			records, err := w.log.Read(t.Context(), event.PaymentStream("42"), 0, 0)
			require.NoError(t, err)
			for _, r := range records {
				charges = append(charges, r.Type)
			}
			require.Equal(t, []string{event.ChargeAuthorized, event.ChargeCaptureDelayed, event.ChargeCaptured, event.ChargeRefunded}, charges)
			require.Less(t, w.timeOf(event.OrderFailed).Sub(w.timeOf(event.OrderCompensating)), time.Minute)
		})
	}
}

// forgetful loses the answer to its first look-up.
type forgetful struct {
	payment.Gateway
	lookups int
}

func (f *forgetful) Lookup(ctx context.Context, p payment.Payment) (payment.Result, error) {
	result, err := f.Gateway.Lookup(ctx, p)
	if f.lookups++; err == nil && f.lookups == 1 {
		return payment.Result{}, fault.New(fault.Unavailable, "the answer is lost")
	}
	return result, err
}

// TestCaptureFoundByRepeatedLookupIsAdopted: as above, but the answer to the look-up is lost, and the capture has happened when the
// gateway is asked again. The order has its money and completes, and the operator reads that nothing is stuck.
func TestCaptureFoundByRepeatedLookupIsAdopted(t *testing.T) {
	for mode, inline := range map[string]bool{"inline": true, "regular": false} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			w.inlinePayment = inline
			gateway, err := simulator.New(simulator.Config{Log: w.log, Clock: w.env.Now})
			require.NoError(t, err)
			answer := w.decide(7*time.Minute, order.Resolution{ID: "d-1", Action: order.Compensate, Note: "the customer would not wait"})
			o := tea(order.Immediate)
			o.Payment.Method = "tok_capture_late"
			require.NoError(t, w.start(o, &forgetful{Gateway: gateway}, w.bus))
			require.Equal(t, []string{
				event.OrderAccepted, event.InventoryReserved, event.PaymentAuthorized, event.OrderSettling, event.OrderNeedsAttention,
				event.PaymentCaptured, event.OrderAttentionResolved, event.InventoryCommitted, event.OrderCompleted,
			}, w.timeline())
			require.False(t, answer.Accepted, "there is nothing left to decide")
			require.Equal(t, "committed", w.stock.end)
		})
	}
}
