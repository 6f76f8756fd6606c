package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/notify/orders"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// mailer is a notifier with a scripted outcome for each attempt; further attempts are accepted.
type mailer struct {
	mu       sync.Mutex
	outcomes []string
	sent     []notify.Message
}

// Outcomes besides notify's: the process is killed before or after the message is sent.
const (
	killBefore = "dies before"
	killAfter  = "dies after"
)

func (m *mailer) Send(_ context.Context, message notify.Message) notify.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	outcome := string(notify.Accepted)
	if len(m.outcomes) > 0 {
		outcome, m.outcomes = m.outcomes[0], m.outcomes[1:]
	}
	switch outcome {
	case killBefore:
		panic("killed")
	case killAfter, string(notify.Accepted), string(notify.Unknown):
		m.sent = append(m.sent, message)
	}
	if outcome == killAfter {
		panic("killed")
	}
	return notify.Result{Outcome: notify.Outcome(outcome), Code: "250"}
}

// people is a world with customers.
type people struct {
	*world
	keys   *sealedtest.Keys
	box    *sealed.Box
	mailer *mailer
	// mu guards the following fields.
	mu sync.Mutex
	// broken is the number of failing appends for each event type.
	broken map[string]int
	// welcomes counts the requested welcomes.
	welcomes int
	// loses is the type of an event that is appended once although the append returns an error.
	loses string
}

func newPeople(t *testing.T) *people {
	keys := sealedtest.NewKeys()
	return &people{world: newWorld(t), keys: keys, box: sealed.NewBox(keys), mailer: &mailer{}, broken: map[string]int{}}
}

// Head implements activities.Log.
func (p *people) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	return p.log.Head(ctx, stream)
}

// Append fails as often as broken says, before anything is written.
func (p *people) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		if p.broken[e.Type] > 0 {
			p.broken[e.Type]--
			return event.Head{}, nil, fault.New(fault.Unavailable, "the log is away")
		}
	}
	if p.loses == entries[0].Type {
		p.loses = ""
		_, _, err := p.log.Append(ctx, stream, head, entries)
		return event.Head{}, nil, errors.Join(err, fault.New(fault.Unavailable, "the answer is lost"))
	}
	return p.log.Append(ctx, stream, head, entries)
}

func (p *people) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return p.log.Read(ctx, stream, after, limit)
}

// registers encrypts and records a customer's profile.
func (p *people) registers(id, email string, at time.Time) {
	p.t.Helper()
	raw, err := json.Marshal(onboarding.Profile{Email: email, Username: "Ada"})
	require.NoError(p.t, err)
	profile, err := p.box.Seal(context.Background(), "c-7", raw)
	require.NoError(p.t, err)
	_, _, err = onboarding.Register(context.Background(), p.log, onboarding.Registration{
		ID: id, CustomerID: "c-7", OccurredAt: at, Profile: profile, CorrelationID: "corr", CausationID: id,
	}, p.env.Now())
	require.NoError(p.t, err)
}

// completes writes the stream of an order that completed.
func (p *people) completes() {
	p.t.Helper()
	at := p.env.Now()
	s := p.record(order.Accept(tea(order.Immediate), "corr", "cause", at))
	s = p.record(s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: true}}, at))
	s = p.record(s.Authorized("p-1", at))
	s = p.record(order.Decisions(s, order.Facts{}, at, p.timing)...)
	s = p.record(s.Captured("p-1", at))
	s = p.record(s.CommittedStock(at))
	require.Equal(p.t, order.StatusCompleted, p.record(order.Decisions(s, order.Facts{}, at, p.timing)...).Status)
}

// execute runs a workflow to its end.
func (p *people) execute(name string, in any) {
	p.t.Helper()
	workers.RegisterWorkflows(p.env)
	workers.RegisterActivities(p.env, p.customers(), p.notices())
	p.env.ExecuteWorkflow(name, in)
	require.True(p.t, p.env.IsWorkflowCompleted())
	require.NoError(p.t, p.env.GetWorkflowError())
}

// onboards runs the saga of the customer, and then the message saga that it has started, if any.
func (p *people) onboards(in saga.Input) {
	p.t.Helper()
	p.execute(onboarding.Workflow, in)
	for range min(p.welcomes, 1) {
		next := &people{world: newWorld(p.t), keys: p.keys, box: p.box, mailer: p.mailer, broken: p.broken}
		next.log = p.log
		next.execute(notification.Workflow, saga.Input{ID: "welcome-c-7"})
	}
}

func (p *people) customers() *activities.Flow[onboarding.State, *onboarding.Participants] {
	participants := &onboarding.Participants{}
	if p.mailer != nil {
		participants.Welcome = func(_ context.Context, customerID string) error {
			require.Equal(p.t, "c-7", customerID)
			p.welcomes++
			return nil
		}
	}
	return &activities.Flow[onboarding.State, *onboarding.Participants]{
		Table: &onboarding.Flow, Participants: participants,
		Recorder: &activities.Recorder{Log: p, Publisher: p.bus, Clock: p.env.Now, Logger: slog.New(slog.DiscardHandler)},
	}
}

func (p *people) notices() *activities.Flow[notification.State, *notification.Participants] {
	kinds := make([]string, len(notification.Kinds))
	for i, k := range notification.Kinds {
		kinds[i] = string(k)
	}
	templates, err := notify.LoadTemplates("", kinds)
	require.NoError(p.t, err)
	n := &notification.Participants{
		Customers: p, Orders: orders.Reader{Log: p}, Profiles: p.box, Templates: templates, Window: time.Hour, Logger: slog.New(slog.DiscardHandler),
	}
	if p.mailer != nil {
		n.Notifier = p.mailer
	}
	return &activities.Flow[notification.State, *notification.Participants]{
		Table: &notification.Flow, Participants: n,
		Recorder: &activities.Recorder{Log: p, Publisher: p.bus, Clock: p.env.Now, Logger: slog.New(slog.DiscardHandler)},
	}
}

// types lists the types of a stream's events.
func (p *people) types(stream string) []string {
	records, err := p.log.Read(context.Background(), stream, 0, 0)
	require.NoError(p.t, err)
	var types []string
	for _, r := range records {
		types = append(types, r.Type)
	}
	return types
}

var (
	sentOnce = []string{event.NoticeRequested, event.NoticeIntended, event.NoticeSent}
	lostOnce = []string{event.NoticeRequested, event.NoticeIntended, event.NoticeUnknown}
)

func TestCustomerIsWelcomedAndPublished(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.onboards(saga.Input{ID: "c-7"})
	require.Equal(t, []string{event.CustomerRegistered, event.CustomerOnboarded}, p.types("customer-c-7"))
	require.Equal(t, sentOnce, p.types("notice-welcome-c-7"))
	require.Len(t, p.mailer.sent, 1)
	require.Equal(t, "ada@example.com", p.mailer.sent[0].To)
	require.Contains(t, p.mailer.sent[0].Text, "Hello Ada,")
	require.Equal(t, []string{event.CustomerRegistered, event.CustomerOnboarded}, p.bus.types())
	var result saga.Result
	require.NoError(t, p.env.GetWorkflowResult(&result))
	require.Equal(t, saga.Result{ID: "c-7", Version: 2}, result)
	require.NotContains(t, strings.Join(p.everything(), "\n"), "ada@example.com")
}

func TestBrokerOutageDelaysNoWelcome(t *testing.T) {
	p := newPeople(t)
	p.bus.down = 9
	p.registers("e1", "ada@example.com", p.env.Now())
	p.onboards(saga.Input{ID: "c-7"})
	require.Len(t, p.mailer.sent, 1)
	require.Equal(t, []string{event.CustomerRegistered, event.CustomerOnboarded}, p.bus.types())
}

// everything is the content of the log and the bus as text.
func (p *people) everything() []string {
	var all []string
	for _, name := range p.log.Names() {
		records, err := p.log.Read(context.Background(), name, 0, 0)
		require.NoError(p.t, err)
		raw, err := json.Marshal(records)
		require.NoError(p.t, err)
		all = append(all, string(raw))
	}
	return all
}

func TestLaterProfileIsPublishedWithoutSecondWelcome(t *testing.T) {
	p := newPeople(t)
	at := p.env.Now()
	p.registers("e1", "ada@example.com", at)
	p.env.RegisterDelayedCallback(func() {
		p.registers("e2", "ada@example.org", at.Add(time.Minute))
		p.registers("e0", "ada@example.net", at.Add(-time.Minute))
		p.env.SignalWorkflow(onboarding.Signal, nil)
	}, 0)
	p.onboards(saga.Input{ID: "c-7"})
	want := []string{event.CustomerRegistered, event.CustomerOnboarded, event.CustomerProfileUpdated, event.CustomerProfileOutdated}
	got := p.types("customer-c-7")
	require.ElementsMatch(t, want, got)
	require.Equal(t, got, p.bus.types())
	require.Len(t, p.mailer.sent, 1)
}

func TestRunKnowsPublishedVersionOfEarlierRun(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.onboards(saga.Input{ID: "c-7", Resume: &saga.Resume{Published: 1}})
	require.Equal(t, []string{event.CustomerOnboarded}, p.bus.types())
}

func TestDisabledNotificationsSendNoWelcome(t *testing.T) {
	p := newPeople(t)
	p.mailer = nil
	p.registers("e1", "ada@example.com", p.env.Now())
	p.onboards(saga.Input{ID: "c-7"})
	require.Equal(t, []string{event.CustomerRegistered, event.CustomerOnboarded}, p.types("customer-c-7"))
	require.Empty(t, p.types("notice-welcome-c-7"))
}

// orderMessage is the message about an order that completed.
var orderMessage = saga.Input{ID: "completed-42"}

// TestMessageAboutAnOrder: the message has the data of the order's stream.
func TestMessageAboutAnOrder(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.completes()
	p.execute(notification.Workflow, orderMessage)
	require.Equal(t, sentOnce, p.types("notice-completed-42"))
	require.Len(t, p.mailer.sent, 1)
	m := p.mailer.sent[0]
	require.Equal(t, "completed-42", m.Key)
	require.Equal(t, "Your order 42 is complete", m.Subject)
	require.Contains(t, m.Text, "2 × tea: 9.00 EUR")
	require.Contains(t, m.Text, "Total: 9.00 EUR")
}

// TestUnconfirmedEventIsNotNotified: an event on the bus counts only if it is in the log.
func TestUnconfirmedEventIsNotNotified(t *testing.T) {
	for name, s := range map[string]notification.Subject{
		"another end":   {Kind: notification.Cancelled, OrderID: "42"},
		"another order": {Kind: notification.Completed, OrderID: "43"},
		"no customer":   {Kind: notification.Welcome, CustomerID: "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeople(t)
			p.registers("e1", "ada@example.com", p.env.Now())
			p.completes()
			p.execute(notification.Workflow, saga.Input{ID: s.ID()})
			require.Empty(t, p.types("notice-"+s.ID()))
			require.Empty(t, p.mailer.sent)
		})
	}
}

// TestOldEventIsNotNotified: events of old orders may be published again.
func TestOldEventIsNotNotified(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.completes()
	p.env.SetStartTime(p.env.Now().Add(time.Hour))
	p.execute(notification.Workflow, orderMessage)
	require.Empty(t, p.types("notice-completed-42"))
	require.Empty(t, p.mailer.sent)
}

// TestKillsAroundSending kills the process at each of the three points, and breaks the log at each.
func TestKillsAroundSending(t *testing.T) {
	for name, test := range map[string]struct {
		outcomes []string
		broken   map[string]int
		want     []string
		sent     int
	}{
		"the log is away before the intent":     {broken: map[string]int{event.NoticeIntended: 3}, want: sentOnce, sent: 1},
		"a kill after the intent":               {outcomes: []string{killBefore}, want: lostOnce},
		"a kill after the send":                 {outcomes: []string{killAfter}, want: lostOnce, sent: 1},
		"the log is unavailable after the send": {broken: map[string]int{event.NoticeSent: 9}, want: sentOnce, sent: 1},
		"unknown outcome":                       {outcomes: []string{"unknown"}, want: lostOnce, sent: 1},
		"refused":                               {outcomes: []string{"refused"}, want: []string{event.NoticeRequested, event.NoticeIntended, event.NoticeRefused}},
		"twice not accepted": {outcomes: []string{"not_accepted", "not_accepted"}, sent: 1, want: []string{
			event.NoticeRequested, event.NoticeIntended, event.NoticeNotAccepted, event.NoticeIntended, event.NoticeNotAccepted,
			event.NoticeIntended, event.NoticeSent,
		}},
		"not accepted, and then a kill": {outcomes: []string{"not_accepted", killBefore}, want: []string{
			event.NoticeRequested, event.NoticeIntended, event.NoticeNotAccepted, event.NoticeIntended, event.NoticeUnknown,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeople(t)
			p.mailer.outcomes, p.broken = test.outcomes, test.broken
			p.registers("e1", "ada@example.com", p.env.Now())
			p.completes()
			p.execute(notification.Workflow, orderMessage)
			require.Equal(t, test.want, p.types("notice-completed-42"))
			require.Len(t, p.mailer.sent, test.sent)
		})
	}
}

// TestRunWithRecordedIntentDoesNotSend: the previous run was interrupted, and its progress is unknown.
func TestRunWithRecordedIntentDoesNotSend(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.completes()
	at, s := p.env.Now(), notification.State{Subject: notification.Subject{Kind: notification.Completed, OrderID: "42", CustomerID: "c-7"}}
	for _, e := range []func() event.Entry{
		func() event.Entry { return s.Request("corr", "cause", at.Add(time.Hour), at) },
		func() event.Entry {
			return notification.Flow.Entry(&s, notification.SlotIntent+"1", event.NoticeIntended, at, notification.Intent{Attempt: 1, Token: "another run"})
		},
	} {
		_, tail, err := p.log.Append(context.Background(), "notice-completed-42", s.Head, []event.Entry{e()})
		require.NoError(t, err)
		s, err = s.Fold(tail)
		require.NoError(t, err)
	}
	p.execute(notification.Workflow, orderMessage)
	require.Equal(t, lostOnce, p.types("notice-completed-42"))
	require.Empty(t, p.mailer.sent)
}

// TestLongMailOutageGivesUp at the deadline.
func TestLongMailOutageGivesUp(t *testing.T) {
	p := newPeople(t)
	p.mailer.outcomes = slices.Repeat([]string{"not_accepted"}, 100)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.execute(notification.Workflow, saga.Input{ID: "welcome-c-7"})
	types := p.types("notice-welcome-c-7")
	require.Equal(t, event.NoticeGivenUp, types[len(types)-1])
	require.Empty(t, p.mailer.sent)
	var result saga.Result
	require.NoError(t, p.env.GetWorkflowResult(&result))
	require.Equal(t, saga.Result{ID: "welcome-c-7", Version: int64(len(types))}, result)
}

// TestOverdueMessageIsNotSent: the time of the attempt counts, not the time at which the
// saga scheduled it.
func TestOverdueMessageIsNotSent(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.completes()
	var sending, asked atomic.Bool
	p.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityType.Name == notification.NameSend {
			sending.Store(true)
		}
	})
	n := p.notices()
	n.Clock = func() time.Time {
		// The process is suspended between the start of the attempt and the check.
		if sending.Load() && asked.Swap(true) {
			return p.env.Now().Add(2 * n.Participants.Window)
		}
		return p.env.Now()
	}
	workers.RegisterWorkflows(p.env)
	workers.RegisterActivities(p.env, p.customers(), n)
	p.env.ExecuteWorkflow(notification.Workflow, orderMessage)
	require.NoError(t, p.env.GetWorkflowError())
	require.Equal(t, []string{event.NoticeRequested, event.NoticeGivenUp}, p.types("notice-completed-42"))
	require.Empty(t, p.mailer.sent)
}

// TestShortLogOutageLosesNoMessage: the same attempt retries the append of the intent before it sends anything.
func TestShortLogOutageLosesNoMessage(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	p.completes()
	p.loses = event.NoticeIntended
	p.execute(notification.Workflow, orderMessage)
	require.Equal(t, sentOnce, p.types("notice-completed-42"))
	require.Len(t, p.mailer.sent, 1)
}

// TestErasedCustomerIsNotNotified.
func TestErasedCustomerIsNotNotified(t *testing.T) {
	p := newPeople(t)
	p.registers("e1", "ada@example.com", p.env.Now())
	require.NoError(t, p.keys.Erase(context.Background(), "c-7"))
	p.execute(notification.Workflow, saga.Input{ID: "welcome-c-7"})
	require.Equal(t, []string{event.NoticeRequested, event.NoticeGivenUp}, p.types("notice-welcome-c-7"))
	require.Empty(t, p.mailer.sent)
}
