package order_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestPausesBeforeTheGatewayIsAskedAgain(t *testing.T) {
	total, before := time.Duration(0), time.Duration(0)
	for asked := 1; asked <= 1000; asked++ {
		pause := order.AskAgainAfter(asked)
		require.GreaterOrEqual(t, pause, max(time.Second, before))
		require.LessOrEqual(t, pause, time.Hour)
		if pause <= 5*time.Minute {
			total += pause
		}
		before = pause
	}
	require.Equal(t, time.Second, order.AskAgainAfter(1))
	require.Equal(t, time.Hour, order.AskAgainAfter(1000))
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

func TestAnUnconfirmedNotificationIsAskedAboutAgain(t *testing.T) {
	w := pendingFor(t)
	deadline := w.state().PaymentDeadline(w.timing)
	next := func() order.Action { return order.Next(w.state(), w.facts, w.now, w.timing) }
	hint := order.PaymentHint{ID: "h", Succeeded: true}
	w.facts.Notified(hint, "")
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
		w.facts.Hint = nil
		w.facts.Unconfirmed(hint, w.state(), w.timing, w.now)
	}
	require.Equal(t, 13, asked)
	require.Equal(t, order.Action{Kind: order.Lookup, Step: order.StepAuthorize}, next(), "it is asked a last time at the deadline")
}

func TestWhatIsAskedAboutWhenNotificationsMeet(t *testing.T) {
	paid, failed := order.PaymentHint{ID: "paid", Succeeded: true}, order.PaymentHint{ID: "failed"}
	w := pendingFor(t)
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
			var f order.Facts
			f.Notified(c.came, "")
			require.True(t, f.Unconfirmed(c.asked, w.state(), w.timing, w.now))
			require.Equal(t, c.want, f.Hint.ID)
			require.Equal(t, c.atOnce, order.Next(w.state(), f, w.now, w.timing).Kind == order.Lookup)
		})
	}
	t.Run("the next one is asked about at once", func(t *testing.T) {
		var f order.Facts
		require.True(t, f.Unconfirmed(paid, w.state(), w.timing, w.now))
		require.Equal(t, order.Wait, order.Next(w.state(), f, w.now, w.timing).Kind)
		f.Notified(order.PaymentHint{ID: "again", Succeeded: true}, "")
		require.Equal(t, order.Lookup, order.Next(w.state(), f, w.now, w.timing).Kind)
		require.Zero(t, f.HintAsked)
	})
	t.Run("nothing is asked about a payment that is not pending", func(t *testing.T) {
		var f order.Facts
		require.False(t, f.Unconfirmed(paid, newWorld(t, order.Immediate).state(), w.timing, w.now))
		require.Nil(t, f.Hint)
	})
}
