package service

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/metrics"
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
	kept := metrics.NewDeadLetters(s.registry)
	keeper := &deadletter.Keeper{
		Service: s.DeadLetters(), Handle: handle,
		Count: func(reason fault.Code) { kept.WithLabelValues(deadletter.Label(reason)).Inc() },
	}
	s.letters, err = consume(rabbitmq.ConsumerConfig{
		Config: s.broker(), Dead: true, Prefetch: keeperPrefetch, Handlers: keeperHandlers, HandlerTimeout: keeperTimeout,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error {
			return keeper.Keep(ctx, rabbitmq.LetterOf(d.Message))
		},
	})
	return err
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
