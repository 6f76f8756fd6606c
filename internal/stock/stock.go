// Package stock is the port to the stock ledger: what a flow requests, and what the ledger answers. internal/inventory implements it.
//
// The package has only types, and imports nothing.
package stock

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
	// Short means that other orders hold so much that too little is available at this time. Nothing is recorded: the same request may be repeated.
	Short Effect = "short"
)

// Reasons of a refusal.
const (
	OutOfStock = "out_of_stock"
	UnknownSKU = "unknown_sku"
)

// Item is a SKU and how many of it.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// ReserveRequest asks the stock ledger to reserve what an order needs.
type ReserveRequest struct {
	OrderID string
	// Items are what the order needs. Several items of one SKU are reserved together.
	Items []Item
	// From is the SKU at which an earlier attempt found too little: the order holds what comes before it in byte order.
	From string
	// Last has a shortage refused, whichever orders hold the stock.
	Last bool
}

// Reservation is the stock ledger's answer about one line of an order.
type Reservation struct {
	Effect Effect `json:"effect"`
	// Reason is set when Effect is Refused: OutOfStock or UnknownSKU.
	Reason string `json:"reason,omitempty"`
	// Available is how many there were when it was refused; it does not change afterwards.
	Available int64 `json:"available"`
}

// Holder is an order that holds stock of a SKU.
type Holder struct {
	OrderID string `json:"orderId"`
	// Quantity is how much; Version is that of the reservation in the SKU's stream.
	Quantity int64 `json:"quantity"`
	Version  int64 `json:"version"`
}
