// Package onboarding is a customer: what their events mean, the table of the saga that takes them on (flow.go), and how registrations are
// written (register.go).
//
// A customer's profile is personal data and only ever sealed here. The bus promises no order: the newest profile counts, by
// the time at which the event says that it happened, then by id.
//
// Nothing but the step function and Register does I/O, reads a clock or makes a random ID.
package onboarding

import (
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Slots of the stream. A profile is stored under the id of its event, after SlotProfile.
const (
	SlotProfile   = "profile/"
	SlotOnboarded = "onboarded"
)

// Profile is the personal data of a customer, as it is sealed.
type Profile struct {
	Email    string `json:"email"`
	Username string `json:"username,omitempty"`
}

// Registration is an event with the profile of a customer.
type Registration struct {
	// ID makes it one, however often it comes.
	ID         string
	CustomerID string
	// OccurredAt is when the customer said so.
	OccurredAt time.Time
	Profile    sealed.Sealed
	// CorrelationID and CausationID are for the customer's event.
	CorrelationID, CausationID string
}

// ProfileData is the data of customer.registered and customer.profile_updated; customer.profile_outdated has nothing
// sealed.
type ProfileData struct {
	CustomerID string    `json:"customerId"`
	OccurredAt time.Time `json:"occurredAt"`
	KeyID      string    `json:"keyId,omitempty"`
	Sealed     string    `json:"sealed,omitempty"`
}

// Onboarded is the data of customer.onboarded, but for the customer's ID.
type Onboarded struct {
	// Welcome reports that a welcome message was started.
	Welcome bool `json:"welcome"`
}

// State is the state of a customer's stream, computed by Fold.
type State struct {
	saga.Saga
	CustomerID string `json:"customerId"`
	// Profile is the newest one; Since and ProfileID are what makes it so.
	Profile   sealed.Sealed `json:"profile,omitzero"`
	Since     time.Time     `json:"since,omitzero"`
	ProfileID string        `json:"profileId,omitempty"`
	// Onboarded reports that everything that a registration starts is started.
	Onboarded bool `json:"onboarded,omitempty"`
}

// Known reports whether the customer has registered.
func (s State) Known() bool { return s.Opened() }

// Fold returns the state that records make of s; see saga.Flow.Fold.
func (s State) Fold(records []event.Record) (State, error) { return Flow.Fold(s, records) }

// own folds what only a customer's events say. What follows belongs to the newest request.
func own(s *State, r event.Record) error {
	s.CustomerID, s.CorrelationID = r.Subject, r.CorrelationID
	switch r.Type {
	case event.CustomerRegistered, event.CustomerProfileUpdated:
		return event.DecodeInto(r.Event, func(d ProfileData) {
			s.Profile, s.Since, s.ProfileID = sealed.Sealed{KeyID: d.KeyID, Text: d.Sealed}, d.OccurredAt, strings.TrimPrefix(r.Key, SlotProfile)
		})
	case event.CustomerOnboarded:
		s.Onboarded = true
	}
	return nil
}

// Registered is the event that a registration becomes: the first one makes the customer known, a newer one updates the
// profile, and an older one changes nothing, and nothing of it is kept.
func (s State) Registered(r Registration, at time.Time) event.Entry {
	d := ProfileData{CustomerID: r.CustomerID, OccurredAt: r.OccurredAt.UTC(), KeyID: r.Profile.KeyID, Sealed: r.Profile.Text}
	eventType := event.CustomerProfileUpdated
	switch {
	case !s.Known():
		eventType = event.CustomerRegistered
	case !s.olderThan(r):
		eventType, d.KeyID, d.Sealed = event.CustomerProfileOutdated, "", ""
	}
	return event.New(event.CustomerStream(r.CustomerID), SlotProfile+r.ID, eventType, r.CustomerID, s.notBefore(at), d).
		CausedBy(r.CorrelationID, r.CausationID)
}

// olderThan reports whether the standing profile is older than a registration.
func (s State) olderThan(r Registration) bool {
	if s.Since.Equal(r.OccurredAt) {
		return s.ProfileID < r.ID
	}
	return s.Since.Before(r.OccurredAt)
}

// notBefore keeps times from going back in a stream, even if a clock does.
func (s State) notBefore(at time.Time) time.Time {
	if at.Before(s.UpdatedAt) {
		return s.UpdatedAt
	}
	return at
}
