package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// RetentionName is the actor of discards by Expire.
const RetentionName = "retention"

// decided are the statuses of letters that wait for no decision.
var decided = []Status{StatusRetried, StatusReplayed, StatusDiscarded}

// Retention is how long letters are stored; 0 is forever.
type Retention struct {
	// Decided is how long a letter is stored after it was replayed, retried or discarded.
	Decided time.Duration
	// Open is how long after its failure a letter may be open before Expire discards it.
	Open time.Duration
}

// Expire discards and deletes the letters whose time is over, and returns their numbers. An open letter is discarded first, which is an event
// and a log line, and deleted like other discarded ones. The event log decides how old a decision is, and keeps the decisions; only the
// store forgets. Several processes may do it at once. Errors: Unavailable, after the numbers of what was done.
func (s *Service) Expire(ctx context.Context, r Retention) (discarded, deleted int, err error) {
	discarded, err = s.expire(ctx, r.Open, []Status{StatusOpen}, func(l Letter) (bool, error) { return s.discardOpen(ctx, l, r.Open) })
	if err != nil {
		return discarded, 0, err
	}
	deleted, err = s.expire(ctx, r.Decided, decided, func(l Letter) (bool, error) { return s.deleteDecided(ctx, l, r.Decided) })
	return discarded, deleted, err
}

// expire calls do for the letters of some statuses that failed before the retention began, and returns how often it did something.
func (s *Service) expire(ctx context.Context, retention time.Duration, statuses []Status, do func(Letter) (bool, error)) (count int, err error) {
	if retention == 0 {
		return 0, nil
	}
	f := Filter{Statuses: statuses, To: s.cfg.Clock().Add(-retention), Limit: cursor.MaxLimit}
	for {
		items, next, err := s.List(ctx, f)
		if err != nil {
			return count, err
		}
		for _, l := range items {
			done, err := do(l)
			if done {
				count++
			}
			if err != nil {
				return count, err
			}
		}
		if f.Cursor = next; next == "" {
			return count, nil
		}
	}
}

func (s *Service) discardOpen(ctx context.Context, l Letter, retention time.Duration) (bool, error) {
	if l.Status != StatusOpen { // a decision is newer than the list
		return false, nil
	}
	_, err := s.Discard(ctx, l.ID, Request{
		ID: event.DerivedID(RetentionName, l.ID), By: RetentionName, Note: "there was no decision within " + retention.String(),
	})
	if errors.Is(err, fault.ResolutionRefused) || errors.Is(err, fault.NotFound) {
		return false, nil // another process was faster
	}
	if err == nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "open dead letter discarded", slog.String("letter_id", l.ID), slog.String("reason", string(l.Reason)),
			slog.String("event_id", l.EventID), slog.String("event_type", l.Type), slog.String("subject", l.Subject))
	}
	return err == nil, err
}

func (s *Service) deleteDecided(ctx context.Context, l Letter, retention time.Duration) (bool, error) {
	state, err := s.readStream(ctx, &l)
	if err != nil || state.UpdatedAt.IsZero() || s.cfg.Clock().Sub(state.UpdatedAt) < retention || !slices.Contains(decided, state.Status) {
		return false, err
	}
	if err := s.cfg.Store.Delete(ctx, l.ID); err != nil {
		return false, err
	}
	s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "dead letter deleted", slog.String("letter_id", l.ID), slog.String("status", string(state.Status)))
	return true, nil
}
