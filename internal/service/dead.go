package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/metrics"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// receiverPrefetch and receiverHandlers bound the unacknowledged and the concurrently stored dead letters: more than one, so that a
	// letter that cannot be stored does not block the others.
	receiverPrefetch = 8
	receiverHandlers = 4
	// receiverTimeout bounds storing one letter, including its automatic retry.
	receiverTimeout = time.Minute
	// expireEvery is the time between two deletions of expired letters, or less if the retention is shorter. expireTimeout bounds one.
	expireEvery   = time.Hour
	expireTimeout = 10 * time.Minute
	// inboxTimeout bounds how long a replay waits for the connection to the broker.
	inboxTimeout = 10 * time.Second
)

// startReceiver starts consuming the dead letter queue. It does not block: the service works without it.
func (s *Service) startReceiver(handle func(ctx context.Context, queue string, m wire.Message) error) (err error) {
	kept := metrics.NewDeadLetters(s.registry)
	receiver := &deadletter.Receiver{
		Service: s.DeadLetters(), Handle: handle,
		Count: func(reason fault.Code) { kept.WithLabelValues(deadletter.Label(reason)).Inc() },
	}
	s.letters, err = consume(rabbitmq.ConsumerConfig{
		Config: s.broker(), Dead: true, Prefetch: receiverPrefetch, Handlers: receiverHandlers, HandlerTimeout: receiverTimeout,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error {
			return receiver.Receive(ctx, rabbitmq.LetterOf(d.Message))
		},
	})
	if err == nil {
		s.startExpiry(receiver.Service)
	}
	return err
}

// startExpiry discards and deletes dead letters whose retention is over, now and then. Every consumer does it: a letter is deleted once.
func (s *Service) startExpiry(letters *deadletter.Service) {
	retention := deadletter.Retention{Decided: s.cfg.DeadLetterRetention, Open: s.cfg.DeadLetterOpenRetention}
	every := expireEvery
	for _, d := range []time.Duration{retention.Decided, retention.Open} {
		if d > 0 {
			every = min(every, d)
		}
	}
	expired := metrics.NewExpiredDeadLetters(s.registry)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s.stopExpiry = func() {
		cancel()
		running.Wait()
	}
	running.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			s.expire(ctx, letters, retention, expired)
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

func (s *Service) expire(ctx context.Context, letters *deadletter.Service, r deadletter.Retention, expired *prometheus.CounterVec) {
	ctx, cancel := context.WithTimeout(ctx, expireTimeout)
	defer cancel()
	discarded, deleted, err := letters.Expire(ctx, r)
	expired.WithLabelValues("discarded").Add(float64(discarded))
	expired.WithLabelValues("deleted").Add(float64(deleted))
	if err != nil && !errors.Is(err, context.Canceled) {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "expired dead letters not deleted; the next attempt follows", slog.Any("error", err))
	}
}

// inbox sends replayed letters back to their queues.
type inbox struct{ *Service }

func (i inbox) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, inboxTimeout)
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
		return fault.New(fault.ResolutionRefused, "queue %s no longer exists", queue)
	}
	return err
}

// DeadLetters lists, shows, replays and discards dead letters.
func (s *Service) DeadLetters() *deadletter.Service {
	previewer := &inbound.Previewer{Routes: s.routes(), Log: s.stores.log, Receipts: s.stores.ledger, Timing: s.cfg.Timing, Clock: time.Now}
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
