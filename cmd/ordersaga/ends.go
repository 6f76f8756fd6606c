package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// ends hears on the bus that orders have ended, for a process that answers clients who wait and runs no sagas itself: it
// would have to look at the log again and again for each of them. What is heard only says that a look is worth while; while
// the bus is silent, the log is looked at as before.
type ends struct {
	tap    *rabbitmq.Listener
	log    *eventlog.Follower
	logger *slog.Logger
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// hearEnds begins to listen. It does not wait for the broker: nobody depends on it.
func hearEnds(cfg rabbitmq.Config, log *eventlog.Follower, logger *slog.Logger) (*ends, error) {
	e := &ends{log: log, logger: logger}
	cfg.Name = "ordersaga api"
	var err error
	e.tap, err = rabbitmq.NewListener(rabbitmq.ListenerConfig{
		Config:    cfg,
		Keys:      []string{event.OrderCompleted, event.OrderRejected, event.OrderCancelled, event.OrderFailed},
		Message:   e.heard,
		Connected: func(uint64) { log.Told(true) },
		Lost:      e.lost,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.done.Go(func() {
		if err := e.tap.Run(ctx); err != nil {
			logger.LogAttrs(ctx, slog.LevelError, "the ends of orders are not heard on the bus", slog.Any("error", err))
		}
		log.Told(false)
	})
	return e, nil
}

// stop returns when nothing of it runs any more.
func (e *ends) stop() {
	e.cancel()
	e.done.Wait()
}

func (e *ends) lost(err error, retryIn time.Duration) {
	e.log.Told(false)
	e.logger.LogAttrs(context.Background(), slog.LevelInfo, "the ends of orders are not heard on the bus", slog.Any("error", err),
		slog.Int64("retry_in_ms", retryIn.Milliseconds()))
}

// heard nudges who waits for the order.
func (e *ends) heard(m wire.Message) {
	if ended, err := wire.Decode(m); err == nil {
		e.log.Nudge(event.OrderStream(ended.Subject))
	}
}
