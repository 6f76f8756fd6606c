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

// ReceiverName is the actor of replays by a Receiver. It is in recorded events and in the IDs that are derived from it: it never changes.
const ReceiverName = "keeper"

// outcomeTimeout bounds recording the result of a retry after its own context has ended.
const outcomeTimeout = 10 * time.Second

// Receiver stores dead letters. All fields are required.
type Receiver struct {
	Service *Service
	// Handle handles a message like the consumer of the queue; an empty queue is the inbox.
	Handle func(ctx context.Context, queue string, m wire.Message) error
	// Count is called for every new letter, with its reason.
	Count func(reason fault.Code)
	// alone is held for reading while a letter is stored, and for writing during a retry.
	alone sync.RWMutex
}

// Receive stores a message as a letter, and retries it if the broker dead-lettered it. It is idempotent. If the error is nil, the message may be
// acknowledged.
func (k *Receiver) Receive(ctx context.Context, l Letter) error {
	l, s, err := k.store(ctx, New(l, k.Service.cfg.Clock()))
	if err != nil || !retried[l.Reason] {
		return err
	}
	return k.retry(ctx, l, s)
}

// maxSame bounds the number of letters with equal bytes and time.
const maxSame = 1000

// insert inserts the letter, with a different ID if its ID belongs to another message.
func (k *Receiver) insert(ctx context.Context, l Letter) (Letter, bool, error) {
	store, own := k.Service.cfg.Store, l.ID
	inserted, err := store.Insert(ctx, l)
	for n := 1; err == nil && !inserted && l.FirstDelivery && n <= maxSame; n++ {
		l.ID = event.DerivedID("another dead letter", own, strconv.Itoa(n))
		inserted, err = store.Insert(ctx, l)
	}
	if !inserted {
		l.ID = own
	}
	return l, inserted, err
}

// store inserts the letter and starts its stream. It returns the stored letter.
func (k *Receiver) store(ctx context.Context, l Letter) (Letter, State, error) {
	k.alone.RLock()
	defer k.alone.RUnlock()
	l, inserted, err := k.insert(ctx, l)
	if err != nil {
		return l, State{}, err
	}
	s := State{ID: l.ID, Status: StatusOpen}
	if !inserted {
		stored := l
		if s, err = k.Service.readStream(ctx, &stored); err != nil {
			return l, s, err
		}
	}
	s, opened, err := k.Service.open(ctx, l, s)
	if err == nil && opened {
		k.Count(l.Reason)
		if !retried[l.Reason] {
			k.logStored(ctx, l)
		}
	}
	return l, s, err
}

// logStored writes the log line of a letter, after its retry if there is one.
func (k *Receiver) logStored(ctx context.Context, l Letter, more ...slog.Attr) {
	k.Service.cfg.Logger.LogAttrs(ctx, slog.LevelError, "dead letter kept", append([]slog.Attr{
		slog.String("letter_id", l.ID), slog.String("reason", string(l.Reason)), slog.String("detail", l.Detail),
		slog.String("event_id", l.EventID), slog.String("event_type", l.Type), slog.String("subject", l.Subject),
		slog.String("correlation_id", l.CorrelationID), slog.Int("attempts", l.Attempts),
		slog.String("replay_of", string(l.ReplayOf)), slog.Int("replays", l.Replays),
	}, more...)...)
}

// retry handles a message that the broker dead-lettered once more, alone. The letter's stream records what was started, so that a redelivery does
// not repeat it.
func (k *Receiver) retry(ctx context.Context, l Letter, s State) error {
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
		failure := ReasonInterrupted // the process that began it has ended or lost its connection: no further attempt
		if mine {
			failure = k.handle(ctx, l)
		}
		s, err = k.recordRetryEnd(ctx, l, s, failure)
	}
	if err != nil || !s.shouldReplay() {
		return err
	}
	err = k.Service.replay(ctx, l, s, Request{ID: event.DerivedID(ReceiverName, l.ID), By: ReceiverName, Note: "the retry failed with a retryable error"})
	if errors.Is(err, fault.ResolutionRefused) {
		return nil // left for operators
	}
	return err
}

// recordRetryEnd records the result of the retry, even if its context has ended.
func (k *Receiver) recordRetryEnd(ctx context.Context, l Letter, s State, failure fault.Code) (State, error) {
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
		k.logStored(ctx, l, slog.Bool("retried", failure == ""), slog.String("failure", string(failure)))
	}
	return s, err
}

// handle handles the letter's message. It returns the code of the error, or "" if the message was handled.
func (k *Receiver) handle(ctx context.Context, l Letter) (failure fault.Code) {
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

// shouldReplay reports whether the retry failed with a retryable error: then the message is harmless and is replayed to the inbox.
func (s State) shouldReplay() bool {
	if s.Retry == nil || !slices.Contains([]fault.Code{fault.Unavailable, fault.OutcomeUnknown, fault.Concurrency, fault.OrderUnknown}, s.Retry.Failure) {
		return false
	}
	p, pending := s.Pending()
	return s.Status == StatusOpen && len(s.Replays) == 0 || pending && p.By == ReceiverName
}
