package deadletter

import (
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Status is the status of a letter.
type Status string

// The statuses.
const (
	// StatusOpen waits for a decision.
	StatusOpen Status = "open"
	// StatusRetrying is being handled once more, alone; StatusRetried was, and the message did what it should.
	StatusRetrying Status = "retrying"
	StatusRetried  Status = "retried"
	// StatusReplaying was decided to be sent again; whether it was is not known. Replaying it again finishes that.
	StatusReplaying Status = "replaying"
	// StatusReplayed is in the inbox again, or was.
	StatusReplayed Status = "replayed"
	// StatusDiscarded will not be handled.
	StatusDiscarded Status = "discarded"
)

// Statuses lists all of them.
var Statuses = []Status{StatusOpen, StatusRetrying, StatusRetried, StatusReplaying, StatusReplayed, StatusDiscarded}

// Unsettled are the statuses of letters that wait for a decision.
var Unsettled = []Status{StatusOpen, StatusRetrying, StatusReplaying}

// Retry is the attempt to handle a letter alone. Failure is the code of its error, empty when there was none.
type Retry struct {
	Ended   bool
	Failure fault.Code
}

// Replay is one replay of a letter: what was decided, and whether the broker is known to have the message.
type Replay struct {
	ReplayData
	Sent bool
}

// State is the fold of a letter's stream.
type State struct {
	ID string
	// Head is the newest record that was folded.
	Head      event.Head
	Status    Status
	UpdatedAt time.Time
	// Type and Subject are the event's, as far as the log knows them.
	Type    string `json:"type"`
	Subject string `json:"subject"`
	// Retry is the attempt to handle the letter alone; nil when there was none.
	Retry *Retry
	// Replays are the replays, oldest first.
	Replays []Replay
	// Discards counts how often it was discarded.
	Discards int
	// Requests are the ids of the requests that were carried out.
	Requests []string
}

// Pending returns the newest replay when it is not known to be sent.
func (s State) Pending() (Replay, bool) {
	if s.Status != StatusReplaying {
		return Replay{}, false
	}
	return s.Replays[len(s.Replays)-1], true
}

// Fold returns the state that records make of s. Records that s knows already are passed over. Errors: Corrupt for a
// replay that was not requested, Malformed for data that cannot be read, Unavailable for a gap, and for a version that only a
// newer process knows.
func (s State) Fold(records []event.Record) (State, error) {
	next := s
	next.Replays, next.Requests = slices.Clone(s.Replays), slices.Clone(s.Requests)
	for _, r := range records {
		if r.Version <= next.Head.Version {
			continue
		}
		if r.Version != next.Head.Version+1 {
			return s, fault.Missing("stream %s has version %d where %d should be", r.Stream, r.Version, next.Head.Version+1)
		}
		if err := next.apply(r); err != nil {
			return s, fault.Wrap(err, fault.CodeOf(err), "fold version %d of stream %s", r.Version, r.Stream)
		}
	}
	return next, nil
}

// data has what is read of any event of a letter.
type data struct {
	ReplayData
	Reason  fault.Code `json:"reason"`
	Type    string     `json:"type"`
	Subject string     `json:"subject"`
}

// apply folds one record. Types that it does not know change nothing but the head.
func (s *State) apply(r event.Record) (err error) {
	if r.Event, err = r.Newest(); err != nil {
		return err
	}
	s.Head, s.UpdatedAt, s.ID = r.HeadOf(), r.Time, r.Subject
	if _, known := event.Find(r.Type); !known {
		return nil
	}
	d, err := event.Decode[data](r.Event)
	if err != nil {
		return err
	}
	switch r.Type {
	case event.DeadReceived:
		s.Status, s.Type, s.Subject = StatusOpen, d.Type, d.Subject
	case event.DeadRetryBegun:
		s.Status, s.Retry = StatusRetrying, &Retry{}
	case event.DeadRetried, event.DeadRetryFailed:
		s.Retry = &Retry{Ended: true, Failure: d.Reason}
		switch {
		case s.Status != StatusRetrying: // a decision that was made meanwhile stays
		case r.Type == event.DeadRetried:
			s.Status = StatusRetried
		default:
			s.Status = StatusOpen
		}
	case event.DeadReplayRequested:
		s.Status, s.Requests = StatusReplaying, append(s.Requests, d.RequestID)
		s.Replays = append(s.Replays, Replay{ReplayData: d.ReplayData})
	case event.DeadReplayed:
		if d.Replay < 1 || d.Replay > len(s.Replays) {
			return fault.New(fault.Corrupt, "replay %d was never asked for", d.Replay)
		}
		s.Replays[d.Replay-1].Sent = true
		// The letter may have been discarded, or replayed once more, since.
		if s.Status == StatusReplaying && d.Replay == len(s.Replays) {
			s.Status = StatusReplayed
		}
	case event.DeadDiscarded:
		s.Status, s.Discards, s.Requests = StatusDiscarded, s.Discards+1, append(s.Requests, d.RequestID)
	}
	return nil
}
