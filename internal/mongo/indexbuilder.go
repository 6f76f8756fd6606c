package mongo

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// indexPause is how often it is logged what is waited for, and the pause between tries.
const indexPause = 5 * time.Second

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
	if background {
		ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
		b.done.Go(func() {
			for _, i := range others {
				_ = b.create(ctx, i) // it fails when the context has ended, and so do the others
			}
		})
	}
	return nil
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
