package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordersaga/ordersaga/internal/broker"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workers"
)

// How many dead letters the keeper holds and keeps at once. More than one, so that a letter that cannot be kept does not
// hold up the others.
const (
	keeperPrefetch = 8
	keeperHandlers = 4
)

// keeperTimeout bounds keeping one letter, the retry of what the broker gave up on included.
const keeperTimeout = time.Minute

// inboxPatience bounds how long a replay waits for the broker before it begins.
const inboxPatience = 5 * time.Second

// startKeeper begins to empty the queue of the dead letters. It does not wait: a service works without it.
func (s *service) startKeeper(handle func(ctx context.Context, queue string, m wire.Message) error) (err error) {
	kept := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ordersaga_dead_letters_total", Help: "Dead letters that were kept, by reason.",
	}, []string{"reason"})
	if err := s.registry.Register(kept); err != nil {
		return err
	}
	keeper := deadletter.NewKeeper(deadletter.KeeperConfig{
		Service: s.deadLetters(), Handle: handle,
		Count: func(reason fault.Code) { kept.WithLabelValues(deadletter.Label(reason)).Inc() },
	})
	s.keeper, err = broker.NewConsumer(broker.ConsumerConfig{
		Config: s.broker(), Dead: true, Prefetch: keeperPrefetch, Handlers: keeperHandlers, HandlerTimeout: keeperTimeout,
		Handler: func(ctx context.Context, d broker.Delivery) error { return keeper.Keep(ctx, letterOf(d.Message)) },
	})
	if err == nil {
		s.keeper.Start()
	}
	return err
}

// letterOf is a message of the dead letter queue with what its headers tell.
func letterOf(m wire.Message) deadletter.Letter {
	d := broker.DeadLetterOf(m)
	p := deadletter.Letter{
		Message: broker.Original(m), Reason: d.Reason, Detail: d.Detail, Queue: d.Queue, Attempts: d.Attempts, Parked: d.Parked,
		FirstSeen: null.At(d.FirstSeen), FailedAt: null.At(d.FailedAt), ReplayOf: null.Text(d.ReplayOf), Replays: d.Replays, HeadersDropped: d.HeadersDropped,
	}
	deaths, byBroker := m.Headers["x-death"]
	if byBroker {
		// The broker's record has the time of the death and its count.
		raw, _ := json.Marshal(deaths)
		p.Mark = deadletter.HashOf(raw)
	}
	if death, ok := m.Headers[broker.HeaderDeath].(string); ok {
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

// inbox is the way back for replayed letters.
type inbox struct {
	publisher *broker.Publisher
	cfg       config.Config
}

func (i inbox) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, inboxPatience)
	defer cancel()
	return i.publisher.WaitReady(ctx)
}

func (i inbox) Replay(ctx context.Context, m wire.Message, queue, letterID string, replays int) error {
	// What a letter says of its queue may be anybody's word: only queues that are consumed are sent to.
	topology := broker.Topology{Exchange: i.cfg.EventExchange, Prefix: i.cfg.BrokerPrefix}
	switch {
	case queue != topology.Queue(notificationQueue):
		queue = topology.Inbox()
	case i.cfg.Notifications == config.NotificationsOff:
		return fault.New(fault.ResolutionRefused, "customers are not notified: NOTIFICATIONS is %s", config.NotificationsOff)
	}
	err := i.publisher.Send(ctx, queue, broker.Replay(m, letterID, replays))
	if errors.Is(err, fault.NotFound) {
		return fault.New(fault.ResolutionRefused, "there is no queue %s any more", queue)
	}
	return err
}

// deadLetters shows dead letters and carries out what is decided about them.
func (s *service) deadLetters() *deadletter.Service {
	preview := &workers.Previewer{Log: s.stores.log, Receipts: s.stores.ledger, Timing: s.cfg.Timing(), Clock: time.Now}
	return deadletter.NewService(deadletter.Config{
		Store: s.stores.letters, Log: s.stores.log, Inbox: inbox{s.publisher, s.cfg}, Clock: time.Now, NewID: uuid.NewString, Logger: s.logger,
		MaxReplays: s.cfg.DeadLetterMaxReplays,
		Preview: func(ctx context.Context, queue string, m wire.Message) (deadletter.Preview, error) {
			look := preview.Preview
			if queue == (broker.Topology{Prefix: s.cfg.BrokerPrefix}).Queue(notificationQueue) {
				look = preview.Announcement
			}
			f, err := look(ctx, m)
			return deadletter.Preview(f), err
		},
	})
}

// openDesk connects a command to what it looks at; with replays it connects to the broker, too.
func openDesk(ctx context.Context, logger *slog.Logger, cfg config.Config, replays bool) (*deadletter.Service, func(), error) {
	s := &service{cfg: cfg, logger: logger}
	var err error
	if s.stores, err = openStores(ctx, cfg, logger); err != nil {
		return nil, nil, err
	}
	end := func() { s.stores.close(context.WithoutCancel(ctx)) }
	if !replays {
		return s.deadLetters(), end, nil
	}
	if s.publisher, err = broker.NewPublisher(broker.PublisherConfig{Config: s.broker()}); err != nil {
		end()
		return nil, nil, err
	}
	s.publisher.Start()
	return s.deadLetters(), func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), publisherGrace)
		defer cancel()
		_ = s.publisher.Stop(last)
		end()
	}, nil
}
