// Package onboarding is a customer: what their events mean, the decisions of the saga that takes them on, its workflow (run.go) and its
// activities.
//
// A customer's profile is personal data and only ever sealed here. The bus promises no order: the newest profile counts, by
// the time at which the event says that it happened, then by id.
//
// Nothing but the activities does I/O, reads a clock or makes a random ID.
package onboarding

import (
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Slots of the stream. A profile stands under the id of its event, behind SlotProfile.
const (
	SlotProfile   = "profile/"
	SlotOnboarded = "onboarded"
)

// Steps of the saga.
const (
	// StepRegister is the pivot: it stands in the log before the saga starts.
	StepRegister string = "register"
	// StepWelcome has the customer welcomed.
	StepWelcome string = "welcome"
	// StepPublish publishes the customer's events.
	StepPublish string = "publish"
)

// Profile is the personal data of a customer, as it is sealed.
type Profile struct {
	Email    string `json:"email"`
	Username string `json:"username,omitempty"`
}

// Registration is an event that says who a customer is.
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

// Onboarded is the data of customer.onboarded.
type Onboarded struct {
	CustomerID string `json:"customerId"`
	// Welcome tells that a welcome message is on its way.
	Welcome bool `json:"welcome"`
}

// Flow is how a customer's stream is folded. It never ends.
var Flow = saga.Flow[State, any]{Name: "customer", Stream: "customer", Subject: "customerId", Own: own}

// State is what a customer's stream tells. Fold makes it.
type State struct {
	saga.Saga
	CustomerID string `json:"customerId"`
	// Profile is the newest one; Since and ProfileID are what makes it so.
	Profile   sealed.Sealed `json:"profile,omitzero"`
	Since     time.Time     `json:"since,omitzero"`
	ProfileID string        `json:"profileId,omitempty"`
	// Onboarded tells that everything that a registration starts is started.
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

// notBefore keeps times from going back in a stream, whichever clock is behind.
func (s State) notBefore(at time.Time) time.Time {
	if at.Before(s.UpdatedAt) {
		return s.UpdatedAt
	}
	return at
}

// onboarded says that everything is started.
func (s State) onboarded(welcome bool, at time.Time) event.Entry {
	return event.New(event.CustomerStream(s.CustomerID), SlotOnboarded, event.CustomerOnboarded, s.CustomerID, s.notBefore(at),
		Onboarded{CustomerID: s.CustomerID, Welcome: welcome}).CausedBy(s.CorrelationID, s.LastEventID)
}

// Facts are what a run knows besides the log.
type Facts struct {
	// Published is the version up to which the broker has confirmed.
	Published int64 `json:"published,omitempty"`
	// Welcome tells that customers are welcomed; Welcomed that the message for this one is on its way.
	Welcome  bool `json:"welcome,omitempty"`
	Welcomed bool `json:"welcomed,omitempty"`
}

// Next decides what to do about a customer. It is pure. Record without an entry, of StepWelcome, starts the message.
func Next(s State, f Facts, now time.Time) saga.Action {
	switch {
	case !s.Known():
		return saga.Action{Kind: saga.Close}
	case !s.Onboarded && f.Welcome && !f.Welcomed:
		return saga.Action{Kind: saga.Record, Step: StepWelcome}
	case !s.Onboarded:
		return saga.Action{Kind: saga.Record, Entry: s.onboarded(f.Welcome, now)}
	case f.Published < s.Head.Version:
		return saga.Action{Kind: saga.Do, Step: StepPublish}
	}
	return saga.Action{Kind: saga.Close}
}
