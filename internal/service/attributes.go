package service

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/ordersaga/ordersaga/workers"
)

// attributesPatience is how long a start waits for Temporal to have the search attributes. A server that has just started answers
// about namespaces a moment earlier than about them.
const attributesPatience = 30 * time.Second

// attributeRegistration makes sure that Temporal has the search attributes of the sagas.
type attributeRegistration struct {
	temporal  client.Client
	namespace string
	where     string
	logger    *slog.Logger
	// patience is attributesPatience, tests take less.
	patience time.Duration

	stop func()
	done sync.WaitGroup
}

// run registers them, and returns without them when the server refuses, or does not answer in time: the others may have them
// registered, and an API without them still shows every order. What has failed for another reason is tried again in the
// background. The error is the context's.
func (r *attributeRegistration) run(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	err := await(within, r.logger, "temporal, for its search attributes", r.where, r.register)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	r.logger.LogAttrs(ctx, slog.LevelError, "starting without knowing whether Temporal has the search attributes: sagas cannot start before it has",
		slog.String("namespace", r.namespace), slog.Int64("waited_ms", r.patience.Milliseconds()))
	var beside context.Context
	beside, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.done.Go(func() {
		_ = await(beside, r.logger, "temporal, for its search attributes", r.where, r.register)
	})
	return nil
}

// register takes a refusal for an answer, and reports it.
func (r *attributeRegistration) register(ctx context.Context) error {
	err := workers.RegisterSearchAttributes(ctx, r.temporal, r.namespace)
	if errors.Is(err, workers.ErrAttributesRefused) {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "it is not known whether Temporal has the search attributes: sagas cannot start without them", slog.Any("error", err))
		return nil
	}
	return err
}

// close ends what is tried in the background.
func (r *attributeRegistration) close() {
	if r.stop != nil {
		r.stop()
	}
	r.done.Wait()
}
