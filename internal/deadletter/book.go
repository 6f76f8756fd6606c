package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// appendAttempts bounds how often an append goes after others that came first.
const appendAttempts = 10

// book is what Keeper and Desk have in common: the letters, and the streams that say what was decided about them.
type book struct {
	store  Store
	log    Log
	clock  func() time.Time
	logger *slog.Logger
	// maxReplays is how often a message is replayed before somebody has to insist.
	maxReplays int
}

// state folds a letter's stream; the zero State when there is none.
func (b book) state(ctx context.Context, id string) (State, error) {
	records, err := b.log.Read(ctx, event.DeadStream(id), 0, 0)
	if err != nil {
		return State{}, err
	}
	return State{}.Fold(records)
}

// open writes the first event of a letter's stream, if it is not there.
func (b book) open(ctx context.Context, l Letter, s State) (after State, wrote bool, err error) {
	return b.record(ctx, l.ID, s, func(s State) (*event.Entry, error) {
		if s.Kept() {
			return nil, nil
		}
		e := l.received(b.clock())
		return &e, nil
	})
}

// record decides about a letter and appends the decision. Whoever comes second decides again, from what the first one
// wrote. decide returns nil when there is nothing to append. Wrote tells that what decide last returned was appended.
func (b book) record(ctx context.Context, id string, s State, decide func(State) (*event.Entry, error)) (after State, wrote bool, err error) {
	for range appendAttempts {
		entry, err := decide(s)
		if err != nil || entry == nil {
			return s, false, err
		}
		_, tail, err := b.log.Append(ctx, event.DeadStream(id), s.Head, []event.Entry{*entry})
		second := errors.Is(err, fault.Concurrency) || errors.Is(err, fault.KeyTaken)
		if err != nil && !second {
			return s, false, err
		}
		if s, err = s.Fold(tail); err != nil {
			return s, false, err
		}
		if !second {
			b.mark(ctx, id, s)
			return s, true, nil
		}
	}
	return s, false, fault.New(fault.Unavailable, "stream %s grows faster than it can be written", event.DeadStream(id))
}

// mark tells the store what a stream has come to. Lists are made right when they are read, so that a mark which is lost
// costs nothing.
func (b book) mark(ctx context.Context, id string, s State) {
	if err := b.store.Mark(ctx, id, s.Status, s.Head.Version); err != nil {
		b.logger.LogAttrs(ctx, slog.LevelWarn, "the list of dead letters is behind", slog.String("letter_id", id), slog.Any("error", err))
	}
}
