// Package refunds is the refund ledger of a payment: it records reserved refunds, so that no money is refunded twice. A caller reserves the amount
// first and then calls the gateway, with its own key. Returns reserve quantities in it, so that no goods are returned twice (returns.go).
//
// The ledger is a stream of the event log, refunds-<reference>, with the reference of the payment. It is not published. It may import event and
// internal/fault.
//
// # Slots
//
// A refund has two slots, each written once:
//
//	reserve/<key>  refunds.reserved
//	settle/<key>   refunds.refunded | refunds.released
//
// A return has two more:
//
//	return/<key>    refunds.return_reserved
//	returned/<key>  refunds.return_settled
//
// A release without a reservation fences the key: a late Reserve finds it released. Streams of earlier versions have reservations alone.
//
// # Contract
//
//   - A key reserves once. A repeated call, concurrent or after a crash, returns the reservation of the key.
//   - Captured money and money that arrived late have separate limits: the sum of the reservations from a source that are not released never exceeds
//     its limit, also under concurrency.
//   - A reservation holds its amount until it is released, whatever the result of the gateway's call: an unknown outcome may have happened. It is
//     released only if the money is not refunded: the gateway refused it, or a person decided so. What is refunded is never released.
//   - A dispute that is open has reserved all that is left. If it is lost, its amount is refunded; otherwise it is released.
//   - The result of a refund of a lost parcel, a late payment or a compensation is recorded by its saga alone, in the slot that the reservation is
//     named after. Their reservations are permanent.
//
// Errors: Conflict if the key has a reservation from another source, EffectSettled if everything is reserved, or if the key is settled in the other
// way, and those of the log and of Claim.Price.
package refunds

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Source is the origin of refunded money.
type Source string

// The sources.
const (
	// Captured is money that was captured.
	Captured Source = "captured"
	// Arrived is money that arrived for a payment that was voided.
	Arrived Source = "arrived"
)

// Prefixes of slots, before the key of the refund.
const (
	reservePrefix = "reserve/"
	settlePrefix  = "settle/"
)

// Prefixes of keys: of refunds on request, and of disputes, which reserve what is left of a payment while they are open.
const (
	RequestPrefix = "refund-"
	DisputePrefix = "dispute-"
)

// OnRequest reports whether a key is that of a refund on request.
func OnRequest(key string) bool { return strings.HasPrefix(key, RequestPrefix) }

// SagaOf is the refund or the dispute that a key is of; empty for a key of another saga.
func SagaOf(key string) (flow, id string) {
	for _, prefix := range []string{RequestPrefix, DisputePrefix} {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			if id, ok = event.Unescape(name); ok {
				return strings.TrimSuffix(prefix, "-"), id
			}
		}
	}
	return "", ""
}

// Claim is a refund to reserve.
type Claim struct {
	// Reference is the reference of the payment.
	Reference string
	// Key is the key of the refund; it is part of the key of the gateway's call.
	Key    string
	Source Source
	// Amount is the maximum to refund; Limit is the total money of the source. Both are above zero, in minor units of Currency.
	Amount, Limit int64
	Currency      string
	// Price returns the amount and the lines in the place of Amount, by what the ledger has. All of it is reserved, or its error is returned.
	Price func(l Ledger) (amount int64, lines []Line, err error)
	// Return is the key of the return whose goods are refunded; "" for none.
	Return string
}

// Line is a line of an order, by its position from 1, of which a quantity is refunded with its amount.
type Line struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
	Amount   int64 `json:"amount"`
}

// Reservation is the data of refunds.reserved: the maximum amount of the refund with this key.
type Reservation struct {
	OrderID string `json:"orderId"`
	Key     string `json:"key"`
	Source  Source `json:"source"`
	// Amount is the reserved amount; Limit is the total money of the source, in minor units of Currency.
	Amount   int64  `json:"amount"`
	Limit    int64  `json:"limit"`
	Currency string `json:"currency"`
	// Lines are what is refunded; nil for an amount without lines.
	Lines []Line `json:"lines,omitempty"`
	// Return is the key of the return whose goods are refunded: their quantities are the return's.
	Return string `json:"return,omitempty"`

	// Released reports that nothing is refunded any more, Refunded that the gateway has refunded the amount.
	Released bool `json:"-"`
	Refunded bool `json:"-"`
}

// Settlement is the data of refunds.refunded and refunds.released.
type Settlement struct {
	OrderID string `json:"orderId"`
	Key     string `json:"key"`
}

// Reserve reserves the rest of the source, up to the amount of the claim, or what Price says; or it returns the existing reservation of the key,
// which may be released.
func Reserve(ctx context.Context, log event.StreamAppender, c Claim, at time.Time) (Reservation, error) {
	var decided Reservation
	_, err := write(ctx, log, c.Reference, at, func(l Ledger) (key, kind string, data any, err error) {
		var known bool
		if decided, known, err = l.decide(c); err != nil || known {
			return "", "", nil, err
		}
		return reservePrefix + c.Key, event.RefundsReserved, decided, nil
	})
	if err != nil {
		return Reservation{}, fault.Wrap(err, fault.CodeOf(err), "reserve refund %s of payment %s", c.Key, c.Reference)
	}
	return decided, nil
}

// Refunded records that the gateway has refunded what a key has reserved. Errors: EffectSettled if it is released, or was never reserved.
func Refunded(ctx context.Context, log event.StreamAppender, reference, key string, at time.Time) error {
	return settle(ctx, log, reference, key, event.RefundsRefunded, at)
}

// Release frees what a key has reserved, whether or not it has, and prevents a later reservation. Errors: EffectSettled if it is refunded.
func Release(ctx context.Context, log event.StreamAppender, reference, key string, at time.Time) error {
	return settle(ctx, log, reference, key, event.RefundsReleased, at)
}

func settle(ctx context.Context, log event.StreamAppender, reference, key, kind string, at time.Time) error {
	_, err := write(ctx, log, reference, at, func(l Ledger) (string, string, any, error) {
		r, known := l.ByKey[key]
		release := kind == event.RefundsReleased
		switch {
		case release && r.Released, !release && r.Refunded:
			return "", "", nil, nil
		case r.Released:
			return "", "", nil, fault.New(fault.EffectSettled, "the reservation is released")
		case r.Refunded:
			return "", "", nil, fault.New(fault.EffectSettled, "the amount is refunded")
		case !known && !release:
			return "", "", nil, fault.New(fault.EffectSettled, "nothing is reserved")
		}
		return settlePrefix + key, kind, Settlement{OrderID: reference, Key: key}, nil
	})
	return fault.Wrap(err, fault.CodeOf(err), "settle refund %s of payment %s", key, reference)
}

// write appends what decide returns, unless it returns no kind.
func write(
	ctx context.Context, log event.StreamAppender, reference string, at time.Time, decide func(l Ledger) (key, kind string, data any, err error),
) (Ledger, error) {
	stream := event.RefundsStream(reference)
	return event.AppendUntil(ctx, log, stream, newLedger(), Ledger.fold, func(l Ledger) ([]event.Entry, error) {
		key, kind, data, err := decide(l)
		if err != nil || kind == "" {
			return nil, err
		}
		if at.Before(l.updatedAt) {
			at = l.updatedAt
		}
		return []event.Entry{event.New(stream, key, kind, reference, at, data)}, nil
	})
}

// Load folds the ledger of a payment as it is. Errors: those of the log and of Fold.
func Load(ctx context.Context, log event.StreamReader, reference string) (Ledger, error) {
	return event.FoldPages(ctx, log, event.RefundsStream(reference), 0, newLedger(), Ledger.fold)
}

// Ledger has the reservations of a payment. Fold returns it.
type Ledger struct {
	// ByKey has the reservations, and keys that were released before they reserved; Keys are those that have reserved, in the order of the stream.
	ByKey map[string]Reservation
	Keys  []string
	// Reserved is the sum of the reservations that are not released, by source; Limits is the highest limit.
	Reserved map[Source]int64
	Limits   map[Source]int64
	// Returns has the returns by their keys, and keys that were released before they reserved; ReturnKeys are those that have reserved.
	Returns    map[string]Return
	ReturnKeys []string

	updatedAt time.Time
}

// Fold folds a complete stream. Errors: Malformed, Unavailable for a newer version.
func Fold(records []event.Record) (Ledger, error) { return newLedger().fold(records) }

func newLedger() Ledger {
	return Ledger{ByKey: map[string]Reservation{}, Reserved: map[Source]int64{}, Limits: map[Source]int64{}, Returns: map[string]Return{}}
}

// fold adds records to l, which it changes.
func (l Ledger) fold(records []event.Record) (Ledger, error) {
	for _, r := range records {
		l.updatedAt = r.Time
		switch r.Type {
		case event.RefundsReserved:
			d, err := event.Decode[Reservation](r.Event)
			if err != nil {
				return l, fault.Wrap(err, fault.CodeOf(err), "version %d of stream %s", r.Version, r.Stream)
			}
			key := strings.TrimPrefix(r.Key, reservePrefix)
			l.ByKey[key], l.Keys = d, append(slices.Clip(l.Keys), key)
			l.Reserved[d.Source] += d.Amount
			l.Limits[d.Source] = max(l.Limits[d.Source], d.Limit)
		case event.RefundsRefunded, event.RefundsReleased:
			key := strings.TrimPrefix(r.Key, settlePrefix)
			reserved := l.ByKey[key]
			if reserved.Refunded, reserved.Released = r.Type == event.RefundsRefunded, r.Type == event.RefundsReleased; reserved.Released {
				l.Reserved[reserved.Source] -= reserved.Amount
			}
			l.ByKey[key] = reserved
		default:
			if err := l.foldReturn(r); err != nil {
				return l, fault.Wrap(err, fault.CodeOf(err), "version %d of stream %s", r.Version, r.Stream)
			}
		}
	}
	return l, nil
}

// Disputed reports whether a dispute of the payment is open.
func (l Ledger) Disputed() bool {
	return slices.ContainsFunc(l.Keys, func(key string) bool {
		r := l.ByKey[key]
		return strings.HasPrefix(key, DisputePrefix) && !r.Released && !r.Refunded
	})
}

// Left is what can still be reserved of a source.
func (l Ledger) Left(source Source, limit int64) int64 { return max(limit-l.Reserved[source], 0) }

// decide returns the reservation for a claim; known reports that it is already in the ledger.
func (l Ledger) decide(c Claim) (r Reservation, known bool, err error) {
	if r, known := l.ByKey[c.Key]; known {
		if !r.Released && (r.Source != c.Source || r.Currency != c.Currency) {
			return r, false, fault.New(fault.Conflict, "refund %s of payment %s was reserved from another source, or in another currency", c.Key, c.Reference)
		}
		return r, true, nil
	}
	left := l.Left(c.Source, c.Limit)
	amount, lines := min(c.Amount, left), []Line(nil)
	if c.Price != nil {
		if amount, lines, err = c.Price(l); err != nil {
			return r, false, err
		}
	}
	if amount <= 0 || amount > left {
		return r, false, fault.New(fault.EffectSettled, "only %d of the %d %s of payment %s (%s) are not reserved for other refunds",
			left, c.Limit, c.Currency, c.Reference, c.Source)
	}
	return Reservation{
		OrderID: c.Reference, Key: c.Key, Source: c.Source, Amount: amount, Limit: c.Limit, Currency: c.Currency, Lines: lines,
		Return: c.Return,
	}, false, nil
}
