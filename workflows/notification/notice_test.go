package notification_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var (
	start   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	subject = notification.Subject{Kind: notification.Completed, CustomerID: "c-1", OrderID: "42"}
)

// world is a notice's stream without a workflow.
type world struct {
	t   require.TestingT
	log *memlog.Log
	at  time.Time
}

func newWorld(t require.TestingT) *world {
	w := &world{t: t, log: memlog.New(), at: start}
	w.append(notification.State{Subject: subject}, subject.Request("corr", "cause", start.Add(time.Hour), start))
	return w
}

func (w *world) state() notification.State {
	records, err := w.log.Read(context.Background(), event.NoticeStream(subject.ID()), 0, 0)
	require.NoError(w.t, err)
	s, err := notification.State{Subject: subject}.Fold(records)
	require.NoError(w.t, err)
	return s
}

func (w *world) append(s notification.State, e event.Entry) {
	_, _, err := w.log.Append(context.Background(), event.NoticeStream(subject.ID()), s.Head, []event.Entry{e})
	require.NoError(w.t, err)
}

func next(s notification.State, f saga.Facts, at time.Time) saga.Action {
	return notification.Flow.Decide(s, f, at, nil)
}

// intent is the event of an attempt that is about to be made.
func intent(s notification.State, token string, at time.Time) event.Entry {
	n := s.Attempt + 1
	return notification.Flow.Entry(&s, notification.SlotIntent+strconv.Itoa(n), event.NoticeIntended, at, notification.Intent{Attempt: n, Token: token})
}

// answer is what the newest attempt came to.
func answer(s notification.State, o notification.Outcome, at time.Time) *saga.Answer {
	eventType := map[notification.Outcome]string{
		notification.Sent: event.NoticeSent, notification.Refused: event.NoticeRefused, notification.NotAccepted: event.NoticeNotAccepted,
		notification.Unknown: event.NoticeUnknown,
	}[o]
	entry := notification.Flow.Entry(&s, "outcome/"+strconv.Itoa(s.Attempt), eventType, at, notification.Result{Attempt: s.Attempt, Code: "451"})
	return &saga.Answer{After: s.Head.Version, Entry: entry}
}

// TestMessageIsSentAtMostOnce: runs end at every point, and no run sends a message that another run was about to send, or
// one that was accepted, refused or lost.
func TestMessageIsSentAtMostOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		var facts saga.Facts
		// Taken counts what the mail server has said yes to, or may have.
		taken, steps := 0, 0
		for {
			steps++
			require.Less(t, steps, 200, "it ends")
			if rapid.IntRange(0, 4).Draw(t, "broken off") == 0 {
				facts = saga.Facts{}
			}
			s := w.state()
			a := next(s, facts, w.at)
			switch a.Kind {
			case order.Close:
				require.True(t, s.Settled())
				require.LessOrEqual(t, taken, 1)
				if taken == 1 {
					require.Contains(t, []notification.Outcome{notification.Sent, notification.Unknown}, s.Outcome)
				}
				return
			case order.Record:
				w.append(s, a.Entry)
				facts.Answer = nil
			case order.Wait:
				require.True(t, a.Until.After(w.at))
				require.True(t, a.Until.Before(s.Until))
				w.at = a.Until
			case order.Do:
				require.Zero(t, taken, "it may have been taken already")
				require.False(t, s.Open())
				w.append(s, intent(s, "run "+strconv.Itoa(steps), w.at))
				outcome := rapid.SampledFrom([]notification.Outcome{notification.Sent, notification.Refused, notification.NotAccepted, notification.Unknown}).Draw(t, "fate")
				if outcome == notification.Sent || outcome == notification.Unknown {
					taken++
				}
				facts.Answer = answer(w.state(), outcome, w.at)
			}
			w.at = w.at.Add(time.Second)
		}
	})
}

func TestIntentWithoutOutcomeIsUnknown(t *testing.T) {
	w := newWorld(t)
	w.append(w.state(), intent(w.state(), "somebody", start))
	a := next(w.state(), saga.Facts{}, start)
	require.Equal(t, order.Record, a.Kind)
	require.Equal(t, event.NoticeUnknown, a.Entry.Type)
	other := answer(w.state(), notification.Sent, start)
	other.After = 7
	a = next(w.state(), saga.Facts{Answer: other}, start)
	require.Equal(t, event.NoticeUnknown, a.Entry.Type, "an answer about another attempt says nothing")
	a = next(w.state(), saga.Facts{Answer: answer(w.state(), notification.Sent, start)}, start)
	require.Equal(t, event.NoticeSent, a.Entry.Type)
}

func TestUnacceptedMessageIsRetriedUntilDeadline(t *testing.T) {
	w := newWorld(t)
	var pauses []time.Duration
	for {
		s := w.state()
		a := next(s, saga.Facts{}, w.at)
		if a.Kind == order.Do {
			w.append(s, intent(s, "me", w.at))
			s = w.state()
			a = next(s, saga.Facts{Answer: answer(s, notification.NotAccepted, w.at)}, w.at)
			require.Equal(t, event.NoticeNotAccepted, a.Entry.Type)
			w.append(s, a.Entry)
			continue
		}
		if a.Kind == order.Wait {
			pauses = append(pauses, a.Until.Sub(w.at))
			w.at = a.Until
			continue
		}
		require.Equal(t, event.NoticeGivenUp, a.Entry.Type)
		w.append(s, a.Entry)
		break
	}
	require.Equal(t, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}, pauses[:3])
	require.Less(t, len(pauses), 15)
	s := w.state()
	require.Equal(t, notification.GivenUp, s.Outcome)
	require.Equal(t, order.Close, next(s, saga.Facts{}, w.at).Kind)
	require.False(t, w.at.After(start.Add(time.Hour)))
}

func TestMessageIDsNameTheirSubject(t *testing.T) {
	for _, s := range []notification.Subject{{Kind: notification.Welcome, CustomerID: "c-1"}, {Kind: notification.Failed, OrderID: "a-b.c"}} {
		found, ok := notification.SubjectOf(s.ID())
		require.True(t, ok)
		require.Equal(t, s, found)
	}
	for _, id := range []string{"", "welcome", "welcome-", "unheard-42", "failed-."} {
		_, ok := notification.SubjectOf(id)
		require.False(t, ok, id)
	}
}

func TestEveryKindExceptWelcomeHasAnEvent(t *testing.T) {
	kinds := []notification.Kind{notification.Welcome}
	for _, name := range notification.EventTypes() {
		kind, ok := notification.KindOf(name)
		require.True(t, ok)
		typ, known := event.Find(name)
		require.True(t, known)
		require.Equal(t, event.Published, typ.Direction)
		kinds = append(kinds, kind)
	}
	require.Equal(t, notification.Kinds, kinds)
	_, ok := notification.KindOf(event.OrderAccepted)
	require.False(t, ok)
}

func TestDamagedStreamIsNotFolded(t *testing.T) {
	_, err := notification.State{}.Fold([]event.Record{{Version: 2}})
	require.ErrorIs(t, err, fault.ErrMissing)
	entry := subject.Request("", "", start, start)
	entry.Data = []byte(`{"until":5}`)
	_, err = notification.State{}.Fold([]event.Record{{Version: 1, Entry: entry}})
	require.ErrorIs(t, err, fault.Malformed)
}

func TestMessageView(t *testing.T) {
	about := notification.About(notification.Subject{Kind: notification.Welcome, CustomerID: "c-7"})
	for outcome, want := range map[notification.Outcome]saga.View{
		"":                       {Status: saga.Accepted, Steps: []saga.StepView{{State: saga.ViewPending}}},
		notification.NotAccepted: {Status: saga.Accepted, Steps: []saga.StepView{{State: saga.ViewPending}}},
		notification.Sent:        {Status: saga.Completed, Steps: []saga.StepView{{State: saga.ViewDone}}},
		notification.Refused:     {Status: saga.Failed, Reason: "refused", Steps: []saga.StepView{{State: saga.ViewRefused}}},
		notification.Unknown:     {Status: saga.Failed, Reason: "unknown", Steps: []saga.StepView{{State: saga.ViewUnknown}}},
		notification.GivenUp:     {Status: saga.Failed, Reason: notification.ReasonDeadline, Steps: []saga.StepView{{State: saga.ViewSkipped}}},
	} {
		s := about
		s.Outcome = outcome
		if outcome == notification.GivenUp {
			s.EndReason = notification.ReasonDeadline
		}
		v := notification.Flow.ViewOf(&s)
		require.Equal(t, []any{want.Status, want.Reason, want.Steps[0].State}, []any{v.Status, v.Reason, v.Steps[0].State}, outcome)
		require.False(t, v.Ended)
	}
}
