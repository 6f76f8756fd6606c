// Package refunds is the refund ledger of a payment: it records reserved refunds, so that no money is refunded twice. A caller reserves the amount
// first and then calls the gateway, with its own key.
//
// The ledger is a stream of the event log, refunds-<reference>, with the reference of the payment. It is not published. It may import event and
// internal/fault.
//
// # Contract
//
//   - A key reserves once. A repeated call, concurrent or after a crash, returns the reservation of the key.
//   - Captured money and money that arrived late have separate limits: the sum of the reservations from a source never exceeds its limit, also
//     under concurrency.
//   - A reservation is permanent, whatever the result of the gateway's call: an unknown outcome may have happened. The result is recorded by
//     the caller, as payment.refunded or as an intervention, in the slot that the reservation is named after.
//
// Errors: Conflict if the key has a reservation from another source, EffectSettled if everything is reserved, and those of the log.
package refunds

import (
	"context"
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

// keyPrefix is the prefix of the slot of a reservation, before its key.
const keyPrefix = "reserve/"

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
}

// Reserve reserves the rest of the source, up to the amount of the claim, or returns the existing reservation of the key.
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

// Ledger has the reservations of a payment. Fold returns it.
type Ledger struct {
	// ByKey has the reservations; Reserved and Limits have their sum and the highest limit by source.
	ByKey    map[string]Reservation
	Reserved map[Source]int64
	Limits   map[Source]int64

	updatedAt time.Time
}

// Fold folds a complete stream. Errors: Malformed, Unavailable for a newer version.
func Fold(records []event.Record) (Ledger, error) { return newLedger().fold(records) }

func newLedger() Ledger {
	return Ledger{ByKey: map[string]Reservation{}, Reserved: map[Source]int64{}, Limits: map[Source]int64{}}
}

// fold adds records to l, which it changes.
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

// decision is a reservation; known is set if it is already in the ledger.
type decision struct {
	Reservation
	known bool
}

// decide returns the reservation for a claim.
func (l Ledger) decide(c Claim) (decision, error) {
	if r, known := l.ByKey[c.Key]; known {
		if r.Source != c.Source || r.Currency != c.Currency {
			return decision{}, fault.New(fault.Conflict, "refund %s of payment %s was reserved from another source, or in another currency", c.Key, c.Reference)
		}
		return decision{r, true}, nil
	}
	amount := min(c.Amount, c.Limit-l.Reserved[c.Source])
	if amount <= 0 {
		return decision{}, fault.New(fault.EffectSettled, "all %d %s of payment %s (%s) are reserved for other refunds", c.Limit, c.Currency, c.Reference, c.Source)
	}
	return decision{Reservation: Reservation{
		OrderID: c.Reference, Key: c.Key, Source: c.Source, Amount: amount, Limit: c.Limit, Currency: c.Currency,
	}}, nil
}
