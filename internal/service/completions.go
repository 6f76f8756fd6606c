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

// completionListener listens on the bus for the ends of orders, for a process that answers clients who wait and runs no sagas
// itself: without it, that process would have to poll the log for each of them. A message only says that a look at the log is
// worth while; while the bus is silent, the log is polled.
type completionListener struct {
	log     *eventlog.Follower
	logger  *slog.Logger
	running background
}

// listenForCompletions begins to listen. It does not wait for the broker: clients are answered without it.
func listenForCompletions(cfg rabbitmq.Config, log *eventlog.Follower, logger *slog.Logger) (*completionListener, error) {
	c := &completionListener{log: log, logger: logger}
	cfg.Name = "ordersaga api"
	tap, err := rabbitmq.NewListener(rabbitmq.ListenerConfig{
		Config:    cfg,
		Keys:      []string{event.OrderCompleted, event.OrderRejected, event.OrderCancelled, event.OrderFailed},
		Message:   c.message,
		Connected: func(uint64) { log.Told(true) },
		Lost:      c.lost,
	})
	if err != nil {
		return nil, err
	}
	c.running.start(context.Background(), func(ctx context.Context) {
		if err := tap.Run(ctx); err != nil {
			logger.LogAttrs(ctx, slog.LevelError, "not listening for completed orders", slog.Any("error", err))
		}
		log.Told(false)
	})
	return c, nil
}

func (c *completionListener) stop() { c.running.stop() }

func (c *completionListener) lost(err error, retryIn time.Duration) {
	c.log.Told(false)
	c.logger.LogAttrs(context.Background(), slog.LevelInfo, "not listening for completed orders", slog.Any("error", err),
		slog.Int64("retry_in_ms", retryIn.Milliseconds()))
}

// message wakes what waits for the order.
func (c *completionListener) message(m wire.Message) {
	if e, err := wire.Decode(m); err == nil {
		c.log.Nudge(event.OrderStream(e.Subject))
	}
}
