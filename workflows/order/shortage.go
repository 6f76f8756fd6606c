package order

import (
	"hash/fnv"
	"time"
)

// ReserveRequest asks the stock ledger to reserve what an order needs.
type ReserveRequest struct {
	OrderID string
	// Items are what the order needs. Several items of one SKU are reserved together.
	Items []Item
	// From is the SKU at which an earlier attempt found too little: the order holds what comes before it in byte order.
	From string
	// Last has a shortage refused, whoever holds the stock.
	Last bool
}

// Holder is an order that holds stock of a SKU.
type Holder struct {
	OrderID string `json:"orderId"`
	// Quantity is how much; Version is that of the reservation in the SKU's stream.
	Quantity int64 `json:"quantity"`
	Version  int64 `json:"version"`
}

// How long an order waits before it tries again to reserve stock that other orders hold for now.
const (
	minShortagePause = 100 * time.Millisecond
	maxShortagePause = 5 * time.Second
)

// Shortage is a wait for stock that other orders hold for now. It is a fact of the run, not of the log: a run that takes over
// finds the shortage itself, and waits anew.
type Shortage struct {
	// SKU is the first one, in byte order, of which there is too little.
	SKU string `json:"sku"`
	// Since is when the wait began; RetryAt is when it is tried again; Tries counts the attempts so far.
	Since   time.Time `json:"since"`
	RetryAt time.Time `json:"retryAt"`
	Tries   int       `json:"tries"`
}

// After returns the wait after one more attempt that found too little of a SKU; nil for an attempt that found enough (sku is
// empty). The pause doubles from 0.1 s to 5 s, of which each order takes its own share: what waits together does not try
// together. It does not go past the deadline.
func (w *Shortage) After(orderID, sku string, now time.Time, t Timing) *Shortage {
	if sku == "" {
		return nil
	}
	next := Shortage{SKU: sku, Since: now, Tries: 1}
	if w != nil {
		next.Since, next.Tries = w.Since, w.Tries+1
	}
	pause := min(minShortagePause<<min(next.Tries, 10), maxShortagePause)
	h := fnv.New32a()
	_, _ = h.Write([]byte(orderID))
	_, _ = h.Write([]byte{byte(next.Tries), byte(next.Tries >> 8)})
	pause -= pause / 2 * time.Duration(h.Sum32()%1000) / 1000
	next.RetryAt = now.Add(pause)
	if deadline := next.Since.Add(t.Reserve); next.RetryAt.After(deadline) {
		next.RetryAt = deadline
	}
	return &next
}

// Over reports whether the wait has lasted until its deadline: the next attempt is the last one.
func (w *Shortage) Over(now time.Time, t Timing) bool {
	return w != nil && due(w.Since.Add(t.Reserve), now)
}

// HoldsForNow reports whether the order may soon give back the stock that it holds: it is in reserve or authorize, and will be
// decided as soon as it has an answer, or it is being compensated. An order that waits for its payer or for its dispatch, or
// that goes forward, keeps it until further notice.
func (s State) HoldsForNow() bool {
	switch {
	case s.Ended, s.Decision == Back:
		return s.GivesWay()
	case s.Decision == Forward:
		// A capture that is refused before anything was shipped turns the order back.
		return s.Capture == CaptureRefused && s.ShippedAt.IsZero()
	}
	return s.Payment != PaymentPending && s.ConfirmedAt.IsZero()
}

// GivesWay reports whether the order gives its stock back when it is asked to, or is about to anyway: it is being compensated,
// or nothing is decided and the goods are not on their way.
func (s State) GivesWay() bool {
	switch {
	case s.Ended:
		return false
	case s.Decision == Back:
		_, byHand := s.Settled(StepReserve, true)
		return !byHand
	}
	return s.Decision == "" && s.ShippedAt.IsZero()
}
