package inventory

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// maxUnknown is the number of consecutive unknown results of appends after which callers get the error.
	maxUnknown = 3
	// firstPause and lastPause bound the random pause after a lost race; it doubles from one to the other. It prevents repeated
	// conflicts between committers; a longer one would give the SKU to the winner.
	firstPause, lastPause = time.Millisecond, 4 * time.Millisecond
)

// reconcile continues after an append with an unknown result: requests that were written are answered, the others are written again. If the
// append is still executed later, its keys and versions are taken.
func (c *committer) reconcile(pending []*request, cause error) []*request {
	c.unknown++
	c.ledger.cfg.Logger.LogAttrs(c.ledger.ctx, slog.LevelWarn, "the result of a stock append is unknown",
		slog.String("sku", c.sku), slog.Int("changes", len(pending)), slog.Int("in_a_row", c.unknown), slog.Any("error", cause))
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	before := c.ledger.cfg.Clock()
	tail, err := c.ledger.cfg.Log.Read(ctx, c.stream, c.at.head.Version, 0)
	if err != nil {
		return c.fail(pending, fault.Wrap(errors.Join(cause, err), fault.OutcomeUnknown, "append to %s", c.stream))
	}
	head := c.at.head
	if len(tail) > 0 {
		head = tail[len(tail)-1].HeadOf()
	}
	pending = c.applyTail(pending, tail, head, nil, before)
	switch {
	case len(tail) > 0:
		c.unknown = 0
	case c.unknown >= maxUnknown:
		return c.fail(pending, fault.Wrap(cause, fault.OutcomeUnknown, "append to %s", c.stream))
	default:
		c.pause(c.unknown)
	}
	return pending
}

// applyTail applies the tail: it updates position and caches, and answers requests. lost is the error of an append that lost a race.
func (c *committer) applyTail(pending []*request, tail []event.Record, head event.Head, lost error, asked time.Time) []*request {
	stored := make(map[string]slot, len(tail))
	at := position{head: c.at.head, balance: c.at.balance, valid: true, readAt: asked}
	for i, r := range tail {
		s, err := readSlot(r)
		if err == nil && i == 0 && at.head.Version > 0 && r.PrevHash != at.head.Hash {
			err = fault.New(fault.Corrupt, "version %d of %s does not follow version %d", r.Version, c.stream, at.head.Version)
		}
		if err != nil {
			return c.fail(pending, err)
		}
		stored[r.Key] = s
		c.ledger.slots.Add(slotName{c.sku, r.Key}, s)
		at.head, at.balance = r.HeadOf(), s.after(at.balance)
	}
	if at.head != head {
		return c.fail(pending, fault.New(fault.Internal, "the tail of %s ends at version %d, not at its head %d",
			c.stream, at.head.Version, head.Version))
	}
	c.setPosition(at)
	markChecked(pending)
	answered := len(pending)
	pending = c.answerStored(pending, stored)
	var taken *eventlog.TakenError
	if errors.As(lost, &taken) {
		pending = c.answerTaken(pending, taken)
	}
	answered -= len(pending)
	if answered == 0 && len(tail) == 0 && lost != nil {
		return c.fail(pending, fault.Wrap(lost, fault.Internal, "append to %s failed for no known reason", c.stream))
	}
	c.lost++
	if !errors.Is(lost, fault.Concurrency) {
		c.lost = 0
	}
	if len(pending) > 0 && c.lost > 0 {
		c.pause(c.lost)
	}
	return pending
}

// answerStored answers the requests whose slots are in the tail. The tail includes the end of the stream, so it also has their settle slots.
func (c *committer) answerStored(pending []*request, stored map[string]slot) []*request {
	return slices.DeleteFunc(pending, func(r *request) bool {
		s, ok := stored[r.key]
		if ok {
			r.answer(answer{stored: s, settled: stored[SettleKey(r.orderID)], upToDate: true})
		}
		return ok
	})
}

// answerTaken answers the requests whose slots were taken before the tail. If one is, others probably are too: after a restart many callers
// repeat their requests. They are all looked up at once, instead of losing one append for each.
func (c *committer) answerTaken(pending []*request, taken *eventlog.TakenError) []*request {
	found := c.lookUp(pending)
	found[taken.Key] = taken.Existing
	return slices.DeleteFunc(pending, func(r *request) bool {
		record, ok := found[r.key]
		if !ok {
			return false
		}
		s, err := readSlot(record)
		if err == nil {
			c.ledger.slots.Add(slotName{c.sku, r.key}, s)
		}
		r.answer(answer{stored: s, err: err})
		return true
	})
}

// lookUp returns the records with the keys of the requests. On errors it returns none: the next append finds them.
func (c *committer) lookUp(pending []*request) map[string]event.Record {
	keys := make([]string, len(pending))
	for i, r := range pending {
		keys[i] = r.key
	}
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	found, err := c.ledger.cfg.Log.FindAll(ctx, c.stream, keys)
	if err != nil {
		c.ledger.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "taken slots are looked up one by one",
			slog.String("sku", c.sku), slog.Any("error", err))
	}
	if found == nil {
		found = make(map[string]event.Record)
	}
	return found
}

// fail answers every request with err and resets the position.
func (c *committer) fail(pending []*request, err error) []*request {
	c.at, c.lost, c.unknown = position{}, 0, 0
	for _, r := range pending {
		r.answer(answer{err: err})
	}
	return nil
}

// pause waits a random time that grows with the attempts, which prevents repeated conflicts between processes.
func (c *committer) pause(attempt int) {
	limit := min(firstPause<<min(attempt-1, 10), lastPause)
	timer := time.NewTimer(c.ledger.cfg.Jitter(limit))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ledger.ctx.Done():
	}
}

// markChecked marks the requests: the log was read after they arrived.
func markChecked(pending []*request) {
	for _, r := range pending {
		r.checked = true
	}
}
