package order_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestPausesBetweenLookups(t *testing.T) {
	total, before := time.Duration(0), time.Duration(0)
	for asked := 1; asked <= 1000; asked++ {
		pause := saga.AskAgainAfter(asked)
		require.GreaterOrEqual(t, pause, max(time.Second, before))
		require.LessOrEqual(t, pause, time.Hour)
		if pause <= 5*time.Minute {
			total += pause
		}
		before = pause
	}
	require.Equal(t, time.Second, saga.AskAgainAfter(1))
	require.Equal(t, time.Hour, saga.AskAgainAfter(1000))
	require.Greater(t, total, 20*time.Minute)
	require.Less(t, total, order.DefaultTiming().PaymentPending)
}

// pendingFor is an order that waits for its payer.
func pendingFor(t *testing.T) *world {
	w := newWorld(t, order.Immediate)
	for w.state().Payment != order.PaymentPending {
		w.act(script{pend: true})
	}
	return w
}

func TestUnconfirmedNotificationIsLookedUpAgain(t *testing.T) {
	w := pendingFor(t)
	deadline := w.state().PaymentDeadline(w.timing)
	next := func() order.Action { return order.Next(w.state(), w.facts, w.now, w.timing) }
	w.receive(order.PaymentHint{ID: "h", Succeeded: true})
	asked := 0
	for w.now.Before(deadline) {
		a := next()
		if a.Kind == order.Wait {
			require.False(t, a.Until.After(deadline))
			require.True(t, a.Until.After(w.now))
			w.now = a.Until
			continue
		}
		require.Equal(t, order.Lookup, a.Kind)
		asked++
		order.Flow.Unconfirmed(&w.facts, w.state(), order.StepAuthorize, *w.takeNotification(), w.now, w.timing.Settings(false).Of)
	}
	require.Equal(t, 13, asked)
	require.Equal(t, order.Action{Kind: order.Lookup, Step: order.StepAuthorize}, next(), "it is asked a last time at the deadline")
}

func TestLookupWithSeveralNotifications(t *testing.T) {
	paid, failed := order.PaymentHint{ID: "paid", Succeeded: true}, order.PaymentHint{ID: "failed"}
	w := pendingFor(t)
	unconfirmed := func(h order.PaymentHint, s order.State) bool {
		return order.Flow.Unconfirmed(&w.facts, s, order.StepAuthorize, h.Fact("42"), w.now, w.timing.Settings(false).Of)
	}
	next := func() order.ActionKind { return order.Next(w.state(), w.facts, w.now, w.timing).Kind }
	for name, c := range map[string]struct {
		asked, came order.PaymentHint
		want        string
		atOnce      bool
	}{
		"paid while failed is asked about":   {failed, paid, "paid", true},
		"paid while paid is asked about":     {paid, order.PaymentHint{ID: "again", Succeeded: true}, "again", true},
		"failed while failed is asked about": {failed, order.PaymentHint{ID: "again"}, "again", true},
		"failed while paid is asked about":   {paid, failed, "paid", false},
	} {
		t.Run(name, func(t *testing.T) {
			w.facts = order.Facts{}
			w.receive(c.came)
			require.True(t, unconfirmed(c.asked, w.state()))
			require.Equal(t, c.atOnce, next() == order.Lookup)
			require.Equal(t, c.want, w.takeNotification().ID)
		})
	}
	t.Run("the next one is asked about at once", func(t *testing.T) {
		w.facts = order.Facts{}
		require.True(t, unconfirmed(paid, w.state()))
		require.Equal(t, order.Wait, next())
		w.receive(order.PaymentHint{ID: "again", Succeeded: true})
		require.Equal(t, order.Lookup, next())
		require.Zero(t, w.takeNotification().Asked)
	})
	t.Run("nothing is asked about a payment that is not pending", func(t *testing.T) {
		w.facts = order.Facts{}
		require.False(t, unconfirmed(paid, newWorld(t, order.Immediate).state()))
		require.Nil(t, w.takeNotification())
	})
}
