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
	// maxRounds bounds how often one append inserts. More than one round means a race, half a batch or trouble
	// with the server.
	maxRounds = 10
	// The pause between the rounds of an append that meets trouble is 2 ms, doubled each round to 250 ms, of which a
	// random half to all is waited.
	pauseFirst, pauseLast = 2 * time.Millisecond, 250 * time.Millisecond
)

// errRemembered is in place of the duplicate that an insert would have met: the cache knows a record there.
var errRemembered = errors.New("the stream is known to have gone on")

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
	// tail is what was last read behind head.
	tail []event.Record
}

// run inserts records, which are entries sealed behind head, and settles what comes of it.
func (a *appending) run(ctx context.Context, records []event.Record) (event.Head, []event.Record, error) {
	cause := errRemembered
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
			a.log.firsts.put(a.tail)
			return newest, a.tail, nil
		case errors.Is(cause, fault.Invalid):
			return event.Head{}, nil, cause
		case ctx.Err() != nil:
			return event.Head{}, nil, unavailable(ctx, cause, "append to %s", a.stream)
		}
		a.log.events.db.Logger.LogAttrs(ctx, slog.LevelDebug, "append is settled from the tail", slog.String("stream", a.stream),
			slog.Int("round", round), slog.String("cause", cause.Error()))
		settled, err := a.settle(ctx)
		if err != nil || len(settled.Remaining) == 0 {
			return settled.Head, a.tail, err
		}
		if settled.Head.Version == records[0].Version-1 {
			// Nobody wrote there: a key is taken further up, or nothing happened, or what happened is not
			// yet at a majority. Only what is found counts.
			if err := a.findTaken(ctx, cause, settled.Remaining); err != nil {
				return settled.Head, a.tail, err
			}
			_ = sleep(ctx, pauseBefore(round))
		}
		if round == maxRounds {
			return event.Head{}, nil, unavailable(ctx, cause, "append to %s", a.stream)
		}
		if records, err = eventlog.Seal(a.stream, settled.Head, settled.Remaining); err != nil {
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

// checkHead makes sure that the caller's head is a record of the stream: a chain that starts from a wrong head
// is a fork. It is free for heads that this process has seen. A head that is not found is Unavailable: it may be read later.
func (a *appending) checkHead(ctx context.Context) error {
	if a.head.Version == 0 || a.log.heads.get(a.stream) == a.head {
		return nil
	}
	r, ok, err := a.log.get(ctx, a.stream, a.head.Version)
	switch {
	case err != nil:
		return err
	case !ok:
		return fault.Missing("version %d of stream %s, behind which it is to be appended, was not found", a.head.Version, a.stream)
	case r.Hash != a.head.Hash:
		return a.wrongHead()
	}
	a.log.heads.put(a.stream, a.head)
	return nil
}

func (a *appending) wrongHead() error {
	return fault.New(fault.Corrupt, "head %d is not part of stream %s", a.head.Version, a.stream)
}

// settle reads the tail and compares. The settlement's head and a.tail are valid with the errors of Append
// that say so.
func (a *appending) settle(ctx context.Context) (settled eventlog.Settlement, err error) {
	if a.tail, err = a.log.Read(ctx, a.stream, a.head.Version, 0); err != nil {
		return settled, err
	}
	if len(a.tail) > 0 && a.tail[0].PrevHash != eventlog.PrevHash(a.stream, a.head) {
		a.tail = nil
		return settled, a.wrongHead()
	}
	if len(a.tail) == 0 && a.log.heads.get(a.stream).Version > a.head.Version {
		// The cache knows more than the server: the collection was emptied under this process.
		a.log.forget(a.stream)
		if err := a.checkHead(ctx); err != nil {
			return settled, err
		}
	}
	return eventlog.Settle(a.stream, a.head, a.tail, a.entries)
}

// findTaken looks for the first entry whose key is taken at the caller's head or before it.
func (a *appending) findTaken(ctx context.Context, cause error, remaining []event.Entry) error {
	if !driver.IsDuplicateKeyError(cause) {
		return nil
	}
	keys := make([]string, len(remaining))
	for i, e := range remaining {
		keys[i] = e.Key
	}
	standing, err := a.log.FindAll(ctx, a.stream, keys)
	if err != nil {
		a.tail = nil
		return err
	}
	for _, key := range keys {
		if r, taken := standing[key]; taken && r.Version <= a.head.Version {
			return &eventlog.TakenError{Stream: a.stream, Key: key, Standing: r}
		}
	}
	return nil
}

// insert writes records. The error is Invalid for records that cannot be stored, else the driver's.
func (a *appending) insert(ctx context.Context, records []event.Record) error {
	docs, err := toDocuments(records)
	if err != nil {
		return err
	}
	return a.log.insert(ctx, docs)
}
