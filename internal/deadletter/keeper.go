package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// KeeperName is the actor of the replays that a keeper makes.
const KeeperName = "keeper"

// outcomeTimeout bounds writing down what came of a retry whose own time is over.
const outcomeTimeout = 10 * time.Second

// Keeper keeps dead letters. All fields are mandatory.
type Keeper struct {
	Service *Service
	// Handle handles a message as if it came from the queue, or from the inbox when none is named.
	Handle func(ctx context.Context, queue string, m wire.Message) error
	// Count is called for every letter that is new, with its reason.
	Count func(reason fault.Code)
	// alone is held for reading while a letter is kept, and for writing while one is handled.
	alone sync.RWMutex
}

// Keep keeps a message with what its queue knows about it; it may be called again with the same one. With a nil error the message
// may be acknowledged.
func (k *Keeper) Keep(ctx context.Context, l Letter) error {
	l, s, err := k.keep(ctx, New(l, k.Service.cfg.Clock()))
	if err != nil || !retried[l.Reason] {
		return err
	}
	return k.retry(ctx, l, s)
}

// maxSame bounds how many letters of the same bytes and time are looked through for a free place.
const maxSame = 1000

// insert inserts the letter, under another id when its own is another message's.
func (k *Keeper) insert(ctx context.Context, l Letter) (Letter, bool, error) {
	store, own := k.Service.cfg.Store, l.ID
	inserted, err := store.Insert(ctx, l)
	for n := 1; err == nil && !inserted && l.First && n <= maxSame; n++ {
		l.ID = event.DerivedID("another dead letter", own, strconv.Itoa(n))
		inserted, err = store.Insert(ctx, l)
	}
	if !inserted {
		l.ID = own
	}
	return l, inserted, err
}

// keep inserts the letter and opens its stream. It returns the letter as it is kept.
func (k *Keeper) keep(ctx context.Context, l Letter) (Letter, State, error) {
	k.alone.RLock()
	defer k.alone.RUnlock()
	l, inserted, err := k.insert(ctx, l)
	if err != nil {
		return l, State{}, err
	}
	s := State{ID: l.ID, Status: StatusOpen}
	if !inserted {
		kept := l
		if s, err = k.Service.readStream(ctx, &kept); err != nil {
			return l, s, err
		}
	}
	s, opened, err := k.Service.open(ctx, l, s)
	if err == nil && opened {
		k.Count(l.Reason)
		if !retried[l.Reason] {
			k.logKept(ctx, l)
		}
	}
	return l, s, err
}

// logKept writes the one line that a letter gets, after its retry if it has one.
func (k *Keeper) logKept(ctx context.Context, l Letter, more ...slog.Attr) {
	k.Service.cfg.Logger.LogAttrs(ctx, slog.LevelError, "dead letter kept", append([]slog.Attr{
		slog.String("letter_id", l.ID), slog.String("reason", string(l.Reason)), slog.String("detail", l.Detail),
		slog.String("event_id", l.EventID), slog.String("event_type", l.Type), slog.String("subject", l.Subject),
		slog.String("correlation_id", l.CorrelationID), slog.Int("attempts", l.Attempts),
		slog.String("replay_of", string(l.ReplayOf)), slog.Int("replays", l.Replays),
	}, more...)...)
}

// retry handles what the broker gave up on once more, alone. Nothing is done twice: what an earlier delivery of the same
// message has begun is in the letter's stream.
func (k *Keeper) retry(ctx context.Context, l Letter, s State) error {
	k.alone.Lock()
	defer k.alone.Unlock()
	begun := RetryData{LetterID: l.ID, AttemptID: k.Service.cfg.NewID(), PayloadHash: l.PayloadHash}
	s, mine, err := k.Service.record(ctx, s, func(s State) (*event.Entry, error) {
		if s.Retry != nil || s.Status != StatusOpen {
			return nil, nil
		}
		return k.Service.entry(l, s, slotRetry, event.DeadRetryBegun, begun), nil
	})
	if err == nil && (mine || s.Retry != nil && !s.Retry.Ended) {
		failure := ReasonInterrupted // the process that began it is gone, or has lost its connection: it is not tried again
		if mine {
			failure = k.handle(ctx, l)
		}
		s, err = k.ended(ctx, l, s, failure)
	}
	if err != nil || !s.asksForAnotherTry() {
		return err
	}
	err = k.Service.replay(ctx, l, s, Request{ID: event.DerivedID(KeeperName, l.ID), By: KeeperName, Note: "its handler asked for another try"})
	if errors.Is(err, fault.ResolutionRefused) {
		return nil // it is left for operators
	}
	return err
}

// ended writes down what came of the retry, however long it has taken.
func (k *Keeper) ended(ctx context.Context, l Letter, s State, failure fault.Code) (State, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), outcomeTimeout)
	defer cancel()
	eventType := event.DeadRetryFailed
	if failure == "" {
		eventType = event.DeadRetried
	}
	s, wrote, err := k.Service.record(ctx, s, func(s State) (*event.Entry, error) {
		if s.Retry.Ended {
			return nil, nil
		}
		return k.Service.entry(l, s, slotRetryEnd, eventType, RetryData{LetterID: l.ID, PayloadHash: l.PayloadHash, Reason: failure}), nil
	})
	if wrote {
		k.logKept(ctx, l, slog.Bool("retried", failure == ""), slog.String("failure", string(failure)))
	}
	return s, err
}

// handle handles the letter's message. It returns the code of what the handler answered, empty when the message did what it should.
func (k *Keeper) handle(ctx context.Context, l Letter) (failure fault.Code) {
	defer func() {
		if reason := recover(); reason != nil {
			k.Service.cfg.Logger.LogAttrs(ctx, slog.LevelError, "handler panicked", slog.String("letter_id", l.ID),
				slog.Any("panic", reason), slog.String("stack", string(debug.Stack())))
			failure = fault.Internal
		}
	}()
	err := k.Handle(ctx, l.Queue, l.Message)
	if code := fault.CodeOf(err); err != nil && fault.Lookup(code).Disposition != fault.Acknowledge {
		return code
	}
	return ""
}

// asksForAnotherTry reports whether the retry's answer did: the message does no harm then, and belongs into the inbox.
func (s State) asksForAnotherTry() bool {
	if s.Retry == nil || !slices.Contains([]fault.Code{fault.Unavailable, fault.OutcomeUnknown, fault.Concurrency, fault.OrderUnknown}, s.Retry.Failure) {
		return false
	}
	p, pending := s.Pending()
	return s.Status == StatusOpen && len(s.Replays) == 0 || pending && p.By == KeeperName
}
