package notification

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Answer is what an attempt came to, as the one who made it says.
type Answer struct {
	Attempt int     `json:"attempt,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Code is the mail server's.
	Code string `json:"code,omitempty"`
	// Reason says why the message is given up.
	Reason string `json:"reason,omitempty"`
}

// Facts are what a run knows besides the log.
type Facts struct {
	// Answer is what the newest attempt came to and is not recorded yet.
	Answer *Answer `json:"answer,omitempty"`
}

const (
	// firstPause is how soon a message is tried again; the pause doubles up to longestPause.
	firstPause   = 5 * time.Second
	longestPause = 30 * time.Minute
)

// pause is how long is waited behind an attempt.
func pause(attempt int) time.Duration {
	d := firstPause
	for n := 1; n < attempt && d < longestPause; n++ {
		d *= 2
	}
	return min(d, longestPause)
}

// Next decides what to do about a message that was requested. It is pure.
func Next(s State, f Facts, now time.Time) saga.Action {
	record := func(e event.Entry) saga.Action { return saga.Action{Kind: saga.Record, Entry: e} }
	again := s.UpdatedAt.Add(pause(s.Attempt))
	switch {
	case !s.Requested(), s.Settled():
		return saga.Action{Kind: saga.Close}
	case s.Open() && f.answers(s):
		return record(s.result(f.Answer.Outcome, f.Answer.Code, now))
	case s.Open():
		// Somebody was about to send, and nobody is left to say what came of it.
		return record(s.result(Unknown, "", now))
	case f.Answer != nil && f.Answer.Outcome == GivenUp:
		return record(s.end(f.Answer.Reason, now))
	case !now.Before(s.Until), s.Attempt > 0 && !again.Before(s.Until):
		return record(s.end(ReasonDeadline, now))
	case s.Attempt > 0 && now.Before(again):
		return saga.Action{Kind: saga.Wait, Step: StepSend, Until: again, For: "the mail server"}
	}
	return saga.Action{Kind: saga.Do, Step: StepSend}
}

// answers reports whether it is known what the newest attempt came to.
func (f Facts) answers(s State) bool {
	return f.Answer != nil && f.Answer.Attempt == s.Attempt && types[f.Answer.Outcome] != ""
}
