package inventory

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

const (
	// MaxQuantity is the most that one call moves.
	MaxQuantity = 1_000_000
	// MaxOnHand is the most that a SKU holds: JSON numbers are exact up to it.
	MaxOnHand = 1<<53 - 1
)

// Movement is the data of every stock event.
type Movement struct {
	SKU string `json:"sku"`
	// OrderID is the order whose slot the event takes; empty for receipts and adjustments.
	OrderID string `json:"orderId,omitempty"`
	// ID is the idempotency id of a receipt or an adjustment.
	ID string `json:"id,omitempty"`
	// Quantity is how many the event is about: for stock.adjusted with its sign, for stock.refused what was
	// asked for, for stock.fenced 0.
	Quantity int64 `json:"quantity"`
	// OnHand and Reserved are the balance after the event. OnHand includes what is reserved.
	OnHand   int64 `json:"onHand"`
	Reserved int64 `json:"reserved"`
	// Counted is how many were counted; set for a stock.adjusted that corrects to it.
	Counted *int64 `json:"counted,omitempty"`
	// Reason is out_of_stock or unknown_sku. The latter stands in every event from before the SKU was known.
	Reason string `json:"reason,omitempty"`
	// Note is what a person said about an adjustment.
	Note string `json:"note,omitempty"`
	// By is the caller that adjusted or counted, if it was authenticated.
	By string `json:"by,omitempty"`
}

// Remark is recorded with an adjustment or a count.
type Remark struct{ By, Note string }

// ReserveKey is the Do slot of an order in a SKU's stream.
func ReserveKey(orderID string) string { return event.Escape(orderID) + "/reserve" }

// SettleKey is the settle slot of an order in a SKU's stream.
func SettleKey(orderID string) string { return event.Escape(orderID) + "/settle" }

// receiptKey, adjustmentKey and countKey name the slots of what does not belong to an order. What kind of slot it is
// stands last, so that no id can be mistaken for an order's.
func receiptKey(id string) string    { return id + "/receipt" }
func adjustmentKey(id string) string { return id + "/adjustment" }
func countKey(id string) string      { return id + "/count" }

// change is what a caller asks for: something to write under key, unless the key is taken.
type change struct {
	key string
	// kind is the event type; a stock.reserved may become a stock.refused.
	kind     string
	orderID  string
	id       string
	why      Remark
	quantity int64
	// after is the version that the change builds on: it cannot be decided on the balance of an earlier one.
	after int64
	// counted is how many were counted, for a stock.adjusted whose quantity follows from it.
	counted *int64
	// mode says what becomes of a reservation for which too little is available; seen is the version up to which the
	// SKU's holders were looked at, and none of them holds for now.
	mode reserveMode
	seen int64
	// acquire is set for Acquire, which learns of what was written before in other ways.
	acquire bool
}

// balance is what a SKU's stream says at some version.
type balance struct {
	onHand, reserved int64
	// known is false before the first stock.added or stock.adjusted.
	known bool
	// reservedAt is the version of the newest stock.reserved, or a later one where it is not known.
	reservedAt int64
}

// available is what may be reserved: nothing where more is reserved than is on hand.
func (b balance) available() int64 { return max(b.onHand-b.reserved, 0) }

// makesKnown reports whether the SKU is heard of through the change.
func (c change) makesKnown() bool { return c.kind == event.StockAdded || c.kind == event.StockAdjusted }

// apply decides the change against the balance before it. It returns the event to write and the balance after
// it, or why nothing is to be written: StockInsufficient, Invalid, Corrupt.
func (c change) apply(sku string, b balance, at time.Time) (event.Entry, balance, error) {
	kind, reason := c.kind, ""
	if !b.known && !c.makesKnown() {
		reason = order.ReasonUnknownSKU
	}
	switch c.kind {
	case event.StockReserved:
		var err error
		if kind, reason, err = c.reserve(sku, b); err != nil {
			return event.Entry{}, b, err
		}
		if kind == event.StockReserved {
			b.reserved += c.quantity
			b.reservedAt = unwritten
		}
	case event.StockReleased:
		b.reserved -= c.quantity
	case event.StockCommitted:
		if b.onHand < c.quantity && c.quantity <= b.reserved {
			return event.Entry{}, b, fault.New(fault.StockInsufficient,
				"only %d of sku %s are on hand, fewer than the order has reserved", b.onHand, sku)
		}
		b.reserved -= c.quantity
		b.onHand -= c.quantity
	case event.StockAdded, event.StockAdjusted:
		if c.counted != nil {
			// A count is a fact: it may say that less is there than is reserved.
			c.quantity = *c.counted - b.onHand
		} else if c.quantity < 0 && b.available() < -c.quantity {
			return event.Entry{}, b, fault.New(fault.StockInsufficient, "only %d of sku %s are available", b.available(), sku)
		}
		if c.quantity > MaxOnHand-b.onHand {
			return event.Entry{}, b, fault.New(fault.Invalid, "sku %s cannot hold more than %d", sku, int64(MaxOnHand))
		}
		b.onHand += c.quantity
		b.known = true
	}
	if b.reserved < 0 || b.onHand < 0 {
		return event.Entry{}, b, fault.New(fault.Corrupt, "%s of %d would leave sku %s with %d on hand and %d reserved",
			kind, c.quantity, sku, b.onHand, b.reserved)
	}
	return event.New(event.StockStream(sku), c.key, kind, sku, at, Movement{
		SKU: sku, OrderID: c.orderID, ID: c.id, Quantity: c.quantity, OnHand: b.onHand, Reserved: b.reserved,
		Counted: c.counted, Reason: reason, Note: c.why.Note, By: c.why.By,
	}), b, nil
}

// slot is what stands under a key: a record, read.
type slot struct {
	kind    string
	version int64
	Movement
}

// readSlot decodes a record of a stock stream. The error is Corrupt, or Unavailable for one that is newer than this code.
func readSlot(r event.Record) (slot, error) {
	m, err := event.Decode[Movement](r.Event)
	if fault.CodeOf(err) == fault.Unavailable {
		return slot{}, fault.Wrap(err, fault.Unavailable, "version %d of stream %s", r.Version, r.Stream)
	}
	if err != nil {
		return slot{}, fault.Wrap(err, fault.Corrupt, "version %d of stream %s", r.Version, r.Stream)
	}
	return slot{kind: r.Type, version: r.Version, Movement: m}, nil
}

// balance returns the running balance that the record carries.
func (s slot) balance() balance {
	return balance{onHand: s.OnHand, reserved: s.Reserved, known: s.Reason != order.ReasonUnknownSKU, reservedAt: s.version}
}

// after returns the running balance that the record carries, which comes right after another one.
func (s slot) after(before balance) balance {
	b := s.balance()
	if s.kind != event.StockReserved {
		b.reservedAt = before.reservedAt
	}
	return b
}

// public returns the running balance in the form that callers see.
func (s slot) public() Balance { return s.balance().public(s.SKU, s.version) }

// public returns the balance of a SKU at a version in the form that callers see.
func (b balance) public(sku string, version int64) Balance {
	return Balance{
		SKU: sku, OnHand: b.onHand, Reserved: b.reserved, Available: b.available(), Version: version,
		Shortfall: max(b.reserved-b.onHand, 0),
	}
}
