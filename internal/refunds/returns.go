package refunds

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Prefixes of the slots of returns, before their keys.
const (
	returnPrefix   = "return/"
	returnedPrefix = "returned/"
)

// Units are how many of a line, by its position from 1.
type Units struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
}

// Return is the data of refunds.return_reserved and refunds.return_settled: the quantities that a return holds, and no money.
type Return struct {
	OrderID string `json:"orderId"`
	Key     string `json:"key"`
	// Lines are announced, or received once the return is settled: nothing for a return that did not come about.
	Lines []Units `json:"lines"`

	// Settled reports that the quantities are final.
	Settled bool `json:"-"`
}

// ReserveReturn reserves the quantities that announce returns by what the ledger has, or it returns the existing return of the key, which may be
// settled. Errors: those of the log and of announce.
func ReserveReturn(
	ctx context.Context, log event.StreamAppender, reference, key string, announce func(l Ledger) ([]Units, error), at time.Time,
) (Return, error) {
	var decided Return
	_, err := write(ctx, log, reference, at, func(l Ledger) (string, string, any, error) {
		if known, ok := l.Returns[key]; ok {
			decided = known
			return "", "", nil, nil
		}
		lines, err := announce(l)
		decided = Return{OrderID: reference, Key: key, Lines: lines}
		return returnPrefix + key, event.RefundsReturnReserved, decided, err
	})
	if err != nil {
		return Return{}, fault.Wrap(err, fault.CodeOf(err), "reserve return %s of payment %s", key, reference)
	}
	return decided, nil
}

// SettleReturn makes the received quantities of a return final, and frees the others. Without any, it releases the return, whether or not it has
// reserved, and prevents that it reserves later. Errors: EffectSettled if other quantities are final, or more than was reserved is received.
func SettleReturn(ctx context.Context, log event.StreamAppender, reference, key string, received []Units, at time.Time) error {
	_, err := write(ctx, log, reference, at, func(l Ledger) (string, string, any, error) {
		r, known := l.Returns[key]
		switch {
		case r.Settled && slices.Equal(r.Lines, received):
			return "", "", nil, nil
		case r.Settled:
			return "", "", nil, fault.New(fault.EffectSettled, "other quantities are final")
		case !known && len(received) > 0, !r.holds(received):
			return "", "", nil, fault.New(fault.EffectSettled, "more is received than was reserved")
		}
		return returnedPrefix + key, event.RefundsReturnSettled, Return{OrderID: reference, Key: key, Lines: append([]Units{}, received...)}, nil
	})
	return fault.Wrap(err, fault.CodeOf(err), "settle return %s of payment %s", key, reference)
}

// holds reports whether no line has more than the return has reserved of it.
func (r Return) holds(lines []Units) bool {
	return !slices.ContainsFunc(lines, func(u Units) bool { return u.Quantity > r.Quantity(u.Line) })
}

// Quantity is how many of a line the return has.
func (r Return) Quantity(line int) (n int64) {
	for _, u := range r.Lines {
		if u.Line == line {
			n += u.Quantity
		}
	}
	return n
}

// Taken is how many of each line refunds and returns have: those of the refund of a return are the return's.
func (l Ledger) Taken() map[int]int64 {
	taken := make(map[int]int64)
	for _, r := range l.ByKey {
		if r.Released || r.Return != "" {
			continue
		}
		for _, line := range r.Lines {
			taken[line.Line] += line.Quantity
		}
	}
	for _, r := range l.Returns {
		for _, u := range r.Lines {
			taken[u.Line] += u.Quantity
		}
	}
	return taken
}

// Returned is how many of each line came back, by returns that are settled.
func (l Ledger) Returned() map[int]int64 {
	returned := make(map[int]int64)
	for _, r := range l.Returns {
		if r.Settled {
			for _, u := range r.Lines {
				returned[u.Line] += u.Quantity
			}
		}
	}
	return returned
}

// foldReturn adds a record about a return.
func (l *Ledger) foldReturn(r event.Record) error {
	if r.Type != event.RefundsReturnReserved && r.Type != event.RefundsReturnSettled {
		return nil
	}
	d, err := event.Decode[Return](r.Event)
	if err != nil {
		return err
	}
	key, reserved := strings.CutPrefix(r.Key, returnPrefix)
	if reserved {
		l.ReturnKeys = append(slices.Clip(l.ReturnKeys), key)
	} else {
		key, d.Settled = strings.TrimPrefix(r.Key, returnedPrefix), true
		if len(d.Lines) == 0 {
			d.Lines = nil
		}
	}
	l.Returns[key] = d
	return nil
}
