package inventory

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// maxUnknown is how often in a row the log may leave open what became of a batch before the callers are told.
	maxUnknown = 3
	// firstPause and lastPause limit the random pause after a lost race; it doubles from one to the other. It is to
	// keep committers from meeting again: a longer one would leave the SKU to the winner.
	firstPause, lastPause = time.Millisecond, 4 * time.Millisecond
)

// find goes on after an append whose outcome is unknown: what stands now is answered, the rest is written behind
// it. What the append may still write later has the same keys, and versions that are taken then.
func (c *committer) find(pending []*request, cause error) []*request {
	c.unknown++
	c.ledger.cfg.Logger.LogAttrs(c.ledger.ctx, slog.LevelWarn, "outcome of a stock append is unknown",
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
	pending = c.learn(pending, tail, head, nil, before)
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

// learn takes in the tail: the stream's new end, what stands under keys, the answers that are in it. Taken is the
// error of an append that lost.
func (c *committer) learn(pending []*request, tail []event.Record, head event.Head, lost error, asked time.Time) []*request {
	standing := make(map[string]slot, len(tail))
	at := position{head: c.at.head, balance: c.at.balance, valid: true, readAt: asked}
	for i, r := range tail {
		s, err := readSlot(r)
		if err == nil && i == 0 && at.head.Version > 0 && r.PrevHash != at.head.Hash {
			err = fault.New(fault.Corrupt, "version %d of %s does not follow version %d", r.Version, c.stream, at.head.Version)
		}
		if err != nil {
			return c.fail(pending, err)
		}
		standing[r.Key] = s
		c.ledger.slots.Add(slotName{c.sku, r.Key}, s)
		at.head, at.balance = r.HeadOf(), s.after(at.balance)
	}
	if at.head != head {
		return c.fail(pending, fault.New(fault.Internal, "the tail of %s ends at version %d, not at its head %d",
			c.stream, at.head.Version, head.Version))
	}
	c.know(at)
	check(pending)
	answered := len(pending)
	pending = c.answerStanding(pending, standing)
	var taken *eventlog.TakenError
	if errors.As(lost, &taken) {
		pending = c.answerTaken(pending, taken)
	}
	answered -= len(pending)
	if answered == 0 && len(tail) == 0 && lost != nil {
		return c.fail(pending, fault.Wrap(lost, fault.Internal, "append to %s failed without a reason", c.stream))
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

// answerStanding answers the requests whose slots are filled in the tail. The tail reaches to the stream's end,
// so it says as well whether what it holds has been settled.
func (c *committer) answerStanding(pending []*request, standing map[string]slot) []*request {
	return keep(pending, func(r *request) bool {
		s, ok := standing[r.key]
		if ok {
			r.answer(answer{standing: s, settle: standing[SettleKey(r.orderID)], upToDate: true})
		}
		return !ok
	})
}

// answerTaken answers the requests for slots that were taken before the tail began. Where one is, more are likely: after
// a restart, a crowd asks for what it asked for before. They are all looked for at once, instead of losing one append
// for each.
func (c *committer) answerTaken(pending []*request, taken *eventlog.TakenError) []*request {
	found := c.lookUp(pending)
	found[taken.Key] = taken.Standing
	return keep(pending, func(r *request) bool {
		record, ok := found[r.key]
		if !ok {
			return true
		}
		s, err := readSlot(record)
		if err == nil {
			c.ledger.slots.Add(slotName{c.sku, r.key}, s)
		}
		r.answer(answer{standing: s, err: err})
		return false
	})
}

// lookUp returns what stands under the keys of the requests. What it cannot find out, the next append will.
func (c *committer) lookUp(pending []*request) map[string]event.Record {
	keys := make([]string, len(pending))
	for i, r := range pending {
		keys[i] = r.key
	}
	ctx, cancel := context.WithTimeout(c.ledger.ctx, c.ledger.cfg.AppendTimeout)
	defer cancel()
	found, err := c.ledger.cfg.Log.FindAll(ctx, c.stream, keys)
	if err != nil {
		c.ledger.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "taken slots are looked for one by one",
			slog.String("sku", c.sku), slog.Any("error", err))
	}
	if found == nil {
		found = make(map[string]event.Record)
	}
	return found
}

// fail answers every request with err and forgets where the stream stands.
func (c *committer) fail(pending []*request, err error) []*request {
	c.at, c.lost, c.unknown = position{}, 0, 0
	for _, r := range pending {
		r.answer(answer{err: err})
	}
	return nil
}

// pause waits a random time that grows with the attempts, so that committers of several processes do not meet
// again and again.
func (c *committer) pause(attempt int) {
	limit := min(firstPause<<min(attempt-1, 10), lastPause)
	timer := time.NewTimer(c.ledger.cfg.Jitter(limit))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ledger.ctx.Done():
	}
}

// check marks the requests: what the log said now was said after they came.
func check(pending []*request) {
	for _, r := range pending {
		r.checked = true
	}
}
