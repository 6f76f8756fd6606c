package service

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
)

// indexWait is how long a start waits for indexes that it can do without: on an empty database they are there by then.
const indexWait = 2 * time.Second

// indexBuilder has indexes created. A build over a large collection takes minutes to hours, so it has no deadline: the driver would
// send it to the server, which would give the build up.
type indexBuilder struct {
	logger *slog.Logger
	where  string
	// say is how often it is said what is being waited for, pause lies between tries.
	say, pause time.Duration

	stop func()
	done sync.WaitGroup
}

func newIndexBuilder(logger *slog.Logger, where string) *indexBuilder {
	return &indexBuilder{logger: logger, where: where, say: sayAgain, pause: probePause, stop: func() {}}
}

// prepare makes sure that the unique indexes are there, without which a slot may be written twice, and waits for them as long as
// they take. With background it has the missing others created while the process runs; without them lists are slow.
func (b *indexBuilder) prepare(ctx context.Context, wanted []mongolog.Index, background bool) error {
	missing, err := b.missing(ctx, wanted)
	if err != nil {
		return err
	}
	var others []mongolog.Index
	for _, i := range wanted {
		isMissing := missing == nil || contains(missing, i)
		switch {
		case i.Unique:
			if err := b.require(ctx, i, isMissing && missing != nil); err != nil {
				return err
			}
		case isMissing:
			others = append(others, i)
		}
	}
	if background && len(others) > 0 {
		b.buildOthers(ctx, others)
	}
	return nil
}

// missing returns the indexes that do not exist; nil when the server does not say.
func (b *indexBuilder) missing(ctx context.Context, wanted []mongolog.Index) (missing []mongolog.Index, err error) {
	err = await(ctx, b.logger, "mongodb, for its indexes", b.where, func(ctx context.Context) error {
		missing, err = mongolog.Missing(ctx, wanted)
		if mongolog.Refused(err) {
			b.logger.LogAttrs(ctx, slog.LevelWarn, "the server does not list its indexes: missing ones are not reported", slog.Any("error", err))
			missing, err = nil, nil
			return nil
		}
		if missing == nil {
			missing = []mongolog.Index{}
		}
		return err
	})
	return missing, err
}

func contains(list []mongolog.Index, i mongolog.Index) bool {
	for _, other := range list {
		if other.String() == i.String() {
			return true
		}
	}
	return false
}

// require waits until a unique index is there. It asks for one that is listed, too, because that may still be under construction;
// a server that refuses this is believed.
func (b *indexBuilder) require(ctx context.Context, i mongolog.Index, missing bool) error {
	for {
		err := b.build(ctx, i)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case mongolog.Refused(err) && !missing:
			b.logger.LogAttrs(ctx, slog.LevelDebug, "an index is used as it is", slog.String("index", i.String()), slog.Any("error", err))
			return nil
		}
		b.logger.LogAttrs(ctx, slog.LevelError, "a unique index is missing and could not be created: nothing can be written safely without it",
			slog.String("index", i.String()), slog.String("create_it_with", i.Command()), slog.Any("error", err))
		if err := pauseFor(ctx, max(b.pause, b.say)); err != nil {
			return err
		}
	}
}

// buildOthers creates indexes one after the other in the background, and reports those that are not there in a moment.
func (b *indexBuilder) buildOthers(ctx context.Context, others []mongolog.Index) {
	ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	finished := make(chan struct{})
	b.done.Go(func() {
		defer close(finished)
		for _, i := range others {
			b.buildOther(ctx, i)
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

// buildOther tries until the index is there, or the server refuses it.
func (b *indexBuilder) buildOther(ctx context.Context, i mongolog.Index) {
	for {
		err := b.build(ctx, i)
		if err == nil || ctx.Err() != nil {
			return
		}
		b.logger.LogAttrs(ctx, slog.LevelWarn, "an index is missing and could not be created: lists are slow without it",
			slog.String("index", i.String()), slog.String("create_it_with", i.Command()), slog.Any("error", err))
		if mongolog.Refused(err) || pauseFor(ctx, max(b.pause, b.say)) != nil {
			return
		}
	}
}

// build creates an index, and says so again and again while it takes long.
func (b *indexBuilder) build(ctx context.Context, i mongolog.Index) error {
	started := time.Now()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	var saying sync.WaitGroup
	saying.Go(func() {
		for pauseFor(within, b.say) == nil {
			b.logger.LogAttrs(within, slog.LevelWarn, "building an index", slog.String("index", i.String()),
				slog.Int64("after_ms", time.Since(started).Milliseconds()))
		}
	})
	err := i.Build(ctx)
	cancel()
	saying.Wait()
	return err
}

// close ends the builds; the server goes on with one that it has begun.
func (b *indexBuilder) close() {
	b.stop()
	b.done.Wait()
}

// pauseFor waits, unless the context ends.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
