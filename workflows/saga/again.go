package saga

import (
	"cmp"
	"hash/fnv"
	"time"
)

// Pauses of a step that may succeed soon and is attempted again.
const (
	minLaterPause = 100 * time.Millisecond
	maxLaterPause = 5 * time.Second
)

// After is the wait after one more attempt of a step of the saga with the ID; before is the wait before it, nil for the first one. The
// pause doubles from 0.1 s to 5 s, with jitter derived from the saga's ID, so that sagas that wait together do not retry together. It does not go
// past the deadline.
func (l Later) After(before *Later, id string, now time.Time, deadline time.Duration) *Later {
	next := Later{Step: l.Step, Item: l.Item, Hint: l.Hint, For: cmp.Or(l.For, "the participant"), Since: now, Tries: 1}
	if before != nil && before.about(Action{Step: l.Step, Item: l.Item}) {
		next.Since, next.Tries = before.Since, before.Tries+1
	}
	if l.Pause > 0 {
		next.At = now.Add(l.Pause)
		return &next
	}
	pause := min(minLaterPause<<min(next.Tries, 10), maxLaterPause)
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	_, _ = h.Write([]byte{byte(next.Tries), byte(next.Tries >> 8)})
	pause -= pause / 2 * time.Duration(h.Sum32()%1000) / 1000
	next.At = now.Add(pause)
	if until := next.Since.Add(deadline); next.At.After(until) {
		next.At = until
	}
	return &next
}

// about reports whether the wait is one for an action.
func (l *Later) about(a Action) bool { return l.Step == a.Step && l.Item == a.Item }

// Over reports whether the wait has lasted until its deadline: the next attempt is the last one.
func (l *Later) Over(now time.Time, deadline time.Duration) bool {
	return l != nil && !now.Before(l.Since.Add(deadline))
}

// A notification may come before the participant knows what it reports. Then the participant is asked again, after a pause
// that doubles, until the wait is over.
const (
	// firstAskPause and maxAskPause are the first and the longest pause before the participant is asked again, the first
	// quickAttempts times: over about 24 minutes. After that the pause is slowAskPause.
	firstAskPause = time.Second
	maxAskPause   = 5 * time.Minute
	quickAttempts = 12
	slowAskPause  = time.Hour
)

// AskAgainAfter is the pause before a participant is asked again about a notification, when it was asked so often and did not know
// of it.
func AskAgainAfter(asked int) time.Duration {
	if asked > quickAttempts {
		return slowAskPause
	}
	pause := firstAskPause
	for n := 1; n < asked && pause < maxAskPause; n++ {
		pause *= 2
	}
	return min(pause, maxAskPause)
}

// Unconfirmed records that the participant of a step was asked about a notification and does not know of it yet. It returns false
// when it is not to be asked again, because nothing is waited for any more.
func (f *Flow[S, P]) Unconfirmed(facts *Facts, s S, step string, fact Fact, now time.Time, timing Timing) bool {
	switch {
	case facts.has(fact.Type):
		// Another notification arrived meanwhile; ask about it at once.
		return true
	case !f.IsPending(&s, step) || !now.Before(f.PendingUntil(s, step, timing)):
		return false
	}
	fact.Asked++
	fact.NotBefore = now.Add(AskAgainAfter(fact.Asked))
	facts.AddFact(fact)
	return true
}
