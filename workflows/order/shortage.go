package order

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
