package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// listenForCompletions listens on the bus for the ends of orders, for a process that answers clients that wait and runs no sagas
// itself: without it, that process would have to poll the log for each of them. A message only says that a look at the log is
// worth while; while the bus is silent, the log is polled. It does not wait for the broker: clients are answered without it.
func listenForCompletions(cfg rabbitmq.Config, log *eventlog.Follower, logger *slog.Logger) (stop func(), err error) {
	cfg.Name = "ordersaga api"
	tap, err := rabbitmq.NewListener(rabbitmq.ListenerConfig{
		Config: cfg,
		Keys:   []string{event.OrderCompleted, event.OrderRejected, event.OrderCancelled, event.OrderFailed},
		Message: func(m wire.Message) {
			if e, err := wire.Decode(m); err == nil {
				log.Notify(event.OrderStream(e.Subject))
			}
		},
		Connected: func(uint64) { log.SetNotified(true) },
		Lost: func(err error, retryIn time.Duration) {
			log.SetNotified(false)
			logger.LogAttrs(context.Background(), slog.LevelInfo, "not listening for completed orders", slog.Any("error", err),
				slog.Int64("retry_in_ms", retryIn.Milliseconds()))
		},
	})
	if err != nil {
		return nil, err
	}
	var running background
	running.start(context.Background(), func(ctx context.Context) {
		if err := tap.Run(ctx); err != nil {
			logger.LogAttrs(ctx, slog.LevelError, "not listening for completed orders", slog.Any("error", err))
		}
		log.SetNotified(false)
	})
	return running.stop, nil
}
