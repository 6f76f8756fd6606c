package order

// Effect is a participant's definite answer to a call. An unknown outcome is not an
// Effect but an error: fault.OutcomeUnknown or fault.Unavailable.
type Effect string

const (
	// Done means that it happened and is in effect.
	Done Effect = "done"
	// Refused means that it definitely did not happen, and that this is recorded.
	Refused Effect = "refused"
	// Undone means that it was undone, or fenced before it happened: it will never take effect.
	Undone Effect = "undone"
	// Short means that there is too little now because other orders hold it for now. Nothing is recorded: the same may be
	// asked for again.
	Short Effect = "short"
)

// Reservation is the stock ledger's answer about one line of an order.
type Reservation struct {
	Effect Effect `json:"effect"`
	// Reason is set when Effect is Refused: ReasonOutOfStock or ReasonUnknownSKU.
	Reason string `json:"reason,omitempty"`
	// Available is how many there were when it was refused; it does not change afterwards.
	Available int64 `json:"available"`
}
