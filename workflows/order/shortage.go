package order

import "github.com/ordersaga/ordersaga/event"

// Temporary reports whether the order of a stream may soon give back the stock that it holds. Errors: those of Fold.
func Temporary(records []event.Record) (bool, error) {
	s, err := Fold(records)
	return s.HoldsForNow(), err
}

// HoldsForNow reports whether the order may soon give back the stock that it holds: it is in reserve or authorize, and will be
// decided as soon as it has an answer, or it is being compensated. An order that waits for its payer or for its dispatch, or
// that goes forward, keeps it until further notice.
func (s State) HoldsForNow() bool {
	switch {
	case s.Ended, s.Decision == Back:
		return s.ReleasesStock()
	case s.Decision == Forward:
		// A capture that is refused before anything was shipped turns the order back.
		return s.Capture == CaptureRefused && s.ShippedAt.IsZero()
	}
	return s.Payment != PaymentPending && s.ConfirmedAt.IsZero()
}

// ReleasesStock reports whether the order gives its stock back when it is asked to, or is about to anyway: it is being compensated,
// or nothing is decided and the goods are not on their way.
func (s State) ReleasesStock() bool {
	switch {
	case s.Ended:
		return false
	case s.Decision == Back:
		_, byHand := s.Settled(StepReserve, true)
		return !byHand
	}
	return s.Decision == "" && s.ShippedAt.IsZero()
}
