package service

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
)

// indexWait is how long a start waits for indexes that it can do without: on an empty database they are there by then.
const indexWait = 2 * time.Second

// indexBuilder creates indexes. A build over a large collection takes minutes to hours, so it has no deadline: the driver would
// send it to the server, which would give the build up.
type indexBuilder struct {
	logger  *slog.Logger
	address string
	builds  background
}

func newIndexBuilder(logger *slog.Logger, address string) *indexBuilder {
	return &indexBuilder{logger: logger, address: address}
}

// prepare makes sure that the unique indexes are there, without which a slot may be written twice, and waits for them as long as
// they take. With others it creates the missing other indexes while the process runs; without them lists are slow.
func (b *indexBuilder) prepare(ctx context.Context, wanted []mongolog.Index, others bool) error {
	missing, listed, err := b.missing(ctx, wanted)
	if err != nil {
		return err
	}
	var later []mongolog.Index
	for _, i := range wanted {
		isMissing := slices.ContainsFunc(missing, func(m mongolog.Index) bool { return m.String() == i.String() })
		switch {
		case i.Unique:
			// One that is listed may still be under construction, so it is requested all the same.
			if err := b.create(ctx, i, !isMissing); err != nil {
				return err
			}
		case isMissing || !listed:
			later = append(later, i)
		}
	}
	if others && len(later) > 0 {
		b.buildInBackground(ctx, later)
	}
	return nil
}

// missing returns the indexes that do not exist, and false when the server does not list them.
func (b *indexBuilder) missing(ctx context.Context, wanted []mongolog.Index) (missing []mongolog.Index, listed bool, err error) {
	err = await(ctx, b.logger, "mongodb, for its indexes", b.address, func(ctx context.Context) (err error) {
		missing, err = mongolog.Missing(ctx, wanted)
		listed = err == nil
		if mongolog.Refused(err) {
			b.logger.LogAttrs(ctx, slog.LevelWarn, "the server does not list its indexes: missing ones are not reported", slog.Any("error", err))
			return nil
		}
		return err
	})
	return missing, listed, err
}

// buildInBackground creates indexes one after the other, and logs those that are not there in a moment.
func (b *indexBuilder) buildInBackground(ctx context.Context, indexes []mongolog.Index) {
	finished := make(chan struct{})
	b.builds.start(ctx, func(ctx context.Context) {
		defer close(finished)
		for _, i := range indexes {
			_ = b.create(ctx, i, false)
		}
	})
	select {
	case <-finished:
	case <-time.After(indexWait):
		names := make([]string, len(indexes))
		for n, i := range indexes {
			names[n] = i.String()
		}
		b.logger.LogAttrs(ctx, slog.LevelWarn, "indexes are missing: lists are slow until they are built", slog.Any("indexes", names))
	}
}

// create tries until the index is there. It gives up an index that the server refuses, unless that is unique: then the index is
// used as it is if it may exist, and waited for if not.
func (b *indexBuilder) create(ctx context.Context, i mongolog.Index, mayExist bool) error {
	level, problem := slog.LevelWarn, "an index is missing and could not be created: lists are slow without it"
	if i.Unique {
		level, problem = slog.LevelError, "a unique index is missing and could not be created: nothing can be written safely without it"
	}
	for {
		err := b.build(ctx, i)
		refused := mongolog.Refused(err)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case refused && mayExist:
			b.logger.LogAttrs(ctx, slog.LevelDebug, "an index is used as it is", slog.String("index", i.String()), slog.Any("error", err))
			return nil
		}
		b.logger.LogAttrs(ctx, level, problem,
			slog.String("index", i.String()), slog.String("create_it_with", i.Command()), slog.Any("error", err))
		if refused && !i.Unique {
			return nil
		}
		if err := pause(ctx, logAgain); err != nil {
			return err
		}
	}
}

// build creates an index, and logs that it does while that takes long.
func (b *indexBuilder) build(ctx context.Context, i mongolog.Index) error {
	started := time.Now()
	building, cancel := context.WithCancel(ctx)
	var logging sync.WaitGroup
	logging.Go(func() {
		for pause(building, logAgain) == nil {
			b.logger.LogAttrs(ctx, slog.LevelWarn, "building an index", slog.String("index", i.String()),
				slog.Int64("after_ms", time.Since(started).Milliseconds()))
		}
	})
	defer logging.Wait()
	defer cancel()
	return i.Build(ctx)
}

// close ends the builds; the server goes on with one that it has begun.
func (b *indexBuilder) close() { b.builds.stop() }
