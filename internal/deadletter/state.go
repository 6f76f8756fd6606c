package deadletter

import (
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Status is where a letter stands.
type Status string

// The statuses.
const (
	// StatusOpen waits for somebody.
	StatusOpen Status = "open"
	// StatusRetrying is being handled once more, alone.
	StatusRetrying Status = "retrying"
	// StatusRetried is settled: handled alone, the message did what it should.
	StatusRetried Status = "retried"
	// StatusReplaying was decided to be sent again; whether it was is not known. Replaying it again finishes that.
	StatusReplaying Status = "replaying"
	// StatusReplayed is in the inbox again, or was.
	StatusReplayed Status = "replayed"
	// StatusDiscarded is settled: nothing is to come of it.
	StatusDiscarded Status = "discarded"
)

// Statuses lists all of them.
var Statuses = []Status{StatusOpen, StatusRetrying, StatusRetried, StatusReplaying, StatusReplayed, StatusDiscarded}

// Unsettled are the statuses of letters that wait for somebody.
var Unsettled = []Status{StatusOpen, StatusRetrying, StatusReplaying}

// Retry is the attempt to handle a letter alone.
type Retry struct {
	// Ended tells that its outcome is known.
	Ended bool
	// Failure is the code of the error; empty when there was none.
	Failure fault.Code
}

// Replay is one replay of a letter.
type Replay struct {
	// Number counts the replays of the letter, from 1.
	Number int
	// Hash is the payload's that is sent; Replaced tells that it is not the letter's own.
	Hash     string
	Replaced bool
	By       string
	// Sent tells that the broker has it.
	Sent bool
}

// State is what a letter's stream tells. Fold makes it.
type State struct {
	ID string
	// Head is the newest record that was folded.
	Head      event.Head
	Status    Status
	UpdatedAt time.Time
	// Type and Subject are the event's, as far as the log knows them.
	Type, Subject string
	// Retry is the attempt to handle the letter alone; nil when there was none.
	Retry *Retry
	// Replays are the replays, oldest first.
	Replays []Replay
	// Discards counts how often it was discarded.
	Discards int
	// Requests are the ids of what was asked for.
	Requests []string
}

// Kept reports whether the stream has its first event.
func (s State) Kept() bool { return s.Head.Version > 0 }

// Pending returns the newest replay when it is not known to be sent.
func (s State) Pending() (Replay, bool) {
	if s.Status != StatusReplaying {
		return Replay{}, false
	}
	return s.Replays[len(s.Replays)-1], true
}

// Fold returns the state that records make of s. Records that s knows already are passed over. Errors: Corrupt for a
// replay that nobody asked for, Malformed for data that cannot be read, Unavailable for a gap, and for a version that only a
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

// apply folds one record. Types that it does not know change nothing but the head.
func (s *State) apply(r event.Record) (err error) {
	if r.Event, err = r.Newest(); err != nil {
		return err
	}
	s.Head, s.UpdatedAt, s.ID = r.HeadOf(), r.Time, r.Subject
	switch r.Type {
	case event.DeadReceived:
		d, err := event.Decode[ReceivedData](r.Event)
		if err != nil {
			return err
		}
		s.Status, s.Type, s.Subject = StatusOpen, d.Type, d.Subject
	case event.DeadRetryBegun:
		s.Status, s.Retry = StatusRetrying, &Retry{}
	case event.DeadRetried:
		s.retryEnded(StatusRetried, Retry{Ended: true})
	case event.DeadRetryFailed:
		d, err := event.Decode[RetryData](r.Event)
		if err != nil {
			return err
		}
		s.retryEnded(StatusOpen, Retry{Ended: true, Failure: d.Reason})
	case event.DeadReplayRequested:
		d, err := event.Decode[ReplayData](r.Event)
		if err != nil {
			return err
		}
		s.Status, s.Requests = StatusReplaying, append(s.Requests, d.RequestID)
		s.Replays = append(s.Replays, d.replay())
	case event.DeadReplayed:
		return s.replayed(r)
	case event.DeadDiscarded:
		d, err := event.Decode[DiscardData](r.Event)
		if err != nil {
			return err
		}
		s.Status, s.Discards, s.Requests = StatusDiscarded, s.Discards+1, append(s.Requests, d.RequestID)
	}
	return nil
}

// retryEnded notes what came of the retry. What somebody has decided meanwhile stands.
func (s *State) retryEnded(to Status, r Retry) {
	s.Retry = &r
	if s.Status == StatusRetrying {
		s.Status = to
	}
}

// replayed notes that a replay was sent. Somebody may have decided otherwise since.
func (s *State) replayed(r event.Record) error {
	d, err := event.Decode[ReplayData](r.Event)
	if err != nil {
		return err
	}
	if d.Replay < 1 || d.Replay > len(s.Replays) {
		return fault.New(fault.Corrupt, "replay %d was never asked for", d.Replay)
	}
	s.Replays[d.Replay-1].Sent = true
	if s.Status == StatusReplaying && d.Replay == len(s.Replays) {
		s.Status = StatusReplayed
	}
	return nil
}
