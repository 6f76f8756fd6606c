package service

import (
	"context"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
)

// Erased is what an erasure did.
type Erased struct {
	CustomerID string `json:"customerId"`
	// KeyID is the ID of the deleted key; empty if the customer had none.
	KeyID string `json:"keyId,omitempty"`
	// DeadLetters are the IDs of the deleted dead letters.
	DeadLetters []string `json:"deadLetters"`
	// Before is the newest erasure before this one, if the customer had no key; BeforeAt is when it was recorded.
	Before   *onboarding.Erasure `json:"before,omitempty"`
	BeforeAt *time.Time          `json:"beforeAt,omitempty"`
}

// Erase makes the personal data of a customer unreadable: it records and publishes customer.erased, deletes the key of the customer, and discards
// and deletes the dead letters that name the customer. Progress gets the number of dead letters that were read. It may be repeated, and must be
// after an error. Errors: Invalid, Unavailable; before the first change also if a dead letter cannot be opened.
func (s *Service) Erase(ctx context.Context, customerID, by string, progress func(read int)) (Erased, error) {
	e := Erased{CustomerID: customerID, DeadLetters: []string{}}
	var fields []fault.Field
	if !event.ValidID(customerID) {
		fields = append(fields, fault.Fieldf("/customer", "%s", event.IDRule))
	}
	if !event.ValidToken(by) {
		fields = append(fields, fault.Fieldf("/by", "%s", event.TokenRule))
	}
	if err := fault.NewInvalid("erasure", fields); err != nil {
		return e, err
	}
	letters := s.DeadLetters()
	named, err := letters.About(ctx, customerID, progress)
	if err != nil {
		return e, err
	}
	if err := s.eraseKey(ctx, &e, by); err != nil {
		return e, err
	}
	for _, id := range named {
		if err := letters.Erase(ctx, id, by); err != nil {
			return e, err
		}
		e.DeadLetters = append(e.DeadLetters, id)
	}
	return e, nil
}

// eraseKey records the erasure before it deletes the key. If it is interrupted, the next one finds the key, or the record that is to be published.
func (s *Service) eraseKey(ctx context.Context, e *Erased, by string) error {
	keys := mongo.NewKeys(s.stores.db)
	key, err := keys.Get(ctx, e.CustomerID)
	var known bool
	switch {
	case errors.Is(err, fault.NotFound):
		before, at, found, err := onboarding.Erased(ctx, s.stores.log, e.CustomerID)
		if err != nil || !found {
			return err
		}
		known, e.Before, e.BeforeAt = true, &before, &at
	case err != nil:
		return err
	default:
		if known, err = onboarding.Erase(ctx, s.stores.log, onboarding.Erasure{CustomerID: e.CustomerID, KeyID: key.ID, By: by}, time.Now()); err != nil {
			return err
		}
		if err := keys.Erase(ctx, e.CustomerID); err != nil {
			return err
		}
		e.KeyID = key.ID
	}
	if !known {
		return nil
	}
	return s.onboard(ctx, e.CustomerID, true)
}
