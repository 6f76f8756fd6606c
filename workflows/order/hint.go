package order

import "time"

// A payment notification may come before the gateway knows what it reports. Then the gateway is asked again, after a pause
// that doubles, until the wait for the payer is over.
const (
	// firstAskPause and maxAskPause are the first and the longest pause before the gateway is asked again, the first
	// quickAsks times: over about 24 minutes. After that the pause is slowAskPause.
	firstAskPause = time.Second
	maxAskPause   = 5 * time.Minute
	quickAsks     = 12
	slowAskPause  = time.Hour
)

// AskAgainAfter is the pause before the gateway is asked again about a payment notification, when it was asked asked times and
// did not know of it.
func AskAgainAfter(asked int) time.Duration {
	if asked > quickAsks {
		return slowAskPause
	}
	pause := firstAskPause
	for n := 1; n < asked && pause < maxAskPause; n++ {
		pause *= 2
	}
	return min(pause, maxAskPause)
}

// Notified takes in a payment notification. One that the payer has paid is about money: it is not replaced by one that the
// payment failed, and by none when everything is being undone. The gateway is asked at once about a new one.
func (f *Facts) Notified(h PaymentHint, d Decision) {
	if old := f.Hint; old == nil || !old.Succeeded || h.Succeeded && d != Back {
		f.Hint, f.HintAsked, f.HintAfter = &h, 0, time.Time{}
	}
}

// Unconfirmed takes in that the gateway was asked about a notification and does not know of it yet. It returns false when it is
// not to be asked again, because the payer is not waited for any more.
func (f *Facts) Unconfirmed(h PaymentHint, s State, t Timing, now time.Time) bool {
	switch {
	case f.Hint != nil && (f.Hint.Succeeded || !h.Succeeded):
		// Another one has come meanwhile, which is asked about at once.
		return true
	case s.Payment != PaymentPending, due(s.PaymentDeadline(t), now):
		return false
	}
	f.HintAsked++
	f.Hint, f.HintAfter = &h, now.Add(AskAgainAfter(f.HintAsked))
	return true
}
