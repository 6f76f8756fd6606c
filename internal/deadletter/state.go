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
	// StatusRetrying is being retried; in StatusRetried the retry succeeded.
	StatusRetrying Status = "retrying"
	StatusRetried  Status = "retried"
	// StatusReplaying is to be replayed; it is not known whether the message was sent. Another replay completes it.
	StatusReplaying Status = "replaying"
	// StatusReplayed was sent to its queue again.
	StatusReplayed Status = "replayed"
	// StatusDiscarded will not be handled.
	StatusDiscarded Status = "discarded"
)

// Statuses has all statuses.
var Statuses = []Status{StatusOpen, StatusRetrying, StatusRetried, StatusReplaying, StatusReplayed, StatusDiscarded}

// Undecided are the statuses of letters that wait for a decision.
var Undecided = []Status{StatusOpen, StatusRetrying, StatusReplaying}

// Retry is the automatic retry. Failure is the code of its error, or "".
type Retry struct {
	Ended   bool
	Failure fault.Code
}

// Replay is a replay of a letter: the decision, and whether the message is known to be sent.
type Replay struct {
	ReplayData
	Sent bool
}

// State is the fold of a letter's stream.
type State struct {
	ID string
	// Head is the newest folded record.
	Head      event.Head
	Status    Status
	UpdatedAt time.Time
	// Type and Subject of the event, if known.
	Type    string `json:"type"`
	Subject string `json:"subject"`
	// Retry is nil if there was none.
	Retry *Retry
	// Replays has the replays, oldest first.
	Replays []Replay
	// Discards is the number of discards.
	Discards int
	// Requests are the IDs of executed requests.
	Requests []string
}

// Pending returns the newest replay if it is not known to be sent.
func (s State) Pending() (Replay, bool) {
	if s.Status != StatusReplaying {
		return Replay{}, false
	}
	return s.Replays[len(s.Replays)-1], true
}

// Fold returns s with records applied. Records that s already includes are skipped. Errors: Corrupt for a replay that was not requested,
// Malformed for unreadable data, Unavailable for a gap, or for an event of a newer version of this service.
func (s State) Fold(records []event.Record) (State, error) {
	next := s
	next.Replays, next.Requests = slices.Clone(s.Replays), slices.Clone(s.Requests)
	for _, r := range records {
		if r.Version <= next.Head.Version {
			continue
		}
		if r.Version != next.Head.Version+1 {
			return s, fault.Missing("stream %s has version %d where %d was expected", r.Stream, r.Version, next.Head.Version+1)
		}
		if err := next.apply(r); err != nil {
			return s, fault.Wrap(err, fault.CodeOf(err), "fold version %d of stream %s", r.Version, r.Stream)
		}
	}
	return next, nil
}

// data has the fields of all events of a letter.
type data struct {
	ReplayData
	Reason  fault.Code `json:"reason"`
	Type    string     `json:"type"`
	Subject string     `json:"subject"`
}

// apply folds one record. Unknown types change only the head.
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
		case s.Status != StatusRetrying: // a decision was made meanwhile
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
			return fault.New(fault.Corrupt, "replay %d was not requested", d.Replay)
		}
		s.Replays[d.Replay-1].Sent = true
		// Meanwhile the letter may have been discarded, or replayed again.
		if s.Status == StatusReplaying && d.Replay == len(s.Replays) {
			s.Status = StatusReplayed
		}
	case event.DeadDiscarded:
		s.Status, s.Discards, s.Requests = StatusDiscarded, s.Discards+1, append(s.Requests, d.RequestID)
	}
	return nil
}
