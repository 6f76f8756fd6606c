package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/workers"
)

// attributesTimeout is how long a start waits for Temporal to have the search attributes. A server that has just started answers
// about namespaces a moment earlier than about them.
const attributesTimeout = 30 * time.Second

// registerAttributes makes sure that Temporal has the search attributes of the sagas. It returns without them when the server
// refuses, or does not answer within patience: another process may have registered them, and an API without them still shows every
// order. What failed for another reason is retried in the background. The error is the context's.
func (s *Service) registerAttributes(ctx context.Context, patience time.Duration) error {
	register := func(ctx context.Context) error {
		err := workers.RegisterSearchAttributes(ctx, s.temporal, s.cfg.TemporalNamespace)
		if errors.Is(err, workers.ErrAttributesRefused) {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "cannot check whether Temporal has the search attributes: sagas cannot start without them", slog.Any("error", err))
			return nil
		}
		return err
	}
	untilRegistered := func(ctx context.Context) error {
		return await(ctx, s.logger, dependency{"temporal, for its search attributes", s.cfg.TemporalAddress, "TEMPORAL_ADDRESS"}, register)
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := untilRegistered(within); err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "starting without a check of Temporal's search attributes: sagas cannot start until they exist",
		slog.String("namespace", s.cfg.TemporalNamespace), slog.Int64("waited_ms", patience.Milliseconds()))
	s.retries.start(ctx, func(ctx context.Context) { _ = untilRegistered(ctx) })
	return nil
}
