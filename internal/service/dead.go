package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// keeperPrefetch is how many dead letters the keeper holds, keeperHandlers how many it keeps at once: more than one, so that a
	// letter that cannot be kept does not hold up the others.
	keeperPrefetch = 8
	keeperHandlers = 4
	// keeperTimeout bounds keeping one letter, the retry of what the broker gave up on included.
	keeperTimeout = time.Minute
	// inboxPatience bounds how long a replay waits for the broker before it begins.
	inboxPatience = 10 * time.Second
)

// startKeeper begins to empty the queue of the dead letters. It does not wait: a service works without it.
func (s *Service) startKeeper(handle func(ctx context.Context, queue string, m wire.Message) error) (err error) {
	kept := promauto.With(s.registry).NewCounterVec(prometheus.CounterOpts{
		Name: "ordersaga_dead_letters_total", Help: "Dead letters that were kept, by reason.",
	}, []string{"reason"})
	keeper := &deadletter.Keeper{
		Service: s.DeadLetters(), Handle: handle,
		Count: func(reason fault.Code) { kept.WithLabelValues(deadletter.Label(reason)).Inc() },
	}
	s.letters, err = consume(rabbitmq.ConsumerConfig{
		Config: s.broker(), Dead: true, Prefetch: keeperPrefetch, Handlers: keeperHandlers, HandlerTimeout: keeperTimeout,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error { return keeper.Keep(ctx, letterOf(d.Message)) },
	})
	return err
}

// letterOf is a message of the dead letter queue with what its headers say.
func letterOf(m wire.Message) deadletter.Letter {
	d := rabbitmq.DeadLetterOf(m)
	p := deadletter.Letter{
		Message: rabbitmq.Original(m), Reason: d.Reason, Detail: d.Detail, Queue: d.Queue, Attempts: d.Attempts, Parked: d.Parked,
		FirstSeen: null.At(d.FirstSeen), FailedAt: null.At(d.FailedAt), ReplayOf: null.Text(d.ReplayOf), Replays: d.Replays, HeadersDropped: d.HeadersDropped,
	}
	deaths, byBroker := m.Headers["x-death"]
	if byBroker {
		// The broker's record has the time of the death and its count.
		raw, _ := json.Marshal(deaths)
		p.Mark = deadletter.HashOf(raw)
	}
	if death, ok := m.Headers[rabbitmq.HeaderDeath].(string); ok {
		p.Mark += deadletter.HashOf([]byte(death))
	}
	// The broker's record has seconds, and nothing else that tells apart two messages of the same bytes. One that was never
	// delivered before is another one than a letter that is kept already.
	p.First = byBroker && !deliveredBefore(m)
	return p
}

// deliveredBefore reports whether a message may have been delivered before; brokers say so in different ways.
func deliveredBefore(m wire.Message) bool {
	for _, name := range []string{"x-delivery-count", "x-acquired-count"} {
		if count, there := m.Headers[name]; there && fmt.Sprint(count) != "0" {
			return true
		}
	}
	return m.Redelivered
}

// inbox sends replayed letters back to their queues.
type inbox struct{ *Service }

func (i inbox) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, inboxPatience)
	defer cancel()
	return i.publisher.WaitReady(ctx)
}

func (i inbox) Replay(ctx context.Context, m wire.Message, queue, letterID string, replays int) error {
	// Anybody may have written the queue into a letter: messages are sent only to queues that are consumed.
	switch {
	case queue != i.notificationQueue():
		queue = i.broker().Topology.Inbox()
	case !i.notifies():
		return fault.New(fault.ResolutionRefused, "customers are not notified: NOTIFICATIONS is %s", config.NotificationsOff)
	}
	err := i.publisher.Send(ctx, queue, rabbitmq.Replay(m, letterID, replays))
	if errors.Is(err, fault.NotFound) {
		return fault.New(fault.ResolutionRefused, "there is no queue %s any more", queue)
	}
	return err
}

// DeadLetters lists, shows, replays and discards dead letters.
func (s *Service) DeadLetters() *deadletter.Service {
	previewer := &inbound.Previewer{Log: s.stores.log, Receipts: s.stores.ledger, Timing: s.cfg.Timing, Clock: time.Now}
	return deadletter.NewService(deadletter.Config{
		Store: s.stores.letters, Log: s.stores.log, Inbox: inbox{s}, Clock: time.Now, NewID: uuid.NewString, Logger: s.logger,
		MaxReplays: s.cfg.DeadLetterMaxReplays,
		Preview: func(ctx context.Context, queue string, m wire.Message) (deadletter.Preview, error) {
			preview := previewer.Preview
			if queue == s.notificationQueue() {
				preview = previewer.Notification
			}
			return preview(ctx, m)
		},
	})
}
