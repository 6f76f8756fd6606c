package order

import "github.com/ordersaga/ordersaga/internal/stock"

// What the stock ledger is asked, and answers.
type (
	Effect         = stock.Effect
	Item           = stock.Item
	ReserveRequest = stock.ReserveRequest
	Reservation    = stock.Reservation
	Holder         = stock.Holder
)

// The definite answers.
const (
	Done    = stock.Done
	Refused = stock.Refused
	Undone  = stock.Undone
	Short   = stock.Short
)
