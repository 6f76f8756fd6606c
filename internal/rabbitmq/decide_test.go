package rabbitmq

import (
	"errors"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func production() ConsumerConfig { return ConsumerConfig{}.withDefaults() }

// Every code has the outcome that the table gives it.
func TestEveryCodeHasItsDisposition(t *testing.T) {
	for _, code := range fault.Codes() {
		v := production().decide(Delivery{FirstSeen: start}, fault.New(code, "no"), start)
		want := map[fault.Disposition]outcome{fault.Acknowledge: acknowledged, fault.DeadLetter: deadLettered, fault.Redeliver: redelivered, fault.Park: parked}
		require.Equal(t, want[fault.Lookup(code).Disposition], v.outcome, code)
	}
	require.Equal(t, acknowledged, production().decide(Delivery{}, nil, start).outcome)
	require.Equal(t, redelivered, production().decide(Delivery{}, errors.New("no code"), start).outcome)
}

func TestRedeliveryWaitsLongerAndEnds(t *testing.T) {
	var delays []time.Duration
	d := Delivery{FirstSeen: start}
	for {
		v := production().decide(d, fault.New(fault.Unavailable, "down"), start)
		d.Attempts = v.attempts
		if v.outcome == deadLettered {
			break
		}
		delays = append(delays, v.delay)
	}
	require.Equal(t, 12, d.Attempts)
	require.Equal(t, []time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute, 5 * time.Minute}, delays[:4])
	require.Len(t, delays, 11)
}

func TestParkingRetriesOnceNearTheLimit(t *testing.T) {
	now, d := start, Delivery{FirstSeen: start}
	for {
		v := production().decide(d, fault.New(fault.OrderUnknown, "which order?"), now)
		require.Zero(t, v.attempts, "waiting for an order is no failure")
		d.Parked = v.parked
		if v.outcome == deadLettered {
			break
		}
		now = now.Add(v.delay)
	}
	require.WithinRange(t, now, start.Add(5*time.Minute), start.Add(5*time.Minute+5*time.Second))
}

func TestBackoff(t *testing.T) {
	require.Equal(t, 100*time.Millisecond, backoff(100*time.Millisecond, 10*time.Second, 0, 0))
	require.Equal(t, 400*time.Millisecond, backoff(100*time.Millisecond, 10*time.Second, 2, 0))
	require.Equal(t, 5*time.Second, backoff(100*time.Millisecond, 10*time.Second, 1_000_000, 1))
}

func TestCredentialsAreRemoved(t *testing.T) {
	const url = "amqp://shop:hunter2@broker:5672/orders"
	require.Equal(t, "dial the broker: *** is wrong", withoutCredentials("dial "+url+": hunter2 is wrong", url))
	require.Equal(t, "as it is", withoutCredentials("as it is", "amqp://broker"))
}

func TestTopologyNames(t *testing.T) {
	require.Equal(t, []string{"ordersaga.inbox", "ordersaga.dead", "ordersaga.inbox.wait.5s", "ordersaga.inbox.wait.30s",
		"ordersaga.inbox.wait.5m"}, Topology{}.Queues())
	require.Equal(t, "ordersaga.inbox.wait.1h", Topology{}.Wait(time.Hour))
	require.Equal(t, "ordersaga.inbox.wait.1h30m", Topology{}.Wait(90*time.Minute))
	require.Equal(t, "ordersaga.inbox.wait.50ms", Topology{}.Wait(50*time.Millisecond))
	require.Equal(t, []string{"p.inbox", "p.dead", "p.news", "p.inbox.wait.1s", "p.news.wait.1s"}, Topology{Prefix: "p",
		WaitDelays: []time.Duration{time.Second}, Subscriptions: []Subscription{{Name: "news", Keys: []string{"a"}}}}.Queues())
	require.Contains(t, Topology{}.Keys(), "OrderCreated")
	require.NotContains(t, Topology{}.Keys(), "order.accepted", "what goes out never comes in")
}

func TestConfigurationReportsAllProblems(t *testing.T) {
	err := ConsumerConfig{
		Config:   Config{URL: "http://user:secret@host", Topology: Topology{WaitDelays: []time.Duration{2, 1}}},
		Prefetch: 4, Handlers: 5,
	}.withDefaults().validate()
	require.ErrorIs(t, err, fault.Invalid)
	for _, at := range []string{"/url", "/topology/waitDelays/0", "/handler", "/publisher", "/prefetch"} {
		require.Contains(t, err.Error(), at)
	}
	require.NotContains(t, err.Error(), "secret")
	require.ErrorIs(t, PublisherConfig{Config: Config{URL: "amqp://h"}, PublishTimeout: -1}.withDefaults().validate(), fault.Invalid)
	require.Empty(t, Config{URL: "amqp://localhost"}.withDefaults().problems())
}

func TestMessagesSurviveClientRoundTrip(t *testing.T) {
	m := wire.Message{ContentType: "a", ContentEncoding: "utf-8", MessageID: "m", CorrelationID: "c", Type: "t", AppID: "x",
		Timestamp: start, RoutingKey: "k", Body: []byte("{}"),
		Headers: map[string]any{"s": "x", "n": int64(1), "l": []any{"a", map[string]any{"b": true}}, "t": map[string]any{"u": nil}}}
	p, err := ToPublishing(m)
	require.NoError(t, err)
	require.Equal(t, amqp.Persistent, p.DeliveryMode)
	back := FromDelivery(&amqp.Delivery{ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, MessageId: p.MessageId,
		CorrelationId: p.CorrelationId, Type: p.Type, AppId: p.AppId, Timestamp: p.Timestamp, Headers: p.Headers, RoutingKey: "k", Body: p.Body})
	require.Equal(t, m, back)
}

// Each of these would end the connection half way through a frame.
func TestUnsendableMessagesAreRefused(t *testing.T) {
	long := strings.Repeat("x", 256)
	for name, m := range map[string]wire.Message{
		"message id":  {MessageID: long},
		"routing key": {RoutingKey: long},
		"header name": {Headers: map[string]any{long: 1}},
		"header type": {Headers: map[string]any{"x": struct{}{}}},
		"headers":     {Headers: map[string]any{"x": strings.Repeat("x", maxHeaders)}},
	} {
		_, err := ToPublishing(m)
		require.ErrorIs(t, err, fault.Invalid, name)
	}
}

func TestFailedCopyKeepsSenderProperties(t *testing.T) {
	d := Delivery{FirstSeen: start, Message: wire.Message{Exchange: "domain_events", RoutingKey: "order.created", Body: []byte("{}"),
		Headers: map[string]any{"traceparent": "00", "CC": []any{"elsewhere"}, "x-death": []any{}, "x-ordersaga-attempts": int64(3)}}}
	require.Equal(t, map[string]any{"traceparent": "00", HeaderAttempts: int64(4), HeaderParked: int64(1),
		HeaderFirstSeen: "2026-01-31T12:00:00.000Z", HeaderOriginExchange: "domain_events", HeaderOriginRoutingKey: "order.created", HeaderQueue: "q",
	}, failedCopy(d, "q", 4, 1).Headers)
	d.Message.Headers = map[string]any{"large": strings.Repeat("x", maxHeaders)}
	_, err := ToPublishing(failedCopy(d, "q", 1, 0))
	require.NoError(t, err, "a copy can always be sent")
}

func TestForgedCountersAreIgnored(t *testing.T) {
	for _, value := range []any{"7", int64(-1), 3.5, nil, []any{}} {
		require.Zero(t, headerCount(wire.Message{Headers: map[string]any{"n": value}}, "n"), "%v", value)
	}
	require.Zero(t, headerTime(wire.Message{Headers: map[string]any{"t": "soon"}}, "t"))
}

func TestDeadLetterHeadersAreRead(t *testing.T) {
	at := start.Add(time.Minute)
	byTheBroker := wire.Message{Exchange: "ordersaga.dlx", RoutingKey: "order.created", Headers: map[string]any{"x-death": []any{
		map[string]any{"reason": "delivery_limit", "queue": "ordersaga.inbox", "exchange": "domain_events",
			"routing-keys": []any{"order.created"}, "time": at}}}}
	l := LetterOf(byTheBroker)
	require.NotEmpty(t, l.Death)
	l.Death = ""
	require.Equal(t, deadletter.Letter{Reason: deadletter.ReasonDeliveryLimit, Queue: "ordersaga.inbox", FailedAt: null.At(at), FirstDelivery: true,
		Message: wire.Message{Exchange: "domain_events", RoutingKey: "order.created", Headers: map[string]any{}}}, l)

	d := Delivery{FirstSeen: start, Message: wire.Message{Exchange: "domain_events", RoutingKey: "OrderCreated", MessageID: "m",
		Headers: map[string]any{"traceparent": "00"}}}
	byUs := withHeaders(failedCopy(d, "q", 2, 1), map[string]any{HeaderQueue: "ordersaga.notifications", HeaderReason: "invalid", HeaderDetail: "no", HeaderFailedAt: timeText(at)})
	byUs.Exchange, byUs.RoutingKey = "", "ordersaga.dead"
	l = LetterOf(byUs)
	require.Equal(t, deadletter.Letter{Reason: fault.Invalid, Detail: "no", Queue: "ordersaga.notifications", Attempts: 2, Parked: 1,
		FirstSeen: null.At(start), FailedAt: null.At(at), Message: d.Message}, l, "as its sender sent it")
	require.Equal(t, wire.Message{Exchange: "domain_events", RoutingKey: "OrderCreated", MessageID: "m", Headers: map[string]any{
		"traceparent": "00", HeaderOriginExchange: "domain_events", HeaderOriginRoutingKey: "OrderCreated",
		HeaderReplayOf: "letter-1", HeaderReplays: int64(1)}}, Replay(l.Message, "letter-1", 1))
}

// A replayed message says which letter it comes from and how often it was replayed, also when it waits and dies again;
// the next replay says so of the new letter.
func TestReplayHeadersAreKept(t *testing.T) {
	m := Replay(wire.Message{Exchange: "domain_events", RoutingKey: "OrderCreated", Headers: map[string]any{"traceparent": "00"}}, "letter-1", 2)
	for range 2 {
		m = failedCopy(Delivery{Message: m, FirstSeen: start}, "q", 1, 0)
	}
	d := LetterOf(m)
	require.Equal(t, []any{null.Text("letter-1"), 2, false}, []any{d.ReplayOf, d.Replays, d.HeadersDropped})
	require.Equal(t, map[string]any{"traceparent": "00"}, d.Message.Headers)
	again := LetterOf(Replay(d.Message, "letter-2", 3))
	require.Equal(t, []any{null.Text("letter-2"), 3}, []any{again.ReplayOf, again.Replays})
	large := Replay(wire.Message{Headers: map[string]any{"x": strings.Repeat("x", maxHeaders)}}, "letter-1", 2)
	d = LetterOf(failedCopy(Delivery{Message: large, FirstSeen: start}, "q", 1, 0))
	require.Equal(t, []any{null.Text("letter-1"), 2, true}, []any{d.ReplayOf, d.Replays, d.HeadersDropped})
}

func TestDetailIsSafeAndBounded(t *testing.T) {
	err := fault.Wrap(errors.New("mongodb://user:password@host"), fault.Unavailable, "read")
	require.Equal(t, "A dependency does not respond", detailOf(err))
	require.Equal(t, "order is invalid; /lines/0: must be there",
		detailOf(fault.NewInvalid("order", []fault.Field{fault.Fieldf("/lines/0", "must be there")})))
	require.LessOrEqual(t, len(detailOf(fault.New(fault.Invalid, "%s", strings.Repeat("ü", maxDetail)))), maxDetail)
}

// Our headers, set by another client, never make it impossible to move a message.
func TestForgedHeadersAreDropped(t *testing.T) {
	d := Delivery{FirstSeen: start, Message: wire.Message{Headers: map[string]any{HeaderReplayOf: strings.Repeat("x", 100<<10), HeaderReplays: "many"}}}
	m := failedCopy(d, "q", 1, 0)
	_, err := ToPublishing(m)
	require.NoError(t, err)
	require.NotContains(t, m.Headers, HeaderReplayOf)

	d.Message.Headers = map[string]any{"large": strings.Repeat("x", maxHeaders)}
	for attempt := range 3 {
		d.Message = failedCopy(d, "q", attempt, 0)
		require.True(t, LetterOf(d.Message).HeadersDropped, "it is said again at attempt %d", attempt)
	}
}

// The broker has given up on a message that was put back by hand: its reason counts.
func TestBrokerDeathRecordOverridesHeaders(t *testing.T) {
	d := LetterOf(wire.Message{Headers: map[string]any{HeaderReason: "invalid", "x-death": []any{
		map[string]any{"reason": "delivery_limit", "queue": "ordersaga.inbox"}}}})
	require.Equal(t, deadletter.ReasonDeliveryLimit, d.Reason)
	require.Equal(t, "ordersaga.inbox", d.Queue)
}
