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

// Index is an index that a store uses.
type Index struct {
	collection collection
	name       string
	// keys are the fields, each ascending (1) or descending (-1).
	keys bson.D
	// unique reports that the store relies on it: without it a key may be written twice. Without another index queries are slow.
	unique bool
}

// byIDAscending is the index of _id, which every collection has.
var byIDAscending = bson.D{{Key: "_id", Value: 1}}

// String returns collection and name.
func (i Index) String() string { return i.collection.Name() + "." + i.name }

// command is what creates the index in mongosh.
func (i Index) command() string {
	fields := make([]string, len(i.keys))
	for n, f := range i.keys {
		fields[n] = fmt.Sprintf("%s: %v", f.Key, f.Value)
	}
	return fmt.Sprintf("db.%s.createIndex({%s}, {name: %q, unique: %t})", i.collection.Name(), strings.Join(fields, ", "), i.name, i.unique)
}

// build creates the index, and returns when it exists: at once when it did, after minutes or hours on a large collection.
// The context should have no deadline: it is sent to the server, which gives the build up when it has passed. Errors:
// Unavailable; see refused.
func (i Index) build(ctx context.Context) error {
	o := options.Index().SetName(i.name)
	if i.unique {
		o.SetUnique(true)
	}
	_, err := i.collection.Indexes().CreateOne(ctx, driver.IndexModel{Keys: i.keys, Options: o})
	return unavailable(ctx, err, "create index %s", i)
}

// exists reports whether an index of the same keys exists, whatever its name. One that is being built exists. Errors: Unavailable;
// see refused.
func (i Index) exists(ctx context.Context) (bool, error) {
	listed, err := i.collection.Indexes().ListSpecifications(ctx)
	return slices.ContainsFunc(listed, i.is), unavailable(ctx, err, "list the indexes of %s", i.collection.Name())
}

// is compares. An index that leaves documents out does not do. A server may answer 1 as a double.
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

// Codes of answers that do not change by themselves.
const (
	codeUnauthorized     = 13
	codeNotFound         = 59 // the server has no such command
	codeCannotCreate     = 67
	codeOptionsConflict  = 85
	codeKeySpecsConflict = 86
	codeNotImplemented   = 238
	codeDuplicateKey     = 11000
)

// refused reports whether the server understood a request and does not do it, because it is not allowed or does not fit what
// exists: trying again does not help.
func refused(err error) bool {
	var command driver.CommandError
	if !errors.As(err, &command) || command.HasErrorLabel("TransientTransactionError") || command.HasErrorLabel("RetryableWriteError") {
		return false
	}
	return slices.Contains([]int32{
		codeUnauthorized, codeOptionsConflict, codeKeySpecsConflict, codeDuplicateKey, codeCannotCreate, codeNotFound, codeNotImplemented,
	}, command.Code)
}

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
