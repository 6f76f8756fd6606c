package inbound

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
)

// maxAhead is how far a sender's clock may be ahead.
const maxAhead = time.Hour

// register seals what a customer says about themselves, writes it down, and has it published. From here on it is in the clear only for
// what sends a message to them.
func (x *Executor) register(ctx context.Context, c RegisterCustomer) error {
	raw, err := json.Marshal(c.Profile)
	if err != nil {
		return fault.New(fault.Internal, "the profile of customer %s cannot be written", c.Subject)
	}
	profile, err := x.Sealer.Seal(ctx, c.Subject, raw)
	if err != nil {
		return err
	}
	now, at := x.Clock(), c.OccurredAt
	if at.IsZero() || at.After(now.Add(maxAhead)) {
		// A clock that is ahead must not shut out what comes after it.
		at = now
	}
	state, stored, err := onboarding.Register(ctx, x.Log, onboarding.Registration{
		ID: c.Key, CustomerID: c.Subject, OccurredAt: at.UTC().Truncate(event.TimeResolution), Profile: profile,
		CorrelationID: c.CorrelationID, CausationID: c.EventID,
	}, now)
	if err == nil {
		err = x.sameProfile(ctx, c, stored)
	}
	if err != nil {
		return err
	}
	return x.Onboard(ctx, c.Subject, state.Head.Version != 1)
}

// sameProfile compares what an event says with the record in its slot, which an earlier event with the same identity may have
// written. The error is Conflict when the record says something else. What was outdated was not kept, and what was erased
// cannot be opened: then nothing says that it was something else.
func (x *Executor) sameProfile(ctx context.Context, c RegisterCustomer, stored event.Record) error {
	d, err := event.Decode[onboarding.ProfileData](stored.Event)
	if err != nil || d.Sealed == "" {
		return err
	}
	raw, err := x.Sealer.Open(ctx, c.Subject, sealed.Sealed{KeyID: d.KeyID, Text: d.Sealed})
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	var before onboarding.Profile
	if err == nil {
		err = json.Unmarshal(raw, &before)
	}
	if err != nil {
		return fault.Wrap(err, cmp.Or(fault.CodeOf(err), fault.Corrupt), "compare the profile of customer %s", c.Subject)
	}
	if before != c.Profile {
		return fault.New(fault.Conflict, "the event ID was already used with a different profile of customer %s", c.Subject)
	}
	return nil
}
