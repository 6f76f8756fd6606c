package activities_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
	noticed "github.com/ordersaga/ordersaga/internal/notify/orders"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// mute is a notifier that must not be called.
type mute struct{}

func (mute) Send(context.Context, notify.Message) notify.Result { panic("nothing is to be sent") }

// requireRetried requires that Temporal tries the activity again.
func requireRetried(t *testing.T, err error) {
	t.Helper()
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.Equal(t, string(fault.Unavailable), application.Type())
	require.False(t, application.NonRetryable())
}

// TestMessagesSurviveFailover: a message is requested although an ordinary read misses what it is about, and is not given up as
// one to an erased customer when the customer's stream, or the order's, is missed.
func TestMessagesSurviveFailover(t *testing.T) {
	for _, hidden := range []string{stream, event.CustomerStream("c-7")} {
		t.Run(hidden, func(t *testing.T) { testMessageSurvivesAFailover(t, hidden) })
	}
}

func testMessageSurvivesAFailover(t *testing.T, hidden string) {
	w := newWorld(t)
	w.write(w.accepted(), event.New(stream, order.SlotEnd, event.OrderFailed, "42", now,
		order.Ending{OrderID: "42", Outcome: order.StatusFailed, Reason: order.ReasonPaymentTimeout}))
	log := eventlogtest.NewLossyLog(w.log.Log)
	box := sealed.NewBox(sealedtest.NewKeys())
	profile, err := box.Seal(t.Context(), "c-7", []byte(`{"email":"a@example.org","username":"A"}`))
	require.NoError(t, err)
	_, _, err = onboarding.Register(t.Context(), log, onboarding.Registration{ID: "r-1", CustomerID: "c-7", OccurredAt: now, Profile: profile}, now)
	require.NoError(t, err)
	recorder := activities.Recorder{Log: log, Publisher: w.recorder.Publisher, Clock: w.recorder.Clock, Logger: w.recorder.Logger}
	notices := &activities.Flow[notification.State, *notification.Participants]{
		Recorder: &recorder, Table: &notification.Flow,
		Participants: &notification.Participants{
			Customers: log, Orders: noticed.Reader{Log: log}, Profiles: box, Notifier: mute{}, Window: time.Hour, Logger: slog.New(slog.DiscardHandler),
		},
	}

	log.Forget(hidden, 0)
	opened, err := notices.Open(t.Context(), saga.OpenInput{ID: "failed-42", Now: now})
	require.NoError(t, err)
	require.Len(t, opened.Tail, 1)
	about, err := notification.State{}.Fold(opened.Tail)
	require.NoError(t, err)
	require.Equal(t, "c-7", about.CustomerID)
	if hidden == stream {
		return // what an order has come to is read in the way that misses nothing
	}
	_, err = notices.Step(notification.StepSend, saga.Do)(t.Context(), saga.StepInput[notification.State]{State: about, Now: now})
	requireRetried(t, err)
}

// TestLatePaymentWaitsForItsOrder: the saga runs for orders that have ended, so the stream is there.
func TestLatePaymentWaitsForItsOrder(t *testing.T) {
	w := newWorld(t)
	money := &activities.Flow[latepayment.State, *latepayment.Participants]{
		Recorder: w.recorder, Table: &latepayment.Flow,
		Participants: &latepayment.Participants{Gateway: &gateway{}, Refunds: w.log, Payment: order.Reader{Log: w.log}.Payment},
	}
	v := latepayment.LateRecord{ID: "evt-1", OrderID: "42", EventID: "evt-1", Type: event.PaymentSucceeded, Status: order.StatusCancelled}
	require.NoError(t, latepayment.WriteLateRecord(t.Context(), w.log, v, "corr", now))
	opened, err := money.Open(t.Context(), saga.OpenInput{ID: "42"})
	require.NoError(t, err)
	s, err := latepayment.State{}.Fold(opened.Tail)
	require.NoError(t, err)
	_, err = money.Step(latepayment.StepJudge, saga.Do)(t.Context(), saga.StepInput[latepayment.State]{State: s, Item: "evt-1"})
	requireRetried(t, err)
}
