package order

import "github.com/ordersaga/ordersaga/internal/stock"

// Types of the stock ledger's port.
type (
	// Effect is a participant's definite answer to a call.
	Effect = stock.Effect
	// Item is a SKU with a quantity.
	Item = stock.Item
	// ReserveRequest requests the stock of a line.
	ReserveRequest = stock.ReserveRequest
	// Reservation is the answer to it.
	Reservation = stock.Reservation
	// Holder is an order that holds stock.
	Holder = stock.Holder
)

// The definite answers.
const (
	Done    = stock.Done
	Refused = stock.Refused
	Undone  = stock.Undone
	Short   = stock.Short
)
