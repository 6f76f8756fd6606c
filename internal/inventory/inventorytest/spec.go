package inventorytest

import (
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// sku is the specification of the ledger for one SKU, without a log: the table of the package comment.
type sku struct {
	known            bool
	onHand, reserved int64
	orders           map[string]*slots
	counts           map[string]int64
}

// slots are the two slots of an order.
type slots struct {
	do, settle        string
	quantity          int64
	reason            string
	availableAtAnswer int64
}

func newSpec() *sku { return &sku{orders: make(map[string]*slots), counts: make(map[string]int64)} }

func (s *sku) of(orderID string) *slots {
	if s.orders[orderID] == nil {
		s.orders[orderID] = &slots{}
	}
	return s.orders[orderID]
}

// reserve returns the expected result or error code.
func (s *sku) reserve(orderID string, quantity int64) (stock.Reservation, fault.Code) {
	o := s.of(orderID)
	if o.do == "" {
		o.do, o.quantity = event.StockReserved, quantity
		switch {
		case !s.known:
			o.do, o.reason = event.StockRefused, stock.UnknownSKU
		case s.onHand-s.reserved < quantity:
			o.do, o.reason, o.availableAtAnswer = event.StockRefused, stock.OutOfStock, max(s.onHand-s.reserved, 0)
		default:
			s.reserved += quantity
		}
	}
	switch {
	case o.do == event.StockFenced:
		return stock.Reservation{Effect: stock.Undone}, ""
	case o.quantity != quantity:
		return stock.Reservation{}, fault.Conflict
	case o.do == event.StockRefused:
		return stock.Reservation{Effect: stock.Refused, Reason: o.reason, Available: o.availableAtAnswer}, ""
	case o.settle == event.StockReleased:
		return stock.Reservation{Effect: stock.Undone}, ""
	}
	return stock.Reservation{Effect: stock.Done}, ""
}

// lookup returns the state without changing it.
func (s *sku) lookup(orderID string) stock.Reservation {
	if o := s.of(orderID); o.do != "" {
		answer, _ := s.reserve(orderID, o.quantity)
		return answer
	}
	return stock.Reservation{}
}

func (s *sku) release(orderID string) fault.Code {
	o := s.of(orderID)
	switch {
	case o.do == "":
		o.do = event.StockFenced
	case o.settle == event.StockCommitted:
		return fault.EffectSettled
	case o.do == event.StockReserved && o.settle == "":
		o.settle = event.StockReleased
		s.reserved -= o.quantity
	}
	return ""
}

func (s *sku) commit(orderID string) fault.Code {
	o := s.of(orderID)
	switch {
	case o.do == "":
		return fault.Unavailable
	case o.do != event.StockReserved || o.settle == event.StockReleased:
		return fault.EffectSettled
	case o.settle == "" && s.onHand < o.quantity:
		return fault.StockInsufficient
	case o.settle == "":
		o.settle = event.StockCommitted
		s.reserved -= o.quantity
		s.onHand -= o.quantity
	}
	return ""
}

// count specifies receipts and adjustments; slot is kind and ID.
func (s *sku) count(slot string, quantity int64) fault.Code {
	if before, taken := s.counts[slot]; taken {
		if before != quantity {
			return fault.Conflict
		}
		return ""
	}
	if quantity < 0 && s.onHand-s.reserved < -quantity {
		return fault.StockInsufficient
	}
	s.counts[slot] = quantity
	s.onHand += quantity
	s.known = true
	return ""
}

// counted specifies counts, which set the quantity on hand regardless of reservations.
func (s *sku) counted(id string, counted int64) fault.Code {
	slot := "count " + id
	if before, taken := s.counts[slot]; taken {
		if before != counted {
			return fault.Conflict
		}
		return ""
	}
	s.counts[slot], s.onHand, s.known = counted, counted, true
	return ""
}
