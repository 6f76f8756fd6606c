// Package refunds is the refund ledger of a payment: which refunds of it are reserved, so that no two of them give the same
// money back. Whoever is about to refund reserves the amount first and then calls the gateway, with a key of its own.
//
// The ledger is a stream of the event log, refunds-<reference>, where the reference is that of the payment. It is not
// published. It may import event and internal/fault.
//
// # Contract
//
//   - A key reserves once. Reserving again, at once or after a crash, returns what the key has reserved.
//   - Money that was captured and money that arrived late are capped separately: together, the reservations from a source
//     never exceed its limit, whatever runs at the same time.
//   - A reservation stays, whatever becomes of the gateway's call: an outcome that is unknown may have happened. What it
//     came to is recorded where the refund is decided: payment.refunded, or an operator's decision, in the slot that the
//     reservation is named after.
//
// Errors: Conflict when the key has reserved from another source, EffectSettled when everything is reserved already, those of
// the log.
package refunds

import (
	"context"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Source is where the money came from that is given back.
type Source string

// The sources.
const (
	// Captured is money that was captured.
	Captured Source = "captured"
	// Arrived is money that arrived although its payment did not stand.
	Arrived Source = "arrived"
)

// keyPrefix begins the slot of a reservation; the rest is its key.
const keyPrefix = "reserve/"

// Claim is a refund that is about to be made.
type Claim struct {
	// Reference is the payment's.
	Reference string
	// Key is the refund's; it is part of the key of the gateway's call.
	Key    string
	Source Source
	// Amount is how much shall be given back, at most; Limit is how much of the source there was in all. Both are above zero,
	// in minor units of Currency.
	Amount, Limit int64
	Currency      string
}

// Reservation is the data of refunds.reserved: an amount that the refund of its key alone may give back.
type Reservation struct {
	OrderID string `json:"orderId"`
	Key     string `json:"key"`
	Source  Source `json:"source"`
	// Amount is what is reserved, Limit is how much of the source there was in all, in minor units of Currency.
	Amount   int64  `json:"amount"`
	Limit    int64  `json:"limit"`
	Currency string `json:"currency"`
}

// Reserve reserves what is left of the source, up to the claim's amount, or returns what the key has reserved already.
func Reserve(ctx context.Context, log event.StreamAppender, c Claim, at time.Time) (Reservation, error) {
	stream := event.RefundsStream(c.Reference)
	var decided decision
	_, err := event.AppendUntil(ctx, log, stream, newLedger(), Ledger.fold, func(l Ledger) (entries []event.Entry, err error) {
		if decided, err = l.decide(c); err != nil || decided.known {
			return nil, err
		}
		if at.Before(l.updatedAt) {
			at = l.updatedAt
		}
		return []event.Entry{event.New(stream, keyPrefix+c.Key, event.RefundsReserved, c.Reference, at, decided.Reservation)}, nil
	})
	if err != nil {
		return Reservation{}, fault.Wrap(err, fault.CodeOf(err), "reserve refund %s of payment %s", c.Key, c.Reference)
	}
	return decided.Reservation, nil
}

// Ledger is what the reservations of a payment add up to. Fold makes it.
type Ledger struct {
	// ByKey are the reservations; Reserved and Limits are, for each source, their sum and the newest limit.
	ByKey    map[string]Reservation
	Reserved map[Source]int64
	Limits   map[Source]int64

	updatedAt time.Time
}

// Fold adds up a ledger's stream from its first record. Errors: Malformed, Unavailable for a newer version.
func Fold(records []event.Record) (Ledger, error) { return newLedger().fold(records) }

func newLedger() Ledger {
	return Ledger{ByKey: map[string]Reservation{}, Reserved: map[Source]int64{}, Limits: map[Source]int64{}}
}

// fold adds records to the ledger itself.
func (l Ledger) fold(records []event.Record) (Ledger, error) {
	for _, r := range records {
		l.updatedAt = r.Time
		if r.Type != event.RefundsReserved {
			continue
		}
		d, err := event.Decode[Reservation](r.Event)
		if err != nil {
			return l, fault.Wrap(err, fault.CodeOf(err), "version %d of stream %s", r.Version, r.Stream)
		}
		l.ByKey[strings.TrimPrefix(r.Key, keyPrefix)] = d
		l.Reserved[d.Source] += d.Amount
		l.Limits[d.Source] = max(l.Limits[d.Source], d.Limit)
	}
	return l, nil
}

// decision is a reservation; known reports that the ledger has it.
type decision struct {
	Reservation
	known bool
}

// decide is what a claim comes to.
func (l Ledger) decide(c Claim) (decision, error) {
	if r, known := l.ByKey[c.Key]; known {
		if r.Source != c.Source || r.Currency != c.Currency {
			return decision{}, fault.New(fault.Conflict, "refund %s of payment %s was reserved from another source, or in another currency", c.Key, c.Reference)
		}
		return decision{r, true}, nil
	}
	amount := min(c.Amount, c.Limit-l.Reserved[c.Source])
	if amount <= 0 {
		return decision{}, fault.New(fault.EffectSettled, "all of the %d %s of payment %s that were %s are reserved for other refunds", c.Limit, c.Currency, c.Reference, c.Source)
	}
	return decision{Reservation: Reservation{
		OrderID: c.Reference, Key: c.Key, Source: c.Source, Amount: amount, Limit: c.Limit, Currency: c.Currency,
	}}, nil
}
