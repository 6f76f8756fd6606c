package mongo

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// indexWait is how long a start waits for indexes that it can do without: on an empty database they exist by then.
	indexWait = 2 * time.Second
	// indexPause is how often it is logged what is waited for, and the pause between tries.
	indexPause = 5 * time.Second
)

// IndexBuilder has indexes created. A build over a large collection takes minutes to hours, so it has no deadline: the driver would
// send it to the server, which would give the build up.
type IndexBuilder struct {
	logger *slog.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// NewIndexBuilder returns a builder, which has to be closed.
func NewIndexBuilder(logger *slog.Logger) *IndexBuilder {
	return &IndexBuilder{logger, func() {}, sync.WaitGroup{}}
}

// Prepare makes sure that the unique indexes exist, without which a slot may be written twice, and waits for them as long as
// they take. With background it has the others created while the process runs; without them lists are slow. The error is
// the context's.
func (b *IndexBuilder) Prepare(ctx context.Context, background bool, wanted ...[]Index) error {
	var others []Index
	for _, i := range slices.Concat(wanted...) {
		if !i.unique {
			others = append(others, i)
		} else if err := b.create(ctx, i); err != nil {
			return err
		}
	}
	if background && len(others) > 0 {
		b.createOthers(ctx, others)
	}
	return nil
}

// createOthers creates indexes one after the other in the background, and reports those that do not exist in a moment.
func (b *IndexBuilder) createOthers(ctx context.Context, others []Index) {
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	finished := make(chan struct{})
	b.done.Go(func() {
		defer close(finished)
		for _, i := range others {
			if b.create(ctx, i) != nil {
				return
			}
		}
	})
	timer := time.NewTimer(indexWait)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
		names := make([]string, len(others))
		for n, i := range others {
			names[n] = i.String()
		}
		b.logger.LogAttrs(ctx, slog.LevelWarn, "indexes are missing: lists are slow until they are built", slog.Any("indexes", names))
	}
}

// create tries until the index exists; one that does may still be under construction. A server that refuses to create it, and has
// it or does not list its indexes, is believed; a refusal also ends it for one that can be done without. The error is the context's.
func (b *IndexBuilder) create(ctx context.Context, i Index) error {
	for {
		err := b.build(ctx, i)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		attrs := []slog.Attr{slog.String("index", i.String()), slog.String("create_it_with", i.command()), slog.Any("error", err)}
		if refused(err) {
			exists, unlisted := i.exists(ctx)
			if exists || refused(unlisted) {
				b.logger.LogAttrs(ctx, slog.LevelDebug, "an index is used as it is", attrs...)
				return nil
			}
		}
		if i.unique {
			b.logger.LogAttrs(ctx, slog.LevelError,
				"a unique index is missing and could not be created: nothing can be written safely without it", attrs...)
		} else {
			b.logger.LogAttrs(ctx, slog.LevelWarn, "an index is missing and could not be created: lists are slow without it", attrs...)
			if refused(err) {
				return nil
			}
		}
		if err := sleep(ctx, indexPause); err != nil {
			return err
		}
	}
}

// build creates an index, and logs again and again that it does while it takes long.
func (b *IndexBuilder) build(ctx context.Context, i Index) error {
	began := time.Now()
	within, cancel := context.WithCancel(ctx)
	var logging sync.WaitGroup
	logging.Go(func() {
		for sleep(within, indexPause) == nil {
			b.logger.LogAttrs(within, slog.LevelWarn, "building an index", slog.String("index", i.String()),
				slog.Int64("after_ms", time.Since(began).Milliseconds()))
		}
	})
	defer logging.Wait()
	defer cancel()
	return i.build(ctx)
}

// Close ends the builds; the server goes on with one that it has begun.
func (b *IndexBuilder) Close() {
	b.stop()
	b.done.Wait()
}

// sleep waits, unless the context ends, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
