package mongo

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/trace"
)

const (
	// maxRounds bounds the inserts of one append. More than one is needed after a race, a partial batch or a server error.
	maxRounds = 10
	// The pause between rounds is at first 2 ms and doubles up to 250 ms, minus a random part of at most half.
	pauseFirst, pauseLast = 2 * time.Millisecond, 250 * time.Millisecond
)

// errStaleHead replaces the duplicate key error of an insert that is skipped: the cache has a newer record.
var errStaleHead = errors.New("the stream has newer records")

// Append implements eventlog.Log.
func (l *Log) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	records, err := eventlog.Seal(stream, head, entries)
	if err != nil {
		return event.Head{}, nil, err
	}
	defer l.events.db.Metrics.appended(time.Now())
	ctx, span := trace.Start(ctx, "append", trace.Client)
	a := appending{log: l, stream: stream, head: head, entries: entries}
	newest, tail, err := a.run(ctx, records)
	if span.Recorded() {
		span.Set("db.system.name", "mongodb")
		span.Set("db.operation.name", "insert")
		span.Set("db.collection.name", l.events.Name())
		span.SetInt("db.operation.batch.size", len(records))
		span.Set("ordersaga.stream", stream)
	}
	span.End(unlessLost(err))
	return newest, tail, err
}

// appending is one call of Append.
type appending struct {
	log     *Log
	stream  string
	head    event.Head
	entries []event.Entry
	// tail has the records after head, as last read.
	tail []event.Record
}

// run inserts records, which are entries sealed after head, and handles the result.
func (a *appending) run(ctx context.Context, records []event.Record) (event.Head, []event.Record, error) {
	cause := errStaleHead
	if a.log.heads.get(a.stream).Version <= a.head.Version {
		if err := a.checkHead(ctx); err != nil {
			return event.Head{}, nil, err
		}
		cause = a.insert(ctx, records)
	}
	for round := 1; ; round++ {
		switch {
		case cause == nil:
			a.tail = append(a.tail, records...)
			newest := records[len(records)-1].HeadOf()
			a.log.heads.put(a.stream, newest)
			a.log.firstRecords.put(a.tail)
			return newest, a.tail, nil
		case errors.Is(cause, fault.Invalid):
			return event.Head{}, nil, cause
		case ctx.Err() != nil:
			return event.Head{}, nil, unavailable(ctx, cause, "append to %s", a.stream)
		}
		a.log.events.db.Logger.LogAttrs(ctx, slog.LevelDebug, "append is reconciled with the tail", slog.String("stream", a.stream),
			slog.Int("round", round), slog.String("cause", cause.Error()))
		state, err := a.reconcile(ctx)
		if err != nil || len(state.Remaining) == 0 {
			return state.Head, a.tail, err
		}
		if state.Head.Version == records[0].Version-1 {
			// Nothing was written there: a key is taken by an older record, the insert failed, or its result is not yet visible at a
			// majority. Only a record that is found is conclusive.
			if err := a.findTaken(ctx, cause, state.Remaining); err != nil {
				return state.Head, a.tail, err
			}
			_ = sleep(ctx, pauseBefore(round))
		}
		if round == maxRounds {
			return event.Head{}, nil, unavailable(ctx, cause, "append to %s", a.stream)
		}
		if records, err = eventlog.Seal(a.stream, state.Head, state.Remaining); err != nil {
			return event.Head{}, nil, err
		}
		cause = a.insert(ctx, records)
	}
}

// unlessLost is an error that is no lost race: that one is an answer.
func unlessLost(err error) error {
	if eventlog.Lost(err) {
		return nil
	}
	return err
}

func pauseBefore(round int) time.Duration {
	delay := min(pauseFirst<<(round-1), pauseLast)
	return delay/2 + rand.N(delay/2) //nolint:gosec // jitter needs no secrecy
}

// checkHead checks that the caller's head is a record of the stream: a chain from a wrong head would be a fork. For heads in the cache it
// costs nothing. A head that is not found is Unavailable: a later read may find it.
func (a *appending) checkHead(ctx context.Context) error {
	if a.head.Version == 0 || a.log.heads.get(a.stream) == a.head {
		return nil
	}
	r, ok, err := a.log.get(ctx, a.stream, a.head.Version)
	switch {
	case err != nil:
		return err
	case !ok:
		return fault.Missing("version %d of stream %s, the head of the append, was not found", a.head.Version, a.stream)
	case r.Hash != a.head.Hash:
		return a.wrongHead()
	}
	a.log.heads.put(a.stream, a.head)
	return nil
}

func (a *appending) wrongHead() error {
	return fault.New(fault.Corrupt, "head %d is not part of stream %s", a.head.Version, a.stream)
}

// reconcile reads the tail and compares it with the entries. The head and a.tail are valid with nil, Concurrency and KeyTaken errors.
func (a *appending) reconcile(ctx context.Context) (state eventlog.Reconciled, err error) {
	if a.tail, err = a.log.Read(ctx, a.stream, a.head.Version, 0); err != nil {
		return state, err
	}
	if len(a.tail) > 0 && a.tail[0].PrevHash != eventlog.PrevHash(a.stream, a.head) {
		a.tail = nil
		return state, a.wrongHead()
	}
	if len(a.tail) == 0 && a.log.heads.get(a.stream).Version > a.head.Version {
		// The cache is newer than the server: the collection was emptied while the process runs.
		a.log.forget(a.stream)
		if err := a.checkHead(ctx); err != nil {
			return state, err
		}
	}
	return eventlog.Reconcile(a.stream, a.head, a.tail, a.entries)
}

// findTaken looks for an entry whose key is taken by the caller's head or an older record.
func (a *appending) findTaken(ctx context.Context, cause error, remaining []event.Entry) error {
	if !driver.IsDuplicateKeyError(cause) {
		return nil
	}
	keys := make([]string, len(remaining))
	for i, e := range remaining {
		keys[i] = e.Key
	}
	existing, err := a.log.FindAll(ctx, a.stream, keys)
	if err != nil {
		a.tail = nil
		return err
	}
	for _, key := range keys {
		if r, taken := existing[key]; taken && r.Version <= a.head.Version {
			return &eventlog.TakenError{Stream: a.stream, Key: key, Existing: r}
		}
	}
	return nil
}

// insert writes records. The error is Invalid for records that cannot be stored, otherwise the driver's.
func (a *appending) insert(ctx context.Context, records []event.Record) error {
	docs, err := toDocuments(records)
	if err != nil {
		return err
	}
	return a.log.insert(ctx, docs)
}
