package mongo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Index is an index of a store.
type Index struct {
	collection collection
	name       string
	// keys has the fields, ascending (1) or descending (-1).
	keys bson.D
	// unique means that correctness depends on the index. Without a non-unique one, queries are slow.
	unique bool
}

// byIDAscending is the index of _id, which every collection has.
var byIDAscending = bson.D{{Key: "_id", Value: 1}}

// String returns "collection.name".
func (i Index) String() string { return i.collection.Name() + "." + i.name }

// command returns the mongosh command that creates the index.
func (i Index) command() string {
	fields := make([]string, len(i.keys))
	for n, f := range i.keys {
		fields[n] = fmt.Sprintf("%s: %v", f.Key, f.Value)
	}
	return fmt.Sprintf("db.%s.createIndex({%s}, {name: %q, unique: %t})", i.collection.Name(), strings.Join(fields, ", "), i.name, i.unique)
}

// build creates the index and returns when it exists, which can take hours for a large collection. The context should have no deadline: it
// is sent to the server, which aborts the build when it passes. Errors: Unavailable; see refused.
func (i Index) build(ctx context.Context) error {
	o := options.Index().SetName(i.name)
	if i.unique {
		o.SetUnique(true)
	}
	_, err := i.collection.Indexes().CreateOne(ctx, driver.IndexModel{Keys: i.keys, Options: o})
	return unavailable(ctx, err, "create index %s", i)
}

// exists reports whether an index with the same keys exists, with any name. An index under construction exists. Errors: Unavailable; see
// refused.
func (i Index) exists(ctx context.Context) (bool, error) {
	listed, err := i.collection.Indexes().ListSpecifications(ctx)
	return slices.ContainsFunc(listed, i.is), unavailable(ctx, err, "list the indexes of %s", i.collection.Name())
}

// is reports whether spec has the same keys. A sparse index does not qualify. Some servers return 1 as a double.
func (i Index) is(spec driver.IndexSpecification) bool {
	elements, err := spec.KeysDocument.Elements()
	if err != nil || len(elements) != len(i.keys) || i.unique && (spec.Unique == nil || !*spec.Unique) || spec.Sparse != nil && *spec.Sparse {
		return false
	}
	for n, e := range elements {
		direction, ok := e.Value().AsInt64OK()
		if !ok || e.Key() != i.keys[n].Key || fmt.Sprint(direction) != fmt.Sprint(i.keys[n].Value) {
			return false
		}
	}
	return true
}

// Setup creates the indexes of a new database. It may be called again. Errors: Unavailable.
func Setup(ctx context.Context, wanted ...[]Index) error {
	for _, i := range slices.Concat(wanted...) {
		if err := i.build(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Error codes that are permanent.
const (
	codeUnauthorized     = 13
	codeNotFound         = 59 // the server has no such command
	codeCannotCreate     = 67
	codeOptionsConflict  = 85
	codeKeySpecsConflict = 86
	codeNotImplemented   = 238
	codeDuplicateKey     = 11000
)

// refused reports whether the server refuses a request permanently: it is not permitted, not supported, or conflicts with what exists.
func refused(err error) bool {
	var command driver.CommandError
	if !errors.As(err, &command) || command.HasErrorLabel("TransientTransactionError") || command.HasErrorLabel("RetryableWriteError") {
		return false
	}
	return slices.Contains([]int32{
		codeUnauthorized, codeOptionsConflict, codeKeySpecsConflict, codeDuplicateKey, codeCannotCreate, codeNotFound, codeNotImplemented,
	}, command.Code)
}

// indexPause is the interval of progress logs, and the pause between attempts.
const indexPause = 5 * time.Second

// IndexBuilder creates indexes. A build over a large collection can take hours, so it has no deadline: the driver would send it to the
// server, which would abort the build.
type IndexBuilder struct {
	logger *slog.Logger
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// NewIndexBuilder returns a builder, which must be closed.
func NewIndexBuilder(logger *slog.Logger) *IndexBuilder {
	return &IndexBuilder{logger, func() {}, sync.WaitGroup{}}
}

// Prepare creates the unique indexes, without which a slot could be written twice, and waits for them without a timeout. If background is
// set, it creates the other indexes in the background; until they exist, lists are slow. The error is the context's.
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
		b.done.Go(func() { _ = b.Build(ctx, others) }) // it fails only if the context has ended
	}
	return nil
}

// Build creates indexes and waits for them without a timeout. An index that is not unique and that the server refuses is logged. The error is
// the context's.
func (b *IndexBuilder) Build(ctx context.Context, wanted ...[]Index) error {
	for _, i := range slices.Concat(wanted...) {
		if err := b.create(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// create retries until the index exists or is under construction. If the server refuses to create it, an existing index is used; if the
// server also refuses to list its indexes, the index is assumed to exist. For a non-unique index a refusal ends the attempts. The error
// is the context's.
func (b *IndexBuilder) create(ctx context.Context, i Index) error {
	for {
		err := b.build(ctx, i)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		attrs := []slog.Attr{slog.String("index", i.String()), slog.String("create_it_with", i.command()), slog.Any("error", err)}
		if refused(err) {
			exists, listProjection := i.exists(ctx)
			if exists || refused(listProjection) {
				b.logger.LogAttrs(ctx, slog.LevelDebug, "existing index is used", attrs...)
				return nil
			}
		}
		if i.unique {
			b.logger.LogAttrs(ctx, slog.LevelError,
				"a unique index is missing and could not be created: writes are not safe without it", attrs...)
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

// build creates an index and logs periodically while it is being built.
func (b *IndexBuilder) build(ctx context.Context, i Index) error {
	began, built := time.Now(), make(chan error, 1)
	go func() { built <- i.build(ctx) }()
	for {
		select {
		case err := <-built:
			return err
		case <-time.After(indexPause):
			b.logger.LogAttrs(ctx, slog.LevelWarn, "building an index", slog.String("index", i.String()),
				slog.Int64("after_ms", time.Since(began).Milliseconds()))
		}
	}
}

// Close stops waiting for builds; the server continues a build that has started.
func (b *IndexBuilder) Close() {
	b.stop()
	b.done.Wait()
}

// sleep waits for d or until ctx ends, and returns the context's error.
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
