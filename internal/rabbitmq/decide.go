package rabbitmq

import (
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// action is what becomes of a message after it was handled.
type action int

const (
	acknowledge action = iota
	wait
	bury
)

// verdict is an action with what it needs.
type verdict struct {
	action action
	// delay is how long the message waits.
	delay time.Duration
	// attempts and parked are the counts that it takes with it.
	attempts, parked int
	// reason and detail say why it is dead.
	reason fault.Code
	detail string
}

// policy says how long there is hope for a message.
type policy struct {
	// delays grow; the last one repeats.
	delays []time.Duration
	// maxAttempts is how often a message is handled before it is dead.
	maxAttempts int
	// parkMax is how long after it was first seen a message waits for its order.
	parkMax time.Duration
}

// decide says what becomes of a message whose handler returned err. It is pure; the meaning of the codes is
// fault's.
func (p policy) decide(d Delivery, err error, now time.Time) verdict {
	if err == nil {
		return verdict{action: acknowledge}
	}
	code := fault.CodeOf(err)
	v := verdict{attempts: d.Attempts, parked: d.Parked, reason: code, detail: detailOf(err)}
	switch fault.Lookup(code).Disposition {
	case fault.Acknowledge:
		return verdict{action: acknowledge}
	case fault.Park:
		v.parked++
		left := d.FirstSeen.Add(p.parkMax).Sub(now)
		if left <= 0 {
			v.action = bury
			return v
		}
		v.action, v.delay = wait, p.delayWithin(scheduled(d.Parked, d.Early), left)
	case fault.Redeliver:
		v.attempts++
		waits := scheduled(d.Attempts, d.Early)
		if waits+1 >= p.maxAttempts {
			v.action = bury
			return v
		}
		v.action, v.delay = wait, p.delay(waits)
	default:
		v.attempts++
		v.action = bury
	}
	return v
}

// maxEarly is how many attempts before their time are free. Without a limit a message that always fails, on a system that always
// comes and goes, would never be a dead letter.
const maxEarly = 20

// scheduled returns how many of so many attempts came in their time.
func scheduled(attempts, early int) int { return max(0, attempts-min(early, maxEarly)) }

// delay returns the delay after so many earlier waits.
func (p policy) delay(waits int) time.Duration { return p.delays[min(waits, len(p.delays)-1)] }

// delayWithin is delay, but not longer than what is left, as far as there is a queue for that: the last look is
// taken near the limit, not long after it.
func (p policy) delayWithin(waits int, left time.Duration) time.Duration {
	i := min(waits, len(p.delays)-1)
	for i > 0 && p.delays[i] > left {
		i--
	}
	return p.delays[i]
}
