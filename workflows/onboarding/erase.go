package onboarding

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// SlotErased begins the slot of an erasure. The ID of the deleted key follows: a customer who registers again has another key.
const SlotErased = "erased/"

// Erasure is the data of customer.erased.
type Erasure struct {
	CustomerID string `json:"customerId"`
	// KeyID is the ID of the key that is deleted.
	KeyID string `json:"keyId"`
	// By is the person who requested it.
	By string `json:"by"`
}

// Erase records, once for a key, that the key of a customer is deleted. It reports whether the customer has a stream; without one, nothing is
// recorded, because nothing was encrypted with the key. Errors: those of the log.
func Erase(ctx context.Context, log event.StreamAppender, e Erasure, at time.Time) (known bool, err error) {
	stream, recorded := event.CustomerStream(e.CustomerID), false
	fold := func(s State, page []event.Record) (State, error) {
		recorded = recorded || slices.ContainsFunc(page, func(r event.Record) bool { return r.Key == SlotErased+e.KeyID })
		return s.Fold(page)
	}
	state, err := event.AppendUntil(ctx, log, stream, State{CustomerID: e.CustomerID}, fold, func(s State) ([]event.Entry, error) {
		if recorded || !s.Known() {
			return nil, nil
		}
		return []event.Entry{
			event.New(stream, SlotErased+e.KeyID, event.CustomerErased, e.CustomerID, s.notBefore(at), e).CausedBy(s.CorrelationID, s.LastEventID),
		}, nil
	})
	return state.Known(), fault.Wrap(err, fault.CodeOf(err), "record the erasure of customer %s", e.CustomerID)
}

// Erased returns the newest erasure of a customer, and when it was recorded; ok is false if there is none. Errors: those of the log.
func Erased(ctx context.Context, log event.StreamReader, customerID string) (e Erasure, at time.Time, ok bool, err error) {
	_, err = event.FoldPages(ctx, log, event.CustomerStream(customerID), 0, struct{}{}, func(s struct{}, page []event.Record) (struct{}, error) {
		for _, r := range page {
			if r.Type != event.CustomerErased {
				continue
			}
			if e, err = event.Decode[Erasure](r.Event); err != nil {
				return s, err
			}
			at, ok = r.Time, true
		}
		return s, nil
	})
	return e, at, ok, err
}
